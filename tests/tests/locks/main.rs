//! Locks: what the stores promise, what a guard knows, and what the fences keep out.

mod actors;
mod clocks;
mod contract;
mod database_faults;
mod failovers;
mod faults;
mod fences;
mod guards;
mod history;
mod leader;
mod leaders;
mod leases;
mod pooler;
mod redis_clock;
mod sessions;
mod sql;
mod stores;
mod tables;

use std::time::Duration;

use stanchion::config::{Database, DatabaseUrl};
use stanchion::db::{Db, Options};
use stanchion_tests::testbed::TestDatabase;

/// A handle of a test's database, with pools of its own.
async fn open(database: &TestDatabase) -> Db {
    Db::connect("test", &settings(database), Options { create: true }).await.unwrap()
}

fn settings(database: &TestDatabase) -> Database {
    let url: DatabaseUrl = database.url().parse().unwrap();
    let mut settings = Database::new(url);
    settings.max_open_conns = 8;
    // On SQLite the wait for the one that writes.
    settings.acquire_timeout = Duration::from_secs(30);
    settings
}
