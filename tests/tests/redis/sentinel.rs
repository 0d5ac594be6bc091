//! Sentinels that choose another master: calls go on with it, without a restart of ours.

use std::time::Instant;

use stanchion::redis::{CircuitState, Event};
use stanchion_tests::testbed::{RedisSentinel, available, eventually};

use crate::places::{handle, next, raw, try_raw};

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_after_the_master_was_killed() {
    let Some(sentinel) = available(RedisSentinel::start().await) else { return };
    let redis = handle(&sentinel.url());
    redis.set("k", b"v", None).await.unwrap();
    let mut subscription = redis.subscribe(vec!["news".to_owned()]);
    assert_eq!(next(&mut subscription).await, Event::Listening);
    let first = sentinel.servers()[0].port();

    sentinel.servers()[0].kill();
    let began = Instant::now();
    eventually("writes go on", async || redis.set("k", b"w", None).await.is_ok()).await;
    println!("sentinel: writes go on {:?} after the master was killed", began.elapsed());
    assert_eq!((redis.circuit(), redis.connection()), (CircuitState::Closed, 2));
    let master = async || sentinel.master().await.is_some_and(|master| master.port() != first);
    eventually("the sentinels agree on the new master", master).await;
    let held: String =
        redis::cmd("GET").arg("k").query_async(&mut raw(sentinel.master().await.unwrap().url()).await).await.unwrap();
    assert_eq!(held, "w", "it is the new master that was written to");
    assert_eq!(next(&mut subscription).await, Event::Lost);
    assert_eq!(next(&mut subscription).await, Event::Listening);
    eventually("it can be told", async || redis.publish("news", b"x").await.is_ok_and(|heard| heard > 0)).await;

    sentinel.servers()[0].restart().await.unwrap();
    eventually("writes go on with the old master back", async || redis.set("k", b"x", None).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_after_the_master_fell_silent() {
    let Some(sentinel) = available(RedisSentinel::start().await) else { return };
    let redis = handle(&sentinel.url());
    redis.set("k", b"v", None).await.unwrap();

    sentinel.servers()[0].pause();
    let began = Instant::now();
    eventually("writes go on", async || redis.set("k", b"w", None).await.is_ok()).await;
    println!("sentinel: writes go on {:?} after the master was stopped", began.elapsed());

    sentinel.servers()[0].resume();
    eventually("the old master is told that it is none", async || {
        // It closes its connections when it becomes a replica, also one that is being made.
        let Ok(mut raw) = try_raw(sentinel.servers()[0].url()).await else { return false };
        let info: Result<String, _> = redis::cmd("INFO").arg("replication").query_async(&mut raw).await;
        info.is_ok_and(|info| info.contains("role:slave"))
    })
    .await;
    assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(b"w".as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sentinel_is_enough_to_find_the_master() {
    let Some(sentinel) = available(RedisSentinel::start().await) else { return };
    sentinel.sentinels()[0].kill();
    sentinel.sentinels()[1].kill();
    let redis = handle(&sentinel.url());
    redis.set("k", b"v", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_that_are_silent_are_passed_over() {
    let Some(sentinel) = available(RedisSentinel::start().await) else { return };
    // The first two that the URL names.
    sentinel.sentinels()[0].pause();
    sentinel.sentinels()[1].pause();
    let redis = handle(&sentinel.url());
    let began = Instant::now();
    eventually("the third is asked", async || redis.set("k", b"v", None).await.is_ok()).await;
    println!("two sentinels stopped: connected and written after {:?}", began.elapsed());
    let mut subscription = redis.subscribe(vec!["news".to_owned()]);
    assert_eq!(next(&mut subscription).await, Event::Listening);
}
