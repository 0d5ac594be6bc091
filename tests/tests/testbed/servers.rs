//! A server of a test's own: started, asked, stopped, killed, paused, restarted, dropped.

use stanchion_tests::testbed::{Kind, Server, available, is_running};

use crate::client::Client;

/// A test a kind of server, which is given one of its own.
macro_rules! on_every_server {
    (@one $module:ident $kind:ident $($claim:ident)+) => {
        mod $module {
            use stanchion_tests::testbed::{Kind, available};
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $claim() {
                    if let Some(server) = available(Kind::$kind.start().await) {
                        super::$claim(server).await.unwrap();
                    }
                }
            )+
        }
    };
    ($($claim:ident),+ $(,)?) => {
        on_every_server!(@one postgres Postgres $($claim)+);
        on_every_server!(@one mariadb MariaDb $($claim)+);
        on_every_server!(@one redis Redis $($claim)+);
    };
}

on_every_server! {
    a_server_answers_and_keeps_data_over_a_restart,
    a_killed_server_has_what_it_acknowledged,
    a_paused_server_is_silent_until_it_goes_on,
    a_paused_server_can_be_stopped,
    a_wrong_password_is_refused,
    a_dropped_server_leaves_nothing,
}

async fn a_server_answers_and_keeps_data_over_a_restart(server: Server) -> anyhow::Result<()> {
    Client::connect(server.kind(), server.url()).await?.keep("word").await?;
    let (pid, port) = (server.pid(), server.port());

    server.stop().await?;
    assert_eq!(server.pid(), None);
    assert!(Client::connect(server.kind(), server.url()).await.is_err());

    server.restart().await?;
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(Client::connect(server.kind(), server.url()).await?.kept().await?, "word");
    Ok(())
}

async fn a_killed_server_has_what_it_acknowledged(server: Server) -> anyhow::Result<()> {
    let mut client = Client::connect(server.kind(), server.url()).await?;
    client.keep("word").await?;

    server.kill();
    assert!(client.kept().await.is_err());

    server.restart().await?;
    assert_eq!(Client::connect(server.kind(), server.url()).await?.kept().await?, "word");
    Ok(())
}

async fn a_paused_server_is_silent_until_it_goes_on(server: Server) -> anyhow::Result<()> {
    let mut client = Client::connect(server.kind(), server.url()).await?;
    client.keep("word").await?;

    server.pause();
    // An open session as well as a new one: on PostgreSQL they are different processes.
    assert!(client.is_left_waiting().await);
    let newcomer = tokio::spawn({
        let (kind, url) = (server.kind(), server.url().to_owned());
        async move { Client::connect(kind, &url).await?.kept().await }
    });
    assert!(client.is_left_waiting().await);
    assert!(!newcomer.is_finished());

    server.resume();
    assert_eq!(newcomer.await??, "word");
    Ok(())
}

async fn a_paused_server_can_be_stopped(server: Server) -> anyhow::Result<()> {
    let _session = Client::connect(server.kind(), server.url()).await?;
    server.pause();
    server.stop().await?;
    assert!(Client::connect(server.kind(), server.url()).await.is_err());
    Ok(())
}

async fn a_wrong_password_is_refused(server: Server) -> anyhow::Result<()> {
    let mut url = url::Url::parse(server.url())?;
    url.set_password(Some("wrong")).unwrap();
    let kind = server.kind();
    let attempt = tokio::spawn(async move { Client::connect(kind, url.as_str()).await.map(drop) });
    // An error of the client, or a failed assertion on Redis' answer.
    assert!(!matches!(attempt.await, Ok(Ok(()))));
    Ok(())
}

async fn a_dropped_server_leaves_nothing(server: Server) -> anyhow::Result<()> {
    let pid = server.pid().unwrap();
    let directory = server.directory().to_owned();
    assert!(is_running(pid) && directory.exists());
    drop(server);
    assert!(!is_running(pid) && !directory.exists());
    Ok(())
}

#[tokio::test]
async fn settings_override_the_testbed_s() {
    let Some(server) = available(Kind::Postgres.start_with(&[("max_connections", "7")]).await) else { return };
    let Client::Postgres(mut connection) = Client::connect(Kind::Postgres, server.url()).await.unwrap() else { return };
    let setting: String = sea_orm::sqlx::query_scalar("SHOW max_connections").fetch_one(&mut connection).await.unwrap();
    assert_eq!(setting, "7");
}

#[tokio::test]
async fn a_setting_that_the_server_refuses_is_shown_with_its_log() {
    let refused = Kind::Redis.start_with(&[("no-such-setting", "1")]).await;
    if refused.as_ref().is_err_and(stanchion_tests::testbed::Error::is_not_installed) {
        available(refused);
        return;
    }
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("no-such-setting"), "{message}");
}
