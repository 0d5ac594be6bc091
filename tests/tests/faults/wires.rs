//! Servers that are killed, paused or cut off.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use sea_orm::{ConnectionTrait, Statement, TransactionTrait};
use stanchion::Error;
use stanchion::config::{Database, DatabaseUrl};
use stanchion::db::{ConnectError, Db, Options};
use stanchion_tests::testbed::{Backend, Kind as ServerKind, Proxy, TestDatabase, available, eventually};

/// Makes the tests of both back ends that have a server.
macro_rules! on_both_servers {
    ($($claim:ident),+ $(,)?) => {
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $claim() { super::$claim(super::Backend::Postgres).await; })+
        }
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread")] async fn $claim() { super::$claim(super::Backend::MariaDb).await; })+
        }
    };
}

on_both_servers! {
    a_commit_whose_answer_is_lost_is_unknown_and_not_repeated,
    a_transaction_that_lost_its_connection_is_run_again,
    a_server_that_is_still_starting_is_waited_for,
    a_server_that_does_not_answer_is_given_up_in_time,
    a_pool_recovers_from_a_killed_server,
}

/// A database with an empty table `notes`, seen through a wire that can be cut.
struct Wired {
    // Dropped last: the pool's connections go first.
    db: Db,
    proxy: Proxy,
    _database: TestDatabase,
}

async fn wired(backend: Backend) -> Option<Wired> {
    let database = TestDatabase::empty(backend).await?;
    let port = url::Url::parse(database.url()).unwrap().port().unwrap();
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let db = connect(&proxy.url(database.url()).unwrap(), Duration::from_secs(10)).await.unwrap();
    db.writer().execute_unprepared("CREATE TABLE notes (n INTEGER NOT NULL)").await.unwrap();
    Some(Wired { db, proxy, _database: database })
}

async fn connect(url: &str, within: Duration) -> Result<Db, ConnectError> {
    let mut settings = Database::new(url.parse::<DatabaseUrl>().unwrap());
    settings.connect_timeout = within;
    settings.acquire_timeout = Duration::from_secs(1);
    Db::connect("test", &settings, Options::default()).await
}

async fn notes(db: &Db) -> i64 {
    let count = Statement::from_string(db.backend(), "SELECT COUNT(*) FROM notes");
    db.writer().query_one_raw(count).await.unwrap().unwrap().try_get_by(0).unwrap()
}

async fn a_commit_whose_answer_is_lost_is_unknown_and_not_repeated(backend: Backend) {
    let Some(wired) = wired(backend).await else { return };
    let attempts = AtomicU32::new(0);
    let committed = wired
        .db
        .transaction(async |tx| {
            attempts.fetch_add(1, Ordering::SeqCst);
            tx.execute_unprepared("INSERT INTO notes VALUES (1)").await?;
            // The next that goes over the wire is the commit.
            wired.proxy.cut().await;
            Ok(())
        })
        .await;
    assert!(matches!(committed, Err(Error::CommitUnknown(_))), "{committed:?}");
    assert_eq!(attempts.load(Ordering::SeqCst), 1);
    wired.proxy.restore().await.unwrap();
    eventually("the database is reached again", async || {
        wired.db.writer().execute_unprepared("SELECT 1").await.is_ok()
    })
    .await;
    assert!(notes(&wired.db).await <= 1);
}

async fn a_transaction_that_lost_its_connection_is_run_again(backend: Backend) {
    let Some(wired) = wired(backend).await else { return };
    let attempts = AtomicU32::new(0);
    let committed = wired
        .db
        .transaction(async |tx| {
            let attempt = attempts.fetch_add(1, Ordering::SeqCst);
            tx.execute_unprepared("INSERT INTO notes VALUES (1)").await?;
            if attempt == 0 {
                wired.proxy.cut().await;
                wired.proxy.restore().await.map_err(Error::other)?;
            }
            tx.execute_unprepared("INSERT INTO notes VALUES (2)").await?;
            Ok(())
        })
        .await;
    committed.unwrap();
    assert!(attempts.load(Ordering::SeqCst) >= 2);
    assert_eq!(notes(&wired.db).await, 2);
}

fn kind(backend: Backend) -> ServerKind {
    if backend == Backend::Postgres { ServerKind::Postgres } else { ServerKind::MariaDb }
}

async fn a_server_that_is_still_starting_is_waited_for(backend: Backend) {
    let Some(server) = available(kind(backend).start().await) else { return };
    server.stop().await.unwrap();
    let (connected, restarted) = tokio::join!(connect(server.url(), Duration::from_secs(60)), async {
        // The first attempts meet nobody.
        tokio::task::yield_now().await;
        server.restart().await
    });
    restarted.unwrap();
    connected.unwrap().writer().execute_unprepared("SELECT 1").await.unwrap();
}

async fn a_server_that_does_not_answer_is_given_up_in_time(backend: Backend) {
    let Some(server) = available(kind(backend).start().await) else { return };
    server.pause();
    let started = Instant::now();
    let error = connect(server.url(), Duration::from_millis(700)).await.unwrap_err();
    let took = started.elapsed();
    server.resume();
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(took >= Duration::from_millis(700) && took < Duration::from_secs(30), "{took:?}");
    let password = url::Url::parse(server.url()).unwrap().password().unwrap().to_owned();
    assert!(!format!("{error} {error:?}").contains(&password));
}

async fn a_pool_recovers_from_a_killed_server(backend: Backend) {
    let Some(server) = available(kind(backend).start().await) else { return };
    let db = connect(server.url(), Duration::from_secs(10)).await.unwrap();
    // Several connections, all of them of the server that is going to die.
    drop(join_all((0..6).map(|_| async { db.writer().begin().await.unwrap() })).await);
    eventually("the connections are idle", async || db.writer().size() == (6, 6)).await;
    server.kill();
    let error = Error::from(db.writer().execute_unprepared("SELECT 1").await.unwrap_err());
    assert!(error.is_unavailable(), "{error:?}");
    server.restart().await.unwrap();
    eventually("the pool reaches the server again", async || db.writer().execute_unprepared("SELECT 1").await.is_ok())
        .await;
    // Not one of its connections is of the server that was.
    for _ in 0..10 {
        let answer = db.transaction(async |tx| Ok(tx.execute_unprepared("SELECT 1").await?)).await;
        assert!(answer.is_ok(), "{answer:?}");
    }
}
