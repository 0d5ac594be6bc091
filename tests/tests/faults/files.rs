//! SQLite files that are locked by somebody else, full, or not to be written.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Database as SeaOrm, Statement};
use stanchion::config::{Database, DatabaseUrl};
use stanchion::db::{DatabaseError, Db, Kind, Options, RetryPolicy};
use stanchion::{App, Error};
use stanchion_tests::testbed::{Backend, TestDatabase};

fn settings(database: &TestDatabase) -> Database {
    let mut settings = Database::new(database.url().parse::<DatabaseUrl>().unwrap());
    settings.acquire_timeout = Duration::from_millis(200);
    settings
}

async fn open(database: &TestDatabase) -> Db {
    Db::connect("test", &settings(database), Options { create: true }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_locked_by_another_process_is_waited_for_and_then_said_to_be() {
    let database = TestDatabase::migrated(Backend::Sqlite).await.unwrap();
    let db = open(&database).await;
    // A connection of SeaORM's own stands for the other process: SQLite's locks do not tell them apart.
    let other = SeaOrm::connect(database.url()).await.unwrap();
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    let write = "DELETE FROM warehouses";
    let error = DatabaseError::from(db.writer().execute_unprepared(write).await.unwrap_err());
    assert_eq!(error.kind(), Kind::LockTimeout);
    let attempt = db.transaction_with(Default::default(), RetryPolicy::never(), async |tx| {
        tx.execute_unprepared(write).await?;
        Ok(())
    });
    assert!(attempt.await.unwrap_err().is_unavailable());
    // Readers are not held up.
    db.reader().execute_unprepared("SELECT 1 FROM warehouses").await.unwrap();
    other.execute_unprepared("COMMIT").await.unwrap();
    db.writer().execute_unprepared(write).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_nothing_of_the_transaction_and_the_rest_is_unharmed() {
    let database = TestDatabase::empty(Backend::Sqlite).await.unwrap();
    let db = open(&database).await;
    db.writer().execute_unprepared("CREATE TABLE notes (text TEXT NOT NULL)").await.unwrap();
    db.writer().execute_unprepared("INSERT INTO notes VALUES ('kept')").await.unwrap();
    // SQLite answers a file that may not grow as it does a disk that is full.
    db.writer().execute_unprepared("PRAGMA max_page_count = 16").await.unwrap();
    let long = "x".repeat(3_000);
    let error = db
        .transaction(async |tx| {
            for _ in 0..100 {
                tx.execute_unprepared(&format!("INSERT INTO notes VALUES ('{long}')")).await?;
            }
            Ok(())
        })
        .await
        .unwrap_err();
    assert_eq!(error.database_kind(), Some(Kind::StorageFull), "{error:?}");
    assert!(error.is_unavailable());
    let count = Statement::from_string(db.backend(), "SELECT COUNT(*) FROM notes");
    let row = db.reader().query_one_raw(count).await.unwrap().unwrap();
    assert_eq!(row.try_get_by::<i64, _>(0).unwrap(), 1);
    db.writer().execute_unprepared("PRAGMA max_page_count = 1000").await.unwrap();
    db.writer().execute_unprepared("INSERT INTO notes VALUES ('room again')").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_its_migrations_says_what_to_run() {
    let database = TestDatabase::empty(Backend::Sqlite).await.unwrap();
    drop(open(&database).await);
    // A connection makes the file; there is not a table in it.
    let made = SeaOrm::connect(database.url()).await.unwrap();
    made.execute_unprepared("PRAGMA user_version = 1").await.unwrap();
    let error = App::start(stanchion::config::Config::new(settings(&database))).await.unwrap_err();
    assert!(matches!(error, Error::NotMigrated { .. }), "{error:?}");
    assert!(error.to_string().contains("stanchion migrate up"), "{error}");
}
