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

use sea_orm::ConnectionTrait;
use stanchion::config::{Database, DatabaseUrl};
use stanchion::db::{Db, Options};
use stanchion::lock;
use stanchion_tests::testbed::TestDatabase;

/// A handle of a test's database, with pools of its own, and with the tables of locks in it: quicker than all migrations.
async fn open(database: &TestDatabase) -> Db {
    let db = Db::connect("test", &settings(database), Options { create: true }).await.unwrap();
    for statement in lock::tables(db.backend()) {
        // It may have been opened before.
        let statement = statement.replacen("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1);
        db.writer().execute_unprepared(&statement).await.unwrap();
    }
    db
}

fn settings(database: &TestDatabase) -> Database {
    let url: DatabaseUrl = database.url().parse().unwrap();
    let mut settings = Database::new(url);
    settings.max_open_conns = 8;
    // On SQLite the wait for the one that writes.
    settings.acquire_timeout = Duration::from_secs(30);
    settings
}
