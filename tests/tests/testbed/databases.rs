//! Databases: each test's own, empty or migrated, and gone afterwards; a missing server is never passed over in silence.

use std::process::Output;

use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr, Statement};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::{Backend, TestDatabase, eventually};

on_every_backend! { empty:
    two_databases_share_nothing,
    a_database_is_gone_after_its_test,
    a_database_with_an_open_transaction_is_dropped_all_the_same,
    a_migrated_database_has_every_migration,
    a_migrated_database_is_a_copy,
}

async fn two_databases_share_nothing(one: TestDatabase) -> Result<(), DbErr> {
    let other = TestDatabase::empty(one.backend()).await.unwrap();
    let (one, other) = (one.connect().await?, other.connect().await?);
    one.execute_unprepared("CREATE TABLE things (id INTEGER PRIMARY KEY)").await?;
    assert!(other.execute_unprepared("SELECT * FROM things").await.is_err());
    other.execute_unprepared("CREATE TABLE things (id INTEGER PRIMARY KEY)").await?;
    Ok(())
}

async fn a_database_is_gone_after_its_test(database: TestDatabase) -> Result<(), DbErr> {
    let (backend, name) = (database.backend(), database.name());
    database.connect().await?.execute_unprepared("CREATE TABLE things (id INTEGER PRIMARY KEY)").await?;
    assert!(exists(backend, &name).await);
    drop(database);
    eventually("the database is gone", async || !exists(backend, &name).await).await;
    Ok(())
}

async fn a_database_with_an_open_transaction_is_dropped_all_the_same(database: TestDatabase) -> Result<(), DbErr> {
    use sea_orm::TransactionTrait;

    let (backend, name) = (database.backend(), database.name());
    let connection = database.connect().await?;
    connection.execute_unprepared("CREATE TABLE things (id INTEGER PRIMARY KEY)").await?;
    let transaction = connection.begin().await?;
    transaction.execute_unprepared("INSERT INTO things VALUES (1)").await?;
    drop(database);
    if backend == Backend::MariaDb {
        // It waits for the transaction, and would be left to the next run if that took longer than five seconds.
        transaction.rollback().await?;
    }
    eventually("the database is gone", async || !exists(backend, &name).await).await;
    Ok(())
}

async fn a_migrated_database_has_every_migration(empty: TestDatabase) -> Result<(), DbErr> {
    use sea_orm_migration::MigratorTrait;

    let database = TestDatabase::migrated(empty.backend()).await.unwrap();
    let connection = stanchion_migration::connect(database.url()).await.unwrap();
    let pending = stanchion_migration::Migrator::get_pending_migrations(&connection).await?;
    assert_eq!(pending.iter().map(|migration| migration.name()).collect::<Vec<_>>(), Vec::<&str>::new());
    Ok(())
}

async fn a_migrated_database_is_a_copy(empty: TestDatabase) -> Result<(), DbErr> {
    let one = TestDatabase::migrated(empty.backend()).await.unwrap();
    one.connect().await?.execute_unprepared("CREATE TABLE mine_alone (id INTEGER PRIMARY KEY)").await?;
    let other = TestDatabase::migrated(empty.backend()).await.unwrap();
    assert!(other.connect().await?.execute_unprepared("SELECT * FROM mine_alone").await.is_err());
    Ok(())
}

/// Whether a database of that name is on the test server, or that file on the disk.
async fn exists(backend: Backend, name: &str) -> bool {
    let (dialect, sql) = match backend {
        Backend::Sqlite => return std::fs::exists(name).unwrap(),
        Backend::Postgres => (DatabaseBackend::Postgres, "SELECT 1 FROM pg_database WHERE datname = $1"),
        Backend::MariaDb => (DatabaseBackend::MySql, "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?"),
    };
    let server = sea_orm::Database::connect(backend.server_url().unwrap()).await.unwrap();
    let question = Statement::from_sql_and_values(dialect, sql, [name.into()]);
    server.query_one_raw(question).await.unwrap().is_some()
}

/// This file's tests on PostgreSQL, in a process that has no server for it.
fn without_a_server(requirement: &str) -> Output {
    let tests = std::env::current_exe().unwrap();
    std::process::Command::new(tests)
        .args(["databases::postgres::", "--test-threads=1"])
        .env_remove("STANCHION_TEST_POSTGRES_URL")
        .env("STANCHION_TEST_REQUIRE", requirement)
        .output()
        .unwrap()
}

#[test]
fn a_missing_server_is_reported_in_one_line() {
    let output = without_a_server("");
    assert!(output.status.success());
    let line = "postgres: no server (STANCHION_TEST_POSTGRES_URL is not set); \
                its tests did not run: use ./scripts/test\n";
    assert_eq!(String::from_utf8(output.stderr).unwrap(), line);
}

#[test]
fn a_missing_server_that_is_required_fails_its_tests() {
    let output = without_a_server("all");
    assert!(!output.status.success());
    let report = String::from_utf8(output.stdout).unwrap();
    assert!(report.contains("5 failed"), "{report}");
    assert!(report.contains("STANCHION_TEST_POSTGRES_URL is not set"), "{report}");
}
