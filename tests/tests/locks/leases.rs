//! What a guard believes of its lease, its store grants: however it was shortened, prolonged, or left in doubt.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stanchion::lock::{Attempt, InProcess, LockGuard, LockName, LockOptions, LockStore, Locks, Owner, RedisLocks};
use stanchion::redis::{Options, Redis as Client, Script};
use stanchion_tests::testbed::{Proxy, Redis, Server, available, eventually, redis_url};
use tokio::time::timeout;
use uuid::Uuid;

use crate::faults::is_lost_in_time;

const MINUTE: Duration = Duration::from_secs(60);

fn in_process() -> Locks {
    Locks::new(Arc::new(InProcess::new()), "here")
}

/// Locks in a Redis over a wire, which give up a command after this time.
async fn wired(server: &Server, command_timeout: Duration) -> (Proxy, Locks) {
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, server.port())).await.unwrap();
    let options = Options { command_timeout, ..Options::default() };
    let client = Client::new(proxy.url(server.url()).unwrap().parse().unwrap(), options);
    (proxy, Locks::new(Arc::new(RedisLocks::new(client, "test")), "here"))
}

#[tokio::test]
async fn a_lease_that_was_cut_short_lasts_until_its_end() {
    let guard = in_process().acquire("a", LockOptions::ttl(MINUTE).no_renewal()).await.unwrap();
    guard.extend(Duration::from_millis(95)).await.unwrap();
    let deadline = guard.deadline();
    guard.lost().cancelled().await;
    let early = deadline.saturating_duration_since(Instant::now());
    assert!(early < Duration::from_millis(30), "told {early:?} before its deadline");
    assert_eq!(guard.deadline(), deadline, "and it was not renewed");
}

#[tokio::test]
async fn a_lease_that_was_cut_short_is_renewed_as_before() {
    let guard = in_process().acquire("a", LockOptions::ttl(MINUTE)).await.unwrap();
    guard.extend(Duration::from_secs(3)).await.unwrap();
    let deadline = guard.deadline();
    eventually("it is renewed", async || guard.deadline() > deadline + MINUTE / 2).await;
    assert!(guard.is_held() && !guard.lost().is_cancelled());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_lease_that_nobody_answers_for_is_lost_by_its_own_deadline() {
    let Some(server) = available(Redis::start().await) else { return };
    let short = Duration::from_millis(1_500);
    for dropped in [false, true] {
        let (proxy, locks) = wired(&server, MINUTE).await;
        let guard = locks.acquire(format!("a{dropped}"), LockOptions::ttl(MINUTE)).await.unwrap();
        proxy.stall();
        let lost = async |guard: &LockGuard| is_lost_in_time("cut short", guard).await;
        if dropped {
            assert!(timeout(Duration::from_millis(100), guard.extend(short)).await.is_err());
            lost(&guard).await;
        } else {
            tokio::select! {
                biased;
                answer = guard.extend(short) => panic!("nobody answers, but {answer:?}"),
                // It is under way by the time this is looked at.
                () = lost(&guard) => {}
            }
        }
    }
}

/// A request that was given up may still reach the store, after a later one was answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_counts_no_longer_than_a_request_in_doubt_would_leave_it() {
    let Some(server) = available(Redis::start().await) else { return };
    let (proxy, locks) = wired(&server, Duration::from_millis(200)).await;
    let guard = locks.acquire("a", LockOptions::ttl(MINUTE)).await.unwrap();
    let short = Duration::from_secs(20);
    proxy.stall();
    guard.extend(short).await.unwrap_err();
    proxy.restore().await.unwrap();
    eventually("it answers again", async || guard.extend(MINUTE * 60).await.is_ok()).await;
    assert!(guard.deadline() <= Instant::now() + short, "the shorter one may still come");
    assert!(guard.is_held());
    guard.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_in_redis_ends_no_earlier_than_was_asked_for() {
    let Some(url) = redis_url() else { return };
    let prefix = format!("test-{}", Uuid::new_v4().simple());
    let client = Client::new(url.parse().unwrap(), Options::default());
    let store = RedisLocks::new(client.clone(), &prefix);
    let (name, owner) = (LockName::try_from("a").unwrap(), Owner::new("here"));
    let key = format!("{prefix}:lock:{{a}}");
    let now = async || -> i64 {
        static TIME: Script = Script::new("test.time", "return redis.call('TIME')");
        let [seconds, micros]: [i64; 2] = client.run(&TIME, &[&key], &[]).await.unwrap();
        seconds * 1_000_000 + micros
    };
    // Redis keeps a key until the millisecond after the one in which it expires has begun.
    let ends = async || -> i64 {
        static END: Script = Script::new("test.end", "return redis.call('PEXPIRETIME', KEYS[1])");
        let millis: i64 = client.run(&END, &[&key], &[]).await.unwrap();
        (millis + 1) * 1_000
    };
    let ttl = Duration::from_micros(30_000_999);
    for _ in 0..50 {
        // Granted where it is free, granted again, and begun anew.
        let before = now().await;
        let granted = store.acquire(&name, &owner, ttl, Duration::ZERO).await.unwrap();
        assert!(matches!(granted, Attempt::Granted { .. }) && ends().await >= before + 30_000_999);
        let before = now().await;
        let granted = store.acquire(&name, &owner, ttl, Duration::ZERO).await.unwrap();
        assert!(matches!(granted, Attempt::Granted { .. }) && ends().await >= before + 30_000_999);
        let before = now().await;
        assert!(store.extend(&name, &owner, ttl).await.unwrap() && ends().await >= before + 30_000_999);
        assert!(store.release(&name, &owner).await.unwrap());
    }
}
