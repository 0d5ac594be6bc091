//! What a guard knows and tells, on locks of the process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use metrics_util::debugging::DebuggingRecorder;
use stanchion::Error;
use stanchion::lock::{InProcess, LockError, LockOptions, Locks, Owner};
use stanchion::types::Timestamp;
use stanchion_tests::Stage;
use stanchion_tests::testbed::{Backend, TestDatabase, eventually};

use crate::faults::is_lost_in_time;

fn locks() -> Locks {
    Locks::new(Arc::new(InProcess::new()), "here")
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test]
async fn a_lock_ends_at_its_bound_and_is_not_taken_again() {
    let locks = locks();
    // Long enough for a machine that is busy to renew it in time.
    let options = LockOptions::ttl(millis(1_500)).renew_for(millis(5_250));
    let begun = Instant::now();
    let guard = locks.acquire("a", options).await.unwrap();
    let lost = guard.lost();
    lost.cancelled().await;
    let took = begun.elapsed();
    assert!(took > millis(3_000), "it was renewed: {took:?}");
    assert!(!guard.is_held());
    let next = locks.acquire("a", LockOptions::ttl(millis(100))).await.unwrap();
    assert!(!guard.is_held() && next.is_held());
    let refused = guard.extend(millis(100)).await.unwrap_err();
    assert!(matches!(refused, Error::Lock(LockError::Lost { .. })) && refused.is_stale(), "{refused}");
    assert!(matches!(guard.release().await, Err(Error::Lock(LockError::Lost { .. }))));
    assert!(next.is_held(), "what one has lost it does not give back");
}

#[tokio::test]
async fn without_renewal_a_lock_is_lost_before_its_deadline() {
    let guard = locks().acquire("a", LockOptions::ttl(millis(500)).no_renewal()).await.unwrap();
    let deadline = guard.deadline();
    is_lost_in_time("not renewed", &guard).await;
    assert_eq!(guard.deadline(), deadline);
}

#[tokio::test]
async fn a_holder_extends_and_shortens_its_lease() {
    let guard = locks().acquire("a", LockOptions::ttl(millis(200)).no_renewal()).await.unwrap();
    guard.extend(Duration::from_secs(60)).await.unwrap();
    assert!(guard.deadline() > Instant::now() + Duration::from_secs(50));
    guard.extend(millis(50)).await.unwrap();
    assert!(guard.deadline() < Instant::now() + millis(50));
    guard.lost().cancelled().await;
    assert!(!guard.is_held());
}

#[tokio::test]
async fn work_is_stopped_when_its_lock_is_lost() {
    let locks = locks();
    let guard = locks.acquire("a", LockOptions::ttl(millis(50)).no_renewal()).await.unwrap();
    assert_eq!(guard.run(async { 7 }).await.unwrap(), 7);
    let stopped = guard.run(std::future::pending::<()>()).await;
    assert!(matches!(stopped, Err(LockError::Lost { .. })));
    let never = guard.run(async { panic!("it does not begin") }).await;
    assert!(matches!(never, Err(LockError::Lost { .. })));
}

#[tokio::test]
async fn a_release_does_not_fire_the_token() {
    let locks = locks();
    let guard = locks.acquire("a", LockOptions::ttl(millis(50))).await.unwrap();
    let lost = guard.lost();
    guard.release().await.unwrap();
    tokio::time::sleep(millis(100)).await;
    assert!(!lost.is_cancelled());
    assert!(locks.held(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_guard_that_is_forgotten_ends_with_its_bound() {
    let locks = locks();
    std::mem::forget(locks.acquire("a", LockOptions::ttl(millis(50)).renew_for(millis(100))).await.unwrap());
    locks.acquire("a", LockOptions::ttl(millis(50))).await.unwrap().release().await.unwrap();
}

#[tokio::test]
async fn those_who_wait_get_it_in_their_order() {
    let locks = locks();
    let guard = locks.acquire("a", LockOptions::ttl(Duration::from_secs(60))).await.unwrap();
    let (order, mut heard) = tokio::sync::mpsc::unbounded_channel();
    for at in 0..100 {
        let (locks, order) = (locks.clone(), order.clone());
        tokio::spawn(async move {
            let guard = locks.acquire("a", LockOptions::ttl(Duration::from_secs(60))).await.unwrap();
            order.send(at).unwrap();
            guard.release().await.unwrap();
        });
        // It stands in line before the next one comes.
        tokio::task::yield_now().await;
    }
    guard.release().await.unwrap();
    for at in 0..100 {
        assert_eq!(heard.recv().await, Some(at));
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let locks = locks();
    let day = Duration::from_secs(60 * 60 * 24);
    for options in [
        LockOptions::ttl(Duration::ZERO),
        LockOptions::ttl(millis(9)),
        LockOptions::ttl(day * 2),
        LockOptions::ttl(Duration::MAX),
        LockOptions::ttl(millis(10)).wait(Duration::MAX),
        LockOptions::ttl(millis(10)).renew_for(Duration::MAX),
    ] {
        let refused = locks.acquire("a", options).await.unwrap_err();
        assert!(refused.is_invalid(), "{refused}");
    }
    let guard = locks.acquire("a", LockOptions::ttl(day)).await.unwrap();
    assert!(guard.extend(Duration::MAX).await.unwrap_err().is_invalid());
    assert!(guard.is_held());
}

#[tokio::test]
async fn locks_need_no_runtime_in_the_process() {
    let locks = locks();
    std::thread::spawn(move || {
        let guard = locks.acquire("a", LockOptions::ttl(millis(200))).now_or_never().unwrap().unwrap();
        assert!(guard.is_held());
        drop(guard);
        assert!(locks.held(10).now_or_never().unwrap().unwrap().is_empty());
    })
    .join()
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_the_wall_clock_end_no_lease() {
    let database = TestDatabase::migrated(Backend::Sqlite).await.unwrap();
    let stage = Stage::on(database).await.unwrap();
    let locks = stage.app.locks();
    let now = 1_772_366_400_000;
    let ttl = millis(1_500);
    let guard = locks.acquire("a", LockOptions::ttl(ttl)).await.unwrap();
    for step in [600_000, -600_000] {
        stage.clock.set(Timestamp::from_millis(now + step).unwrap());
        let other = locks.acquire("a", LockOptions::ttl(ttl).wait(ttl + millis(100))).await;
        assert!(other.is_err() && guard.is_held(), "after a step of {step} ms");
    }
    guard.release().await.unwrap();
}

#[test]
fn what_locks_do_is_counted_without_their_names() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let locks = locks();
            let options = LockOptions::ttl(millis(40)).no_renewal();
            let guard = locks.acquire("secret-name", options.clone()).await.unwrap();
            assert!(locks.try_acquire("secret-name", options.clone()).await.unwrap().is_none());
            assert!(locks.acquire("secret-name", options.clone().wait(millis(10))).await.is_err());
            guard.lost().cancelled().await;
            drop(guard);
        });
    });
    let told: Vec<String> =
        snapshotter.snapshot().into_vec().into_iter().map(|(key, ..)| key.key().to_string()).collect();
    let all = told.join("\n");
    for (metric, label) in [
        ("lock.acquisitions", "outcome = acquired"),
        ("lock.acquisitions", "outcome = conflict"),
        ("lock.acquisitions", "outcome = timeout"),
        ("lock.lost", "store = in_process"),
        ("lock.wait.duration", "store = in_process"),
        ("lock.hold.duration", "store = in_process"),
    ] {
        assert!(told.iter().any(|key| key.contains(metric) && key.contains(label)), "{metric} {label} in\n{all}");
    }
    assert!(!all.contains("secret-name"), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_come_and_go_keep_none_from_being_looked_after() {
    const TTL: Duration = Duration::from_secs(3);
    let locks = locks();
    let held = locks.acquire("held", LockOptions::ttl(TTL)).await.unwrap();
    let ends = locks.acquire("ends", LockOptions::ttl(TTL).no_renewal()).await.unwrap();
    let (lost, first) = (ends.lost(), held.deadline());
    let mut rounds = 0_u64;
    while !lost.is_cancelled() || held.deadline() <= first {
        for ttl in [millis(10), TTL, TTL * 1_000] {
            let guard = locks.acquire("a", LockOptions::ttl(ttl)).await.unwrap();
            if rounds.is_multiple_of(2) {
                drop(guard);
            } else {
                // The shortest may be over by now.
                drop(guard.release().await);
            }
        }
        rounds += 1;
        tokio::task::yield_now().await;
        assert!(Instant::now() < first + Duration::from_secs(60), "neither renewed nor lost in {rounds} rounds");
    }
    assert!(held.is_held() && !held.lost().is_cancelled() && !ends.is_held());
    held.release().await.unwrap();
}

#[tokio::test]
async fn a_lease_that_is_extended_often_is_renewed_all_the_same() {
    let guard = locks().acquire("a", LockOptions::ttl(Duration::from_secs(3))).await.unwrap();
    for _ in 0..100 {
        guard.extend(Duration::from_secs(60)).await.unwrap();
        guard.extend(Duration::from_secs(3)).await.unwrap();
    }
    let last = guard.deadline();
    eventually("it is renewed", async || guard.deadline() > last).await;
    assert!(guard.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_never_cuts_short_what_was_extended() {
    let guard = locks().acquire("a", LockOptions::ttl(millis(300))).await.unwrap();
    guard.extend(millis(1_500)).await.unwrap();
    let (extended, lost) = (guard.deadline(), guard.lost());
    eventually("its time comes", async || guard.deadline() != extended || lost.is_cancelled()).await;
    assert!(guard.deadline() >= extended, "cut short by {:?}", extended - guard.deadline());
}

#[test]
fn an_owner_is_written_as_its_instance_and_a_number() {
    let [one, other] = [Owner::new("here/7"), Owner::new("here/7")];
    let text = one.to_string();
    assert_eq!((one.instance(), Owner::instance_of(&text)), ("here/7", "here/7"));
    let number = text.strip_prefix("here/7/").unwrap();
    assert!(number.len() == 32 && number.bytes().all(|digit| digit.is_ascii_hexdigit()), "{text}");
    assert!(one != other && text != other.to_string());
}
