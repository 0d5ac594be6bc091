//! A recorded history of locked writes, checked for mutual exclusion by the order of the fences.
//!
//! Holders are paused past their leases, in one process and, by signals, in several; some are killed. Whoever was followed
//! by another must find the database closed. The gate runs some hundred hand-overs a store and back end;
//! `STANCHION_HAND_OVERS=100000` runs as many as are to be shown.

use std::time::{Duration, Instant};

use futures::future::join_all;
use nix::sys::signal::Signal;
use stanchion_tests::testbed::{Backend, TestDatabase, eventually, redis_url};
use stanchion_tests::{Ledger, Turn, on_every_backend};

use crate::actors::Actor;

on_every_backend! { empty:
    holders_paused_past_their_leases_write_nothing,
    processes_that_are_paused_and_killed_write_in_turn,
}

/// The stores that a database is tried with.
fn stores(database: &TestDatabase) -> Vec<&'static str> {
    let mut stores = vec!["in_process", "table"];
    stores.extend(redis_url().map(|_| "redis"));
    if database.backend() != Backend::Sqlite {
        stores.push("session");
    }
    stores
}

fn hand_overs() -> usize {
    std::env::var("STANCHION_HAND_OVERS").ok().and_then(|count| count.parse().ok()).unwrap_or(200)
}

async fn holders_paused_past_their_leases_write_nothing(database: TestDatabase) {
    let ttl = Duration::from_millis(30);
    let mut before = 0;
    for store in stores(&database) {
        let ledger = Ledger::open(store, database.url(), redis_url().as_deref()).await.unwrap();
        if before == 0 {
            ledger.create().await.unwrap();
        }
        let begun = Instant::now();
        let (tasks, rounds) = (8, hand_overs().div_ceil(8));
        let turns = join_all((0..tasks).map(|task| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                let mut counts = [0_i64; 3];
                for round in 0..rounds {
                    // One in twenty is paused until its lease is over and the next one has had time to write.
                    let paused = fastrand::u8(0..20) == 0;
                    let pause = async {
                        if paused {
                            tokio::time::sleep(ttl * 2).await;
                        }
                    };
                    counts[ledger.turn(task, ttl, pause, round % 2 == 0).await as usize] += 1;
                }
                counts
            })
        }));
        let mut counts = [0; 3];
        for turns in turns.await {
            let turns = turns.unwrap();
            counts = std::array::from_fn(|at| counts[at] + turns[at]);
        }
        let [accepted, refused, missed] = counts;
        let history = ledger.history().await.unwrap();
        println!(
            "{} with {store} locks: {accepted} accepted, {refused} refused, {missed} missed, {} stale writes accepted, in {:.1?}",
            database.backend(),
            history.stale,
            begun.elapsed()
        );
        assert_eq!((history.stale, history.repeated), (0, 0), "{store}");
        assert_eq!((history.rows, history.counter), (before + accepted, before + accepted), "{store}");
        assert!(accepted > 0, "{store}");
        before = history.rows;
    }
}

fn start(store: &str, database: &TestDatabase, number: usize) -> Actor {
    Actor::start(database, "locker", &[store, "50", &number.to_string()])
}

async fn processes_that_are_paused_and_killed_write_in_turn(database: TestDatabase) {
    let backend = database.backend();
    let shared = stores(&database).into_iter().filter(|store| *store != "in_process");
    // Each with a database of its own, at the same time.
    join_all(shared.map(|store| async move {
        let database = TestDatabase::empty(backend).await.unwrap();
        processes_write_in_turn(store, &database).await;
    }))
    .await;
}

async fn processes_write_in_turn(store: &str, database: &TestDatabase) {
    let ledger = Ledger::open(store, database.url(), redis_url().as_deref()).await.unwrap();
    ledger.create().await.unwrap();
    let mut lockers: Vec<Actor> = (0..3).map(|number| start(store, database, number)).collect();
    let mut dead: Vec<Actor> = Vec::new();
    let total = |lockers: &[Actor], dead: &[Actor]| -> usize {
        lockers.iter().chain(dead).map(|locker| locker.count("accepted")).sum()
    };
    for locker in &lockers {
        eventually("each has written", async || locker.count("accepted") > 0).await;
    }
    for round in 0..12 {
        let chosen = fastrand::usize(0..lockers.len());
        if round % 4 == 3 {
            lockers[chosen].signal(Signal::SIGKILL);
            let next = start(store, database, 3 + round);
            dead.push(std::mem::replace(&mut lockers[chosen], next));
        } else {
            lockers[chosen].signal(Signal::SIGSTOP);
            // Paused until the others have gone on, or found that they cannot: it may have stopped inside its
            // transaction, which holds up the next fence.
            let seen = total(&lockers, &dead);
            let goes_on = eventually("the others go on", async || total(&lockers, &dead) > seen + 1);
            let _perhaps = tokio::time::timeout(Duration::from_millis(400), goes_on).await;
            lockers[chosen].signal(Signal::SIGCONT);
        }
        let seen = total(&lockers, &dead);
        eventually("somebody writes", async || total(&lockers, &dead) > seen).await;
    }
    for locker in lockers.iter_mut().chain(&mut dead) {
        locker.kill().await;
    }
    let history = eventually_settled(&ledger).await;
    let told = total(&lockers, &dead);
    let refused: usize = lockers.iter().chain(&dead).map(|locker| locker.count("refused")).sum();
    println!(
        "{} with {store} locks in processes: {told} told as accepted, {refused} refused, {history:?}",
        database.backend()
    );
    assert_eq!((history.stale, history.repeated), (0, 0), "{store}");
    assert_eq!(history.counter, history.rows, "{store}");
    assert!(history.rows >= i64::try_from(told).unwrap(), "{store}: what was accepted is there");
}

/// The history once the server has ended the transactions of the dead.
async fn eventually_settled(ledger: &Ledger) -> stanchion_tests::History {
    let ttl = Duration::from_millis(50);
    // A turn of its own comes after all of theirs.
    eventually("it has a turn", async || ledger.turn(-1, ttl, async {}, false).await == Turn::Accepted).await;
    ledger.history().await.unwrap()
}
