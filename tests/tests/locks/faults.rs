//! Redis fails while a lock is held, or asked for: the holder hears of it in time, and nothing is taken twice unseen.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stanchion::Error;
use stanchion::config::OnOutage;
use stanchion::db::{Db, Options as DbOptions};
use stanchion::lock::{Leader, LockError, LockGuard, LockOptions, Locks, RedisLocks};
use stanchion::redis::{Options, Redis as Client};
use stanchion_tests::testbed::{Backend, Proxy, Redis, Server, TestDatabase, available, eventually};

const TTL: Duration = Duration::from_millis(1_500);

async fn server() -> Option<Server> {
    available(Redis::start().await)
}

fn locks(url: &str) -> Locks {
    locks_with(url, OnOutage::Fail)
}

fn locks_with(url: &str, on_outage: OnOutage) -> Locks {
    let client = Client::new(url.parse().unwrap(), Options::default());
    Locks::with(Arc::new(RedisLocks::new(client, "test")), "here", on_outage)
}

async fn wired(server: &Server) -> (Proxy, Locks) {
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, server.port())).await.unwrap();
    let locks = locks(&proxy.url(server.url()).unwrap());
    (proxy, locks)
}

/// The loss is told no later than the deadline, and for good. What the machine was late with every timer of this process
/// meanwhile does not count.
pub(crate) async fn is_lost_in_time(what: &str, guard: &LockGuard) {
    let late = Arc::new(Mutex::new(Duration::ZERO));
    let watching = tokio::spawn(watch_timers(Arc::clone(&late)));
    let lost = guard.lost();
    lost.cancelled().await;
    let (now, deadline) = (Instant::now(), guard.deadline());
    watching.abort();
    // Three have a turn one after the other: the timer, the token, and who waits for it.
    let late = *late.lock().unwrap() * 3;
    assert!(now <= deadline + late, "{what}: told {:?} after the deadline, timers {late:?} late", now - deadline);
    println!("{what}: told {:?} before the deadline", deadline.saturating_duration_since(now));
    assert!(!guard.is_held());
}

/// Notes how late a timer of this process is at worst.
async fn watch_timers(late: Arc<Mutex<Duration>>) {
    loop {
        let due = Instant::now() + Duration::from_millis(5);
        tokio::time::sleep_until(due.into()).await;
        let mut late = late.lock().unwrap();
        *late = due.elapsed().max(*late);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_lost_in_time_when_its_server_is_killed() {
    let Some(server) = server().await else { return };
    let guard = locks(server.url()).acquire("a", LockOptions::ttl(TTL)).await.unwrap();
    server.kill();
    is_lost_in_time("killed", &guard).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_lost_in_time_when_its_server_hangs() {
    let Some(server) = server().await else { return };
    let locks = locks(server.url());
    let guard = locks.acquire("a", LockOptions::ttl(TTL)).await.unwrap();
    server.pause();
    is_lost_in_time("paused", &guard).await;
    server.resume();
    // What the server was told before it hung, it does now: the lock is free again in the end, and never the guard's.
    let next = locks.acquire("a", LockOptions::ttl(TTL).wait(Duration::from_secs(30))).await.unwrap();
    assert!(!guard.is_held());
    assert!(guard.release().await.unwrap_err().is_stale());
    assert!(next.is_held());
    next.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_lost_in_time_when_the_wire_is_cut_or_stalls() {
    let Some(server) = server().await else { return };
    for stall in [false, true] {
        let (proxy, locks) = wired(&server).await;
        let guard = locks.acquire("a", LockOptions::ttl(TTL).wait(Duration::from_secs(30))).await.unwrap();
        if stall {
            proxy.stall()
        } else {
            proxy.cut().await
        }
        is_lost_in_time(if stall { "stalled" } else { "cut" }, &guard).await;
        proxy.restore().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_its_server_forgot_is_lost_and_not_taken_again() {
    let Some(server) = available(Redis::start_with(&[("appendonly", "no")]).await) else { return };
    let (holder, other) = (locks(server.url()), locks(server.url()));
    let guard = holder.acquire("a", LockOptions::ttl(TTL * 2)).await.unwrap();
    server.kill();
    server.restart().await.unwrap();
    is_lost_in_time("forgotten", &guard).await;
    assert!(other.held(10).await.unwrap().is_empty(), "nobody took it again");
    let next = other.acquire("a", LockOptions::ttl(TTL)).await.unwrap();
    assert!(!guard.is_held() && guard.release().await.is_err());
    next.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_misses_its_replicas_is_out_of_use_and_no_more() {
    let Some(server) = server().await else { return };
    let wants_replicas = async |count: u8| {
        let mut raw = redis::Client::open(server.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
        let mut set = redis::cmd("CONFIG");
        let _set: () = set.arg("SET").arg("min-replicas-to-write").arg(count).query_async(&mut raw).await.unwrap();
    };
    let locks = locks(server.url());
    let guard = locks.acquire("a", LockOptions::ttl(TTL)).await.unwrap();
    let leader = Leader::new(&locks, "b", LockOptions::ttl(TTL)).unwrap();
    let campaign = tokio::spawn({
        let leader = leader.clone();
        async move { leader.campaign(std::future::pending()).await }
    });
    let (mut standing, patience) = (leader.standing(), Duration::from_secs(60));
    tokio::time::timeout(patience, standing.wait_for(Option::is_some)).await.unwrap().unwrap();

    wants_replicas(1).await;
    let refused = locks.try_acquire("c", LockOptions::ttl(TTL)).await.unwrap_err();
    assert!(refused.is_unavailable(), "{refused}");
    is_lost_in_time("without replicas", &guard).await;
    tokio::time::timeout(patience, standing.wait_for(Option::is_none)).await.unwrap().unwrap();

    wants_replicas(0).await;
    let leads = tokio::time::timeout(patience, standing.wait_for(Option::is_some)).await.unwrap();
    assert_eq!(leads.unwrap().as_ref().map(|term| term.number()), Some(2), "it has gone on campaigning");
    locks.acquire("a", LockOptions::ttl(TTL)).await.unwrap().release().await.unwrap();
    campaign.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_outage_is_outlived() {
    let Some(server) = server().await else { return };
    let (proxy, locks) = wired(&server).await;
    let ttl = Duration::from_secs(6);
    let guard = locks.acquire("a", LockOptions::ttl(ttl)).await.unwrap();
    let first = guard.deadline();
    proxy.cut().await;
    // A renewal is due after two seconds: it fails at first.
    tokio::time::sleep(Duration::from_millis(2_300)).await;
    assert_eq!(guard.deadline(), first);
    proxy.restore().await.unwrap();
    eventually("it was renewed", async || guard.deadline() > first).await;
    assert!(guard.is_held() && !guard.lost().is_cancelled());
    guard.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_whose_answer_is_lost_is_found_again() {
    let Some(server) = server().await else { return };
    let (proxy, locks) = wired(&server).await;
    let look = self::locks(server.url());
    assert!(look.held(10).await.unwrap().is_empty());
    // Connected, and its script known.
    locks.acquire("b", LockOptions::ttl(TTL)).await.unwrap().release().await.unwrap();
    server.pause();
    let asking = tokio::spawn({
        let locks = locks.clone();
        async move { locks.acquire("a", LockOptions::ttl(Duration::from_secs(60))).await }
    });
    // The request is with the server's machine; its answer never comes.
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.cut().await;
    server.resume();
    eventually("it was granted", async || look.held(10).await.unwrap().len() == 1).await;
    proxy.restore().await.unwrap();
    let guard = asking.await.unwrap().unwrap();
    assert!(guard.is_held());
    assert!(look.try_acquire("a", LockOptions::ttl(TTL)).await.unwrap().is_none());
    guard.release().await.unwrap();
    assert!(look.held(10).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_whose_asker_gave_up_is_given_back() {
    let Some(server) = server().await else { return };
    let (proxy, locks) = wired(&server).await;
    let look = self::locks(server.url());
    locks.acquire("b", LockOptions::ttl(TTL)).await.unwrap().release().await.unwrap();
    server.pause();
    let asking = tokio::spawn(async move { locks.try_acquire("a", LockOptions::ttl(Duration::from_secs(600))).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.cut().await;
    let failed = asking.await.unwrap().unwrap_err();
    assert!(failed.is_unavailable(), "{failed}");
    server.resume();
    eventually("it was granted", async || look.held(10).await.unwrap().len() == 1).await;
    proxy.restore().await.unwrap();
    eventually("it was given back", async || look.held(10).await.unwrap().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_over_a_lost_subscription_misses_no_release() {
    let Some(server) = server().await else { return };
    let (proxy, waiter) = wired(&server).await;
    let holder = locks(server.url());
    let guard = holder.acquire("a", LockOptions::ttl(Duration::from_secs(600))).await.unwrap();
    let waiting =
        tokio::spawn(async move { waiter.acquire("a", LockOptions::ttl(TTL).wait(Duration::from_secs(60))).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    proxy.cut().await;
    guard.release().await.unwrap();
    proxy.restore().await.unwrap();
    waiting.await.unwrap().unwrap().release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_nothing_is_granted_except_what_is_fenced_and_may_degrade() {
    let Some(server) = server().await else { return };
    let database = TestDatabase::migrated(Backend::Sqlite).await.unwrap();
    let settings = stanchion::config::Database::new(database.url().parse().unwrap());
    let db = Db::connect("test", &settings, DbOptions::default()).await.unwrap();
    let (closed, degraded) = (locks(server.url()), locks_with(server.url(), OnOutage::Degrade));
    let options = LockOptions::ttl(TTL).wait(Duration::from_millis(100));
    let first = degraded.acquire("a", options.clone().fenced(&db)).await.unwrap();
    let first_token = first.fence().unwrap().token();
    assert!(!first.is_degraded());
    first.release().await.unwrap();
    server.kill();
    for locks in [&closed, &degraded] {
        let refused = locks.acquire("a", options.clone()).await.unwrap_err();
        assert!(refused.is_unavailable(), "{refused}");
        assert!(locks.try_acquire("a", options.clone()).await.unwrap_err().is_unavailable());
    }
    assert!(closed.acquire("a", options.clone().fenced(&db)).await.unwrap_err().is_unavailable());

    let old = degraded.acquire("a", options.clone().fenced(&db)).await.unwrap();
    assert!(old.is_degraded() && old.is_held());
    assert!(old.fence().unwrap().token() > first_token);
    assert!(old.extend(TTL).await.unwrap_err().is_invalid());
    // Nobody excludes anybody; the newest may write, and nobody else.
    let new = degraded.acquire("a", options.fenced(&db)).await.unwrap();
    let stale = db.transaction(async |tx| tx.check_fence(&old).await).await;
    assert!(matches!(stale, Err(Error::Lock(LockError::Stale { .. }))), "{stale:?}");
    db.transaction(async |tx| tx.check_fence(&new).await).await.unwrap();
    new.release().await.unwrap();
    is_lost_in_time("degraded", &old).await;
}
