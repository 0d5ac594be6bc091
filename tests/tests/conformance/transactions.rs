//! A transaction happens whole or not at all, is run again where that helps, and its hooks run once, after the commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_orm::{
    ConnectionTrait, DbBackend, IsolationLevel, Statement, TransactionOptions, TransactionSession, TransactionTrait,
};
use stanchion::Error;
use stanchion::db::{Db, RetryPolicy, Tx};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;

use super::open;

on_every_backend! { empty:
    what_failed_left_nothing,
    what_was_dropped_or_panicked_left_nothing,
    concurrent_read_then_write_loses_no_update,
    crossing_updates_are_run_again_until_all_happened,
    hooks_run_once_and_only_after_the_commit,
    a_savepoint_is_undone_alone_and_takes_its_hooks_with_it,
    a_services_own_error_comes_back_as_it_was,
}

async fn with_counters(database: &TestDatabase) -> Db {
    let db = open(database).await;
    db.writer().execute_unprepared("CREATE TABLE counters (id INTEGER PRIMARY KEY, n BIGINT NOT NULL)").await.unwrap();
    db.writer().execute_unprepared("INSERT INTO counters VALUES (1, 0), (2, 0), (3, 0), (4, 0)").await.unwrap();
    db
}

async fn read(db: &impl ConnectionTrait, id: i32) -> Result<i64, Error> {
    let backend = db.get_database_backend();
    let row =
        db.query_one_raw(Statement::from_string(backend, format!("SELECT n FROM counters WHERE id = {id}"))).await?;
    Ok(row.unwrap().try_get_by(0)?)
}

async fn add(tx: &Tx, id: i32, amount: i64) -> Result<(), Error> {
    tx.execute_unprepared(&format!("UPDATE counters SET n = n + {amount} WHERE id = {id}")).await?;
    Ok(())
}

fn patient() -> RetryPolicy {
    RetryPolicy { max_attempts: 10_000, deadline: Duration::from_secs(120), ..RetryPolicy::default() }
}

async fn what_failed_left_nothing(database: TestDatabase) {
    let db = with_counters(&database).await;
    let failed = db
        .transaction(async |tx| {
            add(tx, 1, 1).await?;
            tx.execute_unprepared("INSERT INTO counters VALUES (1, 0)").await?;
            Ok(())
        })
        .await;
    assert!(failed.unwrap_err().is_conflict());
    assert_eq!(read(db.writer(), 1).await.unwrap(), 0);
}

async fn what_was_dropped_or_panicked_left_nothing(database: TestDatabase) {
    let db = with_counters(&database).await;
    let tx = db.writer().begin().await.unwrap();
    add(&tx, 1, 1).await.unwrap();
    drop(tx);
    let other = db.clone();
    let panicked = tokio::spawn(async move {
        other
            .transaction(async |tx| {
                add(tx, 1, 1).await?;
                if read(tx, 1).await? > 0 {
                    panic!("a fault in a service");
                }
                Ok(())
            })
            .await
    });
    assert!(panicked.await.unwrap_err().is_panic());
    assert_eq!(read(db.writer(), 1).await.unwrap(), 0);
}

async fn concurrent_read_then_write_loses_no_update(database: TestDatabase) {
    let db = with_counters(&database).await;
    let options = TransactionOptions {
        isolation_level: Some(IsolationLevel::Serializable).filter(|_| db.backend() != DbBackend::Sqlite),
        ..TransactionOptions::default()
    };
    let tasks = (0..8).map(|_| {
        let db = db.clone();
        tokio::spawn(async move {
            for _ in 0..25 {
                let increment = async |tx: &Tx| {
                    let n = read(tx, 1).await?;
                    tx.execute_unprepared(&format!("UPDATE counters SET n = {} WHERE id = 1", n + 1)).await?;
                    Ok(())
                };
                db.transaction_with(options, patient(), increment).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(read(db.reader(), 1).await.unwrap(), 200);
}

async fn crossing_updates_are_run_again_until_all_happened(database: TestDatabase) {
    let db = with_counters(&database).await;
    let tasks = (0..8_i32).map(|task| {
        let db = db.clone();
        tokio::spawn(async move {
            for round in 0..25 {
                let (from, to) = (1 + (task + round) % 4, 1 + (task + round + 1 + round % 3) % 4);
                let transfer = async |tx: &Tx| {
                    add(tx, from, -1).await?;
                    add(tx, to, 1).await
                };
                db.transaction_with(TransactionOptions::default(), patient(), transfer).await.unwrap();
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let mut total = 0;
    for id in 1..=4 {
        total += read(db.reader(), id).await.unwrap();
    }
    assert_eq!(total, 0);
}

async fn hooks_run_once_and_only_after_the_commit(database: TestDatabase) {
    let db = with_counters(&database).await;
    let ran = Arc::new(AtomicU32::new(0));
    let note = |tx: &Tx| {
        let ran = Arc::clone(&ran);
        let db = db.clone();
        // Outside of the transaction, the hook sees what it committed.
        tx.after_commit(async move {
            assert_eq!(read(db.writer(), 1).await.unwrap(), 1);
            ran.fetch_add(1, Ordering::SeqCst);
        });
    };
    let failed = db
        .transaction(async |tx| {
            note(tx);
            Err::<(), _>(Error::other("changed our mind"))
        })
        .await;
    assert!(failed.is_err());
    let dropped = db.writer().begin().await.unwrap();
    note(&dropped);
    drop(dropped);
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    db.transaction(async |tx| {
        add(tx, 1, 1).await?;
        note(tx);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(ran.load(Ordering::SeqCst), 1);
}

async fn a_savepoint_is_undone_alone_and_takes_its_hooks_with_it(database: TestDatabase) {
    let db = with_counters(&database).await;
    let ran = Arc::new(AtomicU32::new(0));
    let hook = |worth: u32| {
        let ran = Arc::clone(&ran);
        async move {
            ran.fetch_add(worth, Ordering::SeqCst);
        }
    };
    db.transaction(async |tx| {
        add(tx, 1, 1).await?;
        tx.after_commit(hook(1));
        let undone: Result<(), Error> = tx
            .savepoint(async |inner| {
                add(inner, 1, 10).await?;
                inner.after_commit(hook(10));
                Err(Error::other("not this part"))
            })
            .await;
        assert!(undone.is_err());
        tx.savepoint(async |inner| {
            add(inner, 1, 100).await?;
            inner.after_commit(hook(100));
            Ok(())
        })
        .await?;
        // SeaORM's own way to a nested transaction.
        let nested = tx.begin().await?;
        add(&nested, 1, 1_000).await?;
        nested.commit().await?;
        drop(tx.begin().await?);
        assert_eq!(ran.load(Ordering::SeqCst), 0);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(read(db.reader(), 1).await.unwrap(), 1_101);
    assert_eq!(ran.load(Ordering::SeqCst), 101);
}

async fn a_services_own_error_comes_back_as_it_was(database: TestDatabase) {
    #[derive(Debug, thiserror::Error)]
    #[error("the shop is closed")]
    struct Closed;

    let db = with_counters(&database).await;
    let mut attempts = AtomicU32::new(0);
    let failed = db
        .transaction(async |_| {
            attempts.fetch_add(1, Ordering::SeqCst);
            Err::<(), _>(Error::other(Closed))
        })
        .await
        .unwrap_err();
    assert!(failed.downcast_ref::<Closed>().is_some());
    assert_eq!(*attempts.get_mut(), 1);
}
