//! One server that dies, stops, and is cut off.

use std::time::{Duration, Instant};

use stanchion::redis::{CircuitState, Event, RedisErrorKind};
use stanchion_tests::testbed::{Proxy, Redis, available, eventually};

use crate::places::{handle, next, raw};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_costs_one_failure_and_comes_back_without_a_restart_of_ours() {
    let Some(server) = available(Redis::start().await) else { return };
    let redis = handle(server.url());
    redis.set("k", b"v", None).await.unwrap();
    assert_eq!(redis.connection(), 1);

    server.kill();
    let error = redis.get("k").await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::Unavailable, "{error}");
    assert!(error.is_unavailable());
    let mut longest = Duration::ZERO;
    for _ in 0..1_000 {
        let began = Instant::now();
        let error = redis.get("k").await.unwrap_err();
        longest = longest.max(began.elapsed());
        assert_eq!((error.kind(), error.cause()), (RedisErrorKind::CircuitOpen, RedisErrorKind::Unavailable));
        assert!(!error.is_in_doubt(), "nothing was sent");
    }
    println!("killed: the longest of 1,000 calls after the first took {longest:?}");

    server.restart().await.unwrap();
    let began = Instant::now();
    eventually("it is asked again", async || redis.get("k").await.is_ok()).await;
    println!("restarted: it was used again after {:?}", began.elapsed());
    assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(b"v".as_slice()));
    assert_eq!((redis.circuit(), redis.connection()), (CircuitState::Closed, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_costs_one_timeout() {
    let Some(server) = available(Redis::start().await) else { return };
    let redis = handle(server.url());
    redis.set("k", b"v", None).await.unwrap();

    server.pause();
    let began = Instant::now();
    let error = redis.set("k", b"w", None).await.unwrap_err();
    println!("stopped: the first call took {:?}", began.elapsed());
    assert_eq!(error.kind(), RedisErrorKind::Timeout(Duration::from_secs(1)));
    assert!(error.is_in_doubt(), "it may be done when the server goes on");
    let began = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(redis.get("k").await.unwrap_err().kind(), RedisErrorKind::CircuitOpen);
    }
    println!("stopped: 1,000 calls after it took {:?}", began.elapsed());

    server.resume();
    eventually("it is asked again", async || redis.get("k").await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_the_same_time_pay_the_same_timeout() {
    let Some(server) = available(Redis::start().await) else { return };
    let redis = handle(server.url());
    redis.ping().await.unwrap();
    server.pause();
    let began = Instant::now();
    let failures = futures::future::join_all((0..500).map(|_| redis.get("k"))).await;
    println!("stopped: 500 calls at once took {:?}", began.elapsed());
    assert!(failures.iter().all(|result| result.as_ref().is_err_and(|error| error.is_unavailable())));
    server.resume();
    eventually("it is asked again", async || redis.get("k").await.is_ok()).await;
    assert_eq!(redis.circuit(), CircuitState::Closed, "a late failure of the old connection opens nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_wire_heals() {
    let Some(server) = available(Redis::start().await) else { return };
    let proxy = Proxy::to((std::net::Ipv4Addr::LOCALHOST, server.port())).await.unwrap();
    let redis = handle(&proxy.url(server.url()).unwrap());
    redis.set("k", b"v", None).await.unwrap();
    for _ in 0..3 {
        proxy.cut().await;
        assert!(redis.get("k").await.unwrap_err().is_unavailable());
        proxy.restore().await.unwrap();
        eventually("it is asked again", async || redis.get("k").await.is_ok()).await;
        assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(b"v".as_slice()));
    }
    proxy.stall();
    assert!(matches!(redis.get("k").await.unwrap_err().kind(), RedisErrorKind::Timeout(_)));
    proxy.restore().await.unwrap();
    eventually("it is asked again", async || redis.get("k").await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_the_same_time_share_one_connect() {
    let Some(server) = available(Redis::start().await) else { return };
    let mut raw = raw(server.url()).await;
    let mut received = async || {
        let info: String = redis::cmd("INFO").arg("stats").query_async(&mut raw).await.unwrap();
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:")).unwrap().to_owned();
        line.trim().parse::<u64>().unwrap()
    };
    let before = received().await;
    let redis = handle(server.url());
    let calls = (0..500).map(|_| {
        let redis = redis.clone();
        tokio::spawn(async move { redis.get("k").await })
    });
    for call in futures::future::join_all(calls).await {
        assert_eq!(call.unwrap().unwrap(), None);
    }
    assert_eq!(received().await - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_tells_of_every_loss_and_return() {
    let Some(server) = available(Redis::start().await) else { return };
    let redis = handle(server.url());
    let mut subscription = redis.subscribe(vec!["news".to_owned()]);
    assert_eq!(next(&mut subscription).await, Event::Listening);

    server.kill();
    assert_eq!(next(&mut subscription).await, Event::Lost);
    server.restart().await.unwrap();
    assert_eq!(next(&mut subscription).await, Event::Listening);

    // A server that is there and says nothing is lost as well.
    server.pause();
    assert_eq!(next(&mut subscription).await, Event::Lost);
    server.resume();
    assert_eq!(next(&mut subscription).await, Event::Listening);
    eventually("it can be told", async || redis.publish("news", b"x").await.is_ok_and(|heard| heard > 0)).await;
    assert_eq!(next(&mut subscription).await, Event::Message { channel: "news".to_owned(), payload: b"x".to_vec() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_handle_leaves_no_connection_behind() {
    let Some(server) = available(Redis::start().await) else { return };
    let mut raw = raw(server.url()).await;
    let mut clients = async || {
        let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut raw).await.unwrap();
        list.lines().count()
    };
    let before = clients().await;
    let redis = handle(server.url());
    redis.ping().await.unwrap();
    let mut subscription = redis.subscribe(vec!["news".to_owned()]);
    assert_eq!(next(&mut subscription).await, Event::Listening);
    assert!(clients().await > before);
    drop((redis, subscription));
    eventually("the connections are closed", async || clients().await == before).await;
}
