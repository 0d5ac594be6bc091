//! What is promised the same on every back end, proved on each: values, statements, transactions, batches, pages.

mod batches;
mod cancellation;
mod errors;
mod generate;
mod pages;
mod sessions;
mod transactions;
mod values;

use stanchion::config::{Database, DatabaseUrl};
use stanchion::db::{Db, Options};
use stanchion_tests::testbed::TestDatabase;

/// The settings of a test's database: as few connections as a test needs.
fn settings(database: &TestDatabase) -> Database {
    let url: DatabaseUrl = database.url().parse().unwrap();
    let mut settings = Database::new(url);
    settings.max_open_conns = 8;
    settings
}

async fn open(database: &TestDatabase) -> Db {
    Db::connect("test", &settings(database), Options { create: true }).await.unwrap()
}
