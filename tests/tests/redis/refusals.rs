//! A server that is there and refuses: each refusal has a kind of its own, and none tells a secret.

use std::net::Ipv4Addr;
use std::time::Duration;

use redis::AsyncCommands;
use stanchion::redis::{CircuitState, RedisErrorKind};
use stanchion_tests::testbed::{Redis, RedisCluster, RedisSentinel, Server, available, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::places::{handle, raw};

/// The server's URL with another password.
fn with_password(url: &str, password: &str) -> String {
    let (scheme, rest) = url.split_once("://:").unwrap();
    format!("{scheme}://:{password}@{}", rest.split_once('@').unwrap().1)
}

/// All that an error and a handle say of themselves.
pub(crate) fn words(error: &dyn std::error::Error, redis: &stanchion::redis::Redis) -> String {
    let mut words = format!("{redis:?} {error:?} {error}");
    let mut source = error.source();
    while let Some(error) = source {
        words.push_str(&format!(" {error:?} {error}"));
        source = error.source();
    }
    words
}

async fn a_wrong_password_is_refused_at(url: &str) {
    let redis = handle(&with_password(url, "wr0ng-s3cret"));
    let error = redis.get("k-s3cret").await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::PermissionDenied, "{error:?}");
    assert!(!error.is_unavailable() && !error.is_in_doubt());
    assert!(!words(&error, &redis).contains("s3cret"), "{}", words(&error, &redis));
    let error = redis.get("k-s3cret").await.unwrap_err();
    assert_eq!((error.kind(), error.cause()), (RedisErrorKind::CircuitOpen, RedisErrorKind::PermissionDenied));
    assert!(!words(&error, &redis).contains("s3cret"), "{}", words(&error, &redis));
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such() {
    let Some(server) = available(Redis::start().await) else { return };
    a_wrong_password_is_refused_at(server.url()).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such_by_a_cluster() {
    let Some(cluster) = available(RedisCluster::start(3).await) else { return };
    a_wrong_password_is_refused_at(&cluster.url()).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such_behind_sentinels() {
    let Some(sentinel) = available(RedisSentinel::start().await) else { return };
    a_wrong_password_is_refused_at(&sentinel.url()).await;
}

#[tokio::test]
async fn a_password_that_changes_is_noticed_and_its_return_too() {
    let Some(server) = available(Redis::start().await) else { return };
    let redis = handle(server.url());
    redis.set("k", b"v", None).await.unwrap();
    let mut raw = raw(server.url()).await;
    let password = server.url().split_once("://:").unwrap().1.split_once('@').unwrap().0.to_owned();
    let set = async |raw: &mut redis::aio::MultiplexedConnection, password: &str| {
        redis::cmd("CONFIG").arg("SET").arg("requirepass").arg(password).exec_async(raw).await.unwrap();
    };
    set(&mut raw, "another").await;
    let kill = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes").to_owned();
    kill.exec_async(&mut raw).await.unwrap();
    let refused = async || redis.get("k").await.is_err_and(|e| e.cause() == RedisErrorKind::PermissionDenied);
    eventually("the new password is missed", refused).await;
    set(&mut raw, &password).await;
    eventually("the old one is right again", async || redis.get("k").await.is_ok()).await;
}

#[tokio::test]
async fn a_right_that_is_missing_is_no_outage() {
    let Some(server) = available(Redis::start().await) else { return };
    let rule = ["reader", "on", ">pw", "~*", "+@read", "+@connection"];
    redis::cmd("ACL").arg("SETUSER").arg(&rule).exec_async(&mut raw(server.url()).await).await.unwrap();
    let redis = handle(&format!("redis://reader:pw@127.0.0.1:{}", server.port()));
    assert_eq!(redis.get("k").await.unwrap(), None);
    let error = redis.set("k", b"v", None).await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::PermissionDenied);
    assert_eq!(redis.circuit(), CircuitState::Closed);
    assert_eq!(redis.get("k").await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_reads_its_data_is_waited_for() {
    // Slowed down, so that there is time to look: it answers clients after every 1,024 keys that it reads.
    let slow = [("key-load-delay", "400"), ("loading-process-events-interval-bytes", "1024")];
    let Some(server) = available(Redis::start_with(&slow).await) else { return };
    let redis = handle(server.url());
    let mut raw = raw(server.url()).await;
    for i in 0..8_000 {
        redis::cmd("SET").arg(i).arg("v").exec_async(&mut raw).await.unwrap();
    }
    server.kill();
    let (restarted, ()) = tokio::join!(
        server.restart(),
        eventually("it says that it is loading", async || {
            redis.get("1").await.is_err_and(|error| error.cause() == RedisErrorKind::Loading)
        })
    );
    restarted.unwrap();
    eventually("it is asked again", async || redis.get("1").await.is_ok()).await;
    assert_eq!(redis.get("1").await.unwrap().as_deref(), Some(b"v".as_slice()));
}

#[tokio::test]
async fn a_script_that_blocks_the_server_opens_no_circuit() {
    let Some(server) = available(Redis::start_with(&[("busy-reply-threshold", "50")]).await) else { return };
    let redis = handle(server.url());
    redis.ping().await.unwrap();
    let mut looping = raw(server.url()).await;
    let endless = tokio::spawn(async move {
        redis::cmd("EVAL").arg("while true do end").arg(0).query_async::<redis::Value>(&mut looping).await
    });
    eventually("it says that it is busy", async || {
        redis.get("k").await.is_err_and(|error| error.kind() == RedisErrorKind::Busy && error.is_unavailable())
    })
    .await;
    assert_eq!(redis.circuit(), CircuitState::Closed);
    let mut raw = raw(server.url()).await;
    redis::cmd("SCRIPT").arg("KILL").exec_async(&mut raw).await.unwrap();
    eventually("it is asked again", async || redis.get("k").await.is_ok()).await;
    assert_eq!(redis.connection(), 1, "the connection was never given up");
    drop(endless);
}

#[tokio::test]
async fn a_full_server_still_reads_and_deletes() {
    let full = [("maxmemory", "3mb"), ("maxmemory-policy", "noeviction")];
    let Some(server) = available(Redis::start_with(&full).await) else { return };
    let redis = handle(server.url());
    let value = vec![7_u8; 100_000];
    let mut kept = 0;
    let error = loop {
        match redis.set(&format!("k{kept}"), &value, None).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), RedisErrorKind::Full);
    assert!(error.is_unavailable() && !error.is_in_doubt() && kept > 0);
    assert_eq!(redis.circuit(), CircuitState::Closed);
    assert_eq!(redis.get("k0").await.unwrap(), Some(value));
    for i in 0..kept {
        assert!(redis.delete(&format!("k{i}")).await.unwrap());
    }
    redis.set("k", b"v", None).await.unwrap();
}

#[tokio::test]
async fn a_replica_takes_no_writes() {
    let Some(master) = available(Redis::start().await) else { return };
    let place = format!("127.0.0.1 {}", master.port());
    let Some(replica) = available(Redis::start_with(&[("replicaof", &place)]).await) else { return };
    let redis = handle(replica.url());
    assert_eq!(redis.set("k", b"v", None).await.unwrap_err().kind(), RedisErrorKind::ReadOnly);
    assert_eq!(redis.circuit(), CircuitState::Closed);
    assert_eq!(redis.get("k").await.unwrap(), None);
}

#[tokio::test]
async fn a_value_of_another_type_is_told_as_such() {
    let Some(server) = available(Redis::start().await) else { return };
    raw(server.url()).await.lpush::<_, _, ()>("list", 1).await.unwrap();
    let redis = handle(server.url());
    let error = redis.get("list").await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::WrongType);
    assert!(!error.is_unavailable() && !error.is_in_doubt());
    assert_eq!(redis.circuit(), CircuitState::Closed);
}

#[tokio::test]
async fn where_nothing_listens_nothing_is_in_doubt() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    for scheme in ["redis", "redis-cluster"] {
        let redis = handle(&format!("{scheme}://:s3cret@127.0.0.1:{port}"));
        let error = redis.set("k", b"v", None).await.unwrap_err();
        assert_eq!(error.kind(), RedisErrorKind::Unavailable, "{error:?}");
        assert!(error.is_unavailable() && !error.is_in_doubt());
        assert!(!words(&error, &redis).contains("s3cret"));
        assert_eq!(redis.get("k").await.unwrap_err().cause(), RedisErrorKind::Unavailable);
    }
    let redis = handle(&format!("redis-sentinel://:s3cret@127.0.0.1:{port}?master=main"));
    let error = redis.get("k").await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::Unavailable, "{error:?}");
    assert!(!words(&error, &redis).contains("s3cret"));
}

#[tokio::test]
async fn what_is_no_redis_is_unavailable() {
    let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = web.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = web.accept().await {
            let mut request = [0; 1_024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let redis = handle(&format!("redis://:s3cret@127.0.0.1:{port}"));
    let error = redis.get("k").await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::Unavailable, "{error:?}");
    assert!(!words(&error, &redis).contains("s3cret"));
    serving.abort();

    let mute = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let redis = handle(&format!("redis://:s3cret@127.0.0.1:{}", mute.local_addr().unwrap().port()));
    let error = redis.get("k").await.unwrap_err();
    let silent = matches!(error.kind(), RedisErrorKind::Timeout(limit) if limit == Duration::from_secs(2));
    assert!(silent || error.kind() == RedisErrorKind::Unavailable, "{error:?}");
    assert!(!error.is_in_doubt());
}

#[tokio::test]
async fn a_server_without_room_for_another_client_is_asked_again_later() {
    let Some(server) = available(Redis::start_with(&[("maxclients", "3")]).await) else { return };
    let mut others = Vec::new();
    fill(&server, &mut others).await;
    let redis = handle(server.url());
    let error = redis.get("k").await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::Unavailable, "{error:?}");
    drop(others);
    eventually("there is room", async || redis.get("k").await.is_ok()).await;
}

async fn fill(server: &Server, others: &mut Vec<redis::aio::MultiplexedConnection>) {
    let client = redis::Client::open(server.url()).unwrap();
    while let Ok(mut connection) = client.get_multiplexed_async_connection().await {
        if redis::cmd("PING").exec_async(&mut connection).await.is_err() {
            break;
        }
        others.push(connection);
    }
    assert!(!others.is_empty());
}
