//! Somebody sets the wall clocks of those who hold and want locks, ten minutes ahead and back: nothing comes of it.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use stanchion_tests::testbed::{TestDatabase, eventually, redis_url};
use stanchion_tests::{Ledger, on_every_backend};

use crate::actors::Actor;

on_every_backend! { empty: a_step_of_the_wall_clock_changes_nothing }

const STEP: i64 = 600;
/// Long enough that a busy machine renews in time; two renewals are seen after every step.
const TTL_MS: &str = "2000";

/// libfaketime, as its own program names it to the linker; `None`, reported, where it is not installed.
pub(crate) fn faketime() -> Option<String> {
    let named = std::process::Command::new("faketime").args(["-m", "-f", "+0s", "printenv", "LD_PRELOAD"]).output();
    let library = named
        .ok()
        .filter(|named| named.status.success())
        .map(|named| String::from_utf8(named.stdout).unwrap().trim().to_owned());
    let library = library.filter(|library| !library.is_empty());
    if library.is_none() {
        let required =
            cfg!(target_os = "linux") && std::env::var_os("STANCHION_TEST_REQUIRE").is_some_and(|value| value == "all");
        assert!(!required, "faketime is missing, and STANCHION_TEST_REQUIRE=all asks for all that tests need");
        eprintln!("faketime is missing; its test did not run: use ./scripts/test");
    }
    library
}

/// A wall clock that some processes share: how far it is off.
pub(crate) struct Clock(PathBuf);

impl Clock {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let clock = Self(folder.join(name));
        clock.step(0);
        clock
    }

    /// Sets it at once: no process sees half of a file.
    pub(crate) fn step(&self, seconds: i64) {
        let next = self.0.with_extension("next");
        std::fs::write(&next, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(&next, &self.0).unwrap();
    }

    /// What has a process go by it. A step of the wall clock leaves the monotonic one alone; the shorter name for that is
    /// the one of older versions.
    pub(crate) fn environment<'a>(&'a self, library: &'a str) -> [(&'a str, &'a str); 5] {
        [
            ("LD_PRELOAD", library),
            ("FAKETIME_TIMESTAMP_FILE", self.0.to_str().unwrap()),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ]
    }
}

/// A process by another clock.
fn start(library: &str, clock: &Clock, database: &TestDatabase, arguments: &[&str]) -> Actor {
    Actor::start_in(database, "locker", arguments, &clock.environment(library))
}

/// The fence of the latest line about the lock that is kept, and how far the clock was off then.
fn latest(keeper: &Actor) -> (i64, i64) {
    let line = keeper.lines().pop().unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    (words[1].parse().unwrap(), words[2].parse::<i64>().unwrap() - i64::try_from(now).unwrap())
}

async fn a_step_of_the_wall_clock_changes_nothing(database: TestDatabase) {
    let Some(library) = faketime() else { return };
    let backend = database.backend();
    let mut plays = vec![("table", database)];
    if redis_url().is_some() {
        plays.push(("redis", TestDatabase::empty(backend).await.unwrap()));
    }
    join_all(plays.iter().map(|(store, database)| clocks_are_set(&library, store, database))).await;
}

async fn clocks_are_set(library: &str, store: &str, database: &TestDatabase) {
    let ledger = Ledger::open("table", database.url(), None).await.unwrap();
    ledger.create().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (Clock::new(folder.path(), "one"), Clock::new(folder.path(), "other"));
    let keeper = start(library, &one, database, &[store, TTL_MS, "0", "keep"]);
    eventually("it holds its lock", async || keeper.count("held") == 1).await;
    let waits = start(library, &other, database, &[store, TTL_MS, "1", "keep"]);
    let turns = [(&one, "2"), (&other, "3")];
    let turns = turns.map(|(clock, number)| start(library, clock, database, &[store, TTL_MS, number]));
    let accepted = || turns.iter().map(|process| process.count("accepted")).sum::<usize>();

    // Both ways, and the two clocks apart.
    for (step, opposite) in [(STEP, -STEP), (-STEP, STEP)] {
        let (renewed, written) = (keeper.count("renewed"), accepted());
        one.step(step);
        other.step(opposite);
        eventually("renewals go on", async || keeper.count("renewed") >= renewed + 2).await;
        eventually("turns go on", async || accepted() >= written + 2).await;
        let off = latest(&keeper).1;
        assert!((off - step).abs() < STEP / 4, "{store}: its clock was set, and is off by {off} s");
    }
    assert_eq!((keeper.count("lost"), waits.count("held")), (0, 0), "{store}: it is held by the one who held it");
    let first = latest(&keeper).0;
    keeper.end().await;
    eventually("the next one holds it", async || waits.count("held") == 1).await;
    let second = latest(&waits).0;
    assert!(second > first, "{store}: {second} after {first}");

    let refused: usize = turns.iter().map(|process| process.count("refused")).sum();
    waits.end().await;
    for process in turns {
        process.end().await;
    }
    let history = ledger.history().await.unwrap();
    println!("{} with {store} locks under stepped clocks: {refused} refused, {history:?}", database.backend());
    assert_eq!((history.stale, history.repeated, refused), (0, 0, 0), "{store}");
    assert_eq!(history.counter, history.rows, "{store}");
    assert!(history.rows > 0, "{store}");
}
