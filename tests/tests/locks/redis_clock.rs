//! Somebody sets the clock of the Redis server that keeps the locks: a step forward ends leases early, one back lengthens
//! those of the dead, and nothing is written out of order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use stanchion::Error;
use stanchion::lock::{Attempt, LockError, LockName, LockOptions, LockStore, Locks, Owner, RedisLocks};
use stanchion::redis::{Options, Redis as Client};
use stanchion_tests::testbed::{Backend, Redis, Server, TestDatabase, available, eventually};
use stanchion_tests::{Ledger, Turn};

use crate::clocks::{Clock, faketime};
use crate::faults::is_lost_in_time;
use crate::open;

const STEP: i64 = 600;
/// Not renewed before the test is over, and over when the clock has been put forward.
const LONG: Duration = Duration::from_secs(500);
const TTL: Duration = Duration::from_millis(1_500);
/// Long enough that a busy machine renews in time.
const KEPT: Duration = Duration::from_secs(4);

/// A server that goes by a clock of its own.
struct Stepped {
    server: Server,
    clock: Clock,
    _folder: tempfile::TempDir,
}

impl Stepped {
    async fn start() -> Option<Self> {
        // The C library's allocator right after it: jemalloc, which packages of Redis bring, wants to know the time before
        // libfaketime is ready to tell.
        let library = format!("{} libc.so.6", faketime()?);
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::new(folder.path(), "redis");
        let server = available(Redis::start_in(&clock.environment(&library)).await)?;
        Some(Self { server, clock, _folder: folder })
    }

    fn store(&self) -> Arc<dyn LockStore> {
        Arc::new(RedisLocks::new(Client::new(self.server.url().parse().unwrap(), Options::default()), "test"))
    }

    fn locks(&self, instance: &str) -> Locks {
        Locks::new(self.store(), instance)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_forward_ends_leases_and_fences_keep_their_holders_out() {
    let Some(redis) = Stepped::start().await else { return };
    let database = TestDatabase::empty(Backend::Sqlite).await.unwrap();
    let db = open(&database).await;
    let (holder, other) = (redis.locks("holder"), redis.locks("other"));
    let options = LockOptions::ttl(LONG).fenced(&db);
    let first = holder.acquire("a", options.clone()).await.unwrap();
    let short = holder.acquire("b", LockOptions::ttl(TTL)).await.unwrap();
    assert!(other.try_acquire("a", options.clone()).await.unwrap().is_none());

    redis.clock.step(STEP);
    is_lost_in_time("put forward", &short).await;
    let next =
        other.try_acquire("a", options.clone()).await.unwrap().expect("its lease has ended by the server's clock");
    assert!(first.is_held() && next.is_held(), "and not by the holder's: two hold it");
    assert!(next.fence().unwrap().token() > first.fence().unwrap().token());
    let refused = db.transaction(async |tx| tx.check_fence(&first).await).await.unwrap_err();
    assert!(matches!(refused, Error::Lock(LockError::Stale { .. })), "{refused}");
    db.transaction(async |tx| tx.check_fence(&next).await).await.unwrap();

    let lost = first.extend(LONG).await.unwrap_err();
    assert!(matches!(lost, Error::Lock(LockError::Lost { .. })), "{lost}");
    assert!(first.lost().is_cancelled() && !first.is_held());
    assert!(first.release().await.unwrap_err().is_stale());
    next.extend(LONG).await.unwrap();
    assert!(holder.try_acquire("a", options).await.unwrap().is_none());
    next.release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_back_lengthens_the_leases_of_the_dead_alone() {
    const BACK: u64 = 3;
    let Some(redis) = Stepped::start().await else { return };
    let (holder, other, dead) = (redis.locks("holder"), redis.locks("other"), redis.store());
    let guard = holder.acquire("kept", LockOptions::ttl(KEPT)).await.unwrap();
    let (name, owner, lease) = (LockName::try_from("dead").unwrap(), Owner::new("dead"), Duration::from_millis(500));
    let granted = dead.acquire(&name, &owner, lease, Duration::ZERO).await.unwrap();
    let Attempt::Granted { since } = granted else { panic!("it is free") };

    redis.clock.step(-i64::try_from(BACK).unwrap());
    let stepped = Instant::now();
    let next = other.acquire("dead", LockOptions::ttl(LONG).wait(Duration::from_secs(60))).await.unwrap();
    let (after, longest) = (since.elapsed(), lease + Duration::from_secs(BACK));
    println!("a lease of {lease:?} lasted {after:?} on a clock that was set back by {BACK} s");
    assert!(after >= longest - Duration::from_millis(50), "its end stays where it was by the server's clock");
    next.release().await.unwrap();

    // Whoever lives begins its lease by the new clock.
    eventually("it is renewed", async || guard.deadline() > stepped + KEPT).await;
    let held = other.held(10).await.unwrap();
    assert_eq!(held.len(), 1, "{held:?}");
    assert!(held[0].remaining.unwrap() <= KEPT, "{held:?}");
    assert!(guard.is_held() && other.try_acquire("kept", LockOptions::ttl(KEPT)).await.unwrap().is_none());
    redis.clock.step(-STEP);
    let stepped = Instant::now();
    eventually("it is renewed", async || guard.deadline() > stepped + KEPT).await;
    guard.release().await.unwrap();
    other.acquire("kept", LockOptions::ttl(KEPT)).await.unwrap().release().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_while_many_write_let_nobody_write_out_of_order() {
    let Some(redis) = Stepped::start().await else { return };
    let database = TestDatabase::empty(Backend::Sqlite).await.unwrap();
    let url = redis.server.url();
    let ledger = Ledger::open("redis", database.url(), Some(url)).await.unwrap();
    ledger.create().await.unwrap();
    let (accepted, refused) = (Arc::<AtomicI64>::default(), Arc::<AtomicI64>::default());
    let enough = Arc::<AtomicBool>::default();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let (ledger, enough) = (ledger.clone(), Arc::clone(&enough));
            let (accepted, refused) = (Arc::clone(&accepted), Arc::clone(&refused));
            tokio::spawn(async move {
                let ttl = Duration::from_millis(200);
                for round in 0_u64.. {
                    if enough.load(Ordering::SeqCst) {
                        break;
                    }
                    // Long enough for a step to end the lease before what is written under it.
                    let pause = tokio::time::sleep(if round % 8 == 0 { ttl * 2 } else { ttl / 20 });
                    match ledger.turn(task, ttl, pause, round % 2 == 0).await {
                        Turn::Accepted => accepted.fetch_add(1, Ordering::SeqCst),
                        Turn::Refused => refused.fetch_add(1, Ordering::SeqCst),
                        Turn::Missed => 0,
                    };
                }
            })
        })
        .collect();
    for step in [STEP, 0, -STEP, STEP, -STEP, 0] {
        let before = accepted.load(Ordering::SeqCst);
        redis.clock.step(step);
        eventually("turns go on", async || accepted.load(Ordering::SeqCst) >= before + 20).await;
    }
    enough.store(true, Ordering::SeqCst);
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let history = ledger.history().await.unwrap();
    println!("{refused:?} refused, {history:?}");
    assert_eq!((history.stale, history.repeated), (0, 0));
    let accepted = accepted.load(Ordering::SeqCst);
    assert_eq!((history.rows, history.counter), (accepted, accepted));
}
