//! Fences: the database refuses a holder that has lost its lock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use sea_orm::{ConnectionTrait, IsolationLevel, Statement, TransactionOptions, TransactionSession, TransactionTrait};
use stanchion::Error;
use stanchion::db::{Db, Options, RetryPolicy};
use stanchion::lock::{Fence, InProcess, LockError, LockName, LockOptions, Locks, mint};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::{Backend, TestDatabase, eventually};

use crate::{open, settings};

on_every_backend! { empty:
    tokens_rise_by_one_and_names_differ_by_case,
    those_who_mint_at_once_get_different_tokens,
    a_stale_holder_cannot_write,
    a_stale_holder_is_refused_on_every_isolation_level,
    nothing_is_minted_while_a_checked_transaction_is_open,
    one_holder_writes_in_several_transactions_at_once,
    a_fence_of_another_database_is_refused,
    a_fence_is_handed_to_another_process,
    minting_and_checking_take_one_round_trip_each,
    who_gave_up_makes_nobody_elses_fence_stale,
}

fn name(text: &str) -> LockName {
    LockName::try_from(text).unwrap()
}

fn is_stale(error: &Error) -> bool {
    matches!(error, Error::Lock(LockError::Stale { .. }))
}

async fn tokens_rise_by_one_and_names_differ_by_case(database: TestDatabase) {
    let db = open(&database).await;
    let longest = "ä".repeat(200);
    for text in ["a", "A", "a ", "ä", "order:binance:ETHUSDT:1850", "\u{1f512} of all", "' OR 1 = 1 --", &longest] {
        for token in 1..=3 {
            let fence = mint(&db, &name(text)).await.unwrap();
            assert_eq!((fence.name().as_str(), fence.token()), (text, token));
        }
    }
}

async fn those_who_mint_at_once_get_different_tokens(database: TestDatabase) {
    let db = open(&database).await;
    let minted = join_all((0..16).map(|_| async {
        let mut tokens = Vec::new();
        for _ in 0..20 {
            tokens.push(mint(&db, &name("contended")).await.unwrap().token());
        }
        assert!(tokens.is_sorted());
        tokens
    }));
    let tokens: BTreeSet<i64> = minted.await.into_iter().flatten().collect();
    assert_eq!(tokens, (1..=320).collect());
}

/// Writes a row of `note` under a fence, and says how often it was tried.
async fn write(db: &Db, fence: &Fence, options: TransactionOptions) -> (Result<(), Error>, usize) {
    let attempts = AtomicUsize::new(0);
    let written = db.transaction_with(options, RetryPolicy::default(), async |tx| {
        attempts.fetch_add(1, Ordering::SeqCst);
        tx.check_fence(fence).await?;
        tx.execute_unprepared("INSERT INTO notes (n) VALUES (1)").await?;
        Ok(())
    });
    let written = written.await;
    (written, attempts.into_inner())
}

async fn count(db: &Db) -> i64 {
    let statement = Statement::from_string(db.backend(), "SELECT count(*) FROM notes");
    db.writer().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn with_notes(database: &TestDatabase) -> Db {
    let db = open(database).await;
    db.writer().execute_unprepared("CREATE TABLE notes (n integer)").await.unwrap();
    db
}

async fn a_stale_holder_cannot_write(database: TestDatabase) {
    let db = with_notes(&database).await;
    let old = mint(&db, &name("a")).await.unwrap();
    write(&db, &old, TransactionOptions::default()).await.0.unwrap();
    let new = mint(&db, &name("a")).await.unwrap();
    mint(&db, &name("A")).await.unwrap();

    let (refused, attempts) = write(&db, &old, TransactionOptions::default()).await;
    let error = refused.unwrap_err();
    assert!(is_stale(&error) && error.is_stale() && error.is_conflict() && !error.is_transient(), "{error:?}");
    assert_eq!(error.to_string(), "the lock `a` was taken over: fence 1 is stale");
    assert_eq!(attempts, 1, "it is not run again");
    write(&db, &new, TransactionOptions::default()).await.0.unwrap();
    assert_eq!(count(&db).await, 2);
}

async fn a_stale_holder_is_refused_on_every_isolation_level(database: TestDatabase) {
    let db = with_notes(&database).await;
    for level in [IsolationLevel::ReadCommitted, IsolationLevel::RepeatableRead, IsolationLevel::Serializable] {
        let options = TransactionOptions { isolation_level: Some(level), ..Default::default() };
        let old = mint(&db, &name("a")).await.unwrap();
        let seen = AtomicUsize::new(0);
        let refused = db.transaction_with(options, RetryPolicy::default(), async |tx| {
            // What it reads first is of a time at which the fence was the newest; the next holder comes right after.
            tx.query_all_raw(Statement::from_string(db.backend(), "SELECT n FROM notes")).await?;
            if seen.fetch_add(1, Ordering::SeqCst) == 0 && database.backend() != Backend::Sqlite {
                mint(&db, &name("a")).await?;
            }
            tx.check_fence(&old).await?;
            tx.execute_unprepared("INSERT INTO notes (n) VALUES (1)").await?;
            Ok(())
        });
        // SQLite's next holder has to wait for this one's transaction, which is in order then.
        match (refused.await, database.backend()) {
            (Ok(()), Backend::Sqlite) => {}
            (refused, _) => assert!(is_stale(&refused.unwrap_err()), "{level:?}"),
        }
    }
    let accepted = if database.backend() == Backend::Sqlite { 3 } else { 0 };
    assert_eq!(count(&db).await, accepted);
}

async fn nothing_is_minted_while_a_checked_transaction_is_open(database: TestDatabase) {
    let db = with_notes(&database).await;
    let old = mint(&db, &name("a")).await.unwrap();
    let tx = db.writer().begin().await.unwrap();
    tx.check_fence(&old).await.unwrap();

    let other = open(&database).await;
    let committed = Arc::new(AtomicUsize::new(0));
    let next = tokio::spawn({
        let committed = Arc::clone(&committed);
        async move {
            let fence = mint(&other, &name("a")).await.unwrap();
            (fence.token(), committed.load(Ordering::SeqCst))
        }
    });
    // Other locks do not wait; SQLite's file has one writer.
    if database.backend() != Backend::Sqlite {
        assert_eq!(mint(&db, &name("b")).await.unwrap().token(), 1);
        // The next holder is there and waits.
        eventually("minting waits", async || waiting(&db).await > 0).await;
    }
    assert!(!next.is_finished());
    tx.execute_unprepared("INSERT INTO notes (n) VALUES (1)").await.unwrap();
    committed.store(1, Ordering::SeqCst);
    tx.commit().await.unwrap();
    assert_eq!(next.await.unwrap(), (2, 1));
    assert!(is_stale(&write(&db, &old, TransactionOptions::default()).await.0.unwrap_err()));
    assert_eq!(count(&db).await, 1);
}

/// How many sessions of the server wait for a row.
async fn waiting(db: &Db) -> i64 {
    let sql = match db.backend() {
        sea_orm::DbBackend::Postgres => {
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        }
        _ => {
            "SELECT count(*) FROM information_schema.processlist \
             WHERE db = database() AND info LIKE 'INSERT INTO fences%'"
        }
    };
    let row = db.writer().query_one_raw(Statement::from_string(db.backend(), sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

async fn one_holder_writes_in_several_transactions_at_once(database: TestDatabase) {
    let db = with_notes(&database).await;
    let fence = mint(&db, &name("a")).await.unwrap();
    if database.backend() == Backend::Sqlite {
        // Its transactions come one after the other.
        join_all((0..8).map(|_| async { write(&db, &fence, TransactionOptions::default()).await.0.unwrap() })).await;
        assert_eq!(count(&db).await, 8);
        return;
    }
    let one = db.writer().begin().await.unwrap();
    let other = db.writer().begin().await.unwrap();
    one.check_fence(&fence).await.unwrap();
    other.check_fence(&fence).await.unwrap();
    for tx in [one, other] {
        tx.execute_unprepared("INSERT INTO notes (n) VALUES (1)").await.unwrap();
        tx.commit().await.unwrap();
    }
    assert_eq!(count(&db).await, 2);
}

async fn a_fence_of_another_database_is_refused(database: TestDatabase) {
    let db = open(&database).await;
    let other = TestDatabase::empty(database.backend()).await.unwrap();
    let other = open(&other).await;
    let fence = mint(&db, &name("a")).await.unwrap();
    mint(&other, &name("a")).await.unwrap();
    let refused = other.transaction(async |tx| tx.check_fence(&fence).await).await.unwrap_err();
    assert!(matches!(refused, Error::Lock(LockError::Unfenced { .. })), "{refused:?}");

    // One that came from elsewhere, of which this database knows nothing.
    let foreign: Fence = serde_json::from_str(r#"{"name": "b", "token": 7}"#).unwrap();
    let refused = db.transaction(async |tx| tx.check_fence(&foreign).await).await.unwrap_err();
    assert!(matches!(refused, Error::Lock(LockError::Unfenced { .. })), "{refused:?}");
}

async fn a_fence_is_handed_to_another_process(database: TestDatabase) {
    let db = open(&database).await;
    let fence = mint(&db, &name("a")).await.unwrap();
    let handed = serde_json::to_string(&fence).unwrap();
    assert_eq!(handed, r#"{"name":"a","token":1}"#);
    for invalid in [r#"{"name":"","token":1}"#, r#"{"name":"a"}"#, r#"{"name":"a","token":1,"x":1}"#] {
        assert!(serde_json::from_str::<Fence>(invalid).is_err(), "{invalid}");
    }

    let elsewhere = open(&database).await;
    let received: Fence = serde_json::from_str(&handed).unwrap();
    assert_eq!(received, fence);
    elsewhere.transaction(async |tx| tx.check_fence(&received).await).await.unwrap();
    mint(&db, &name("a")).await.unwrap();
    let refused = elsewhere.transaction(async |tx| tx.check_fence(&received).await).await;
    assert!(is_stale(&refused.unwrap_err()));
}

async fn minting_and_checking_take_one_round_trip_each(database: TestDatabase) {
    let db = open(&database).await;
    let before = db.round_trips();
    let fence = mint(&db, &name("a")).await.unwrap();
    assert_eq!(db.round_trips() - before, 1);
    let tx = db.writer().begin().await.unwrap();
    let before = db.round_trips();
    tx.check_fence(&fence).await.unwrap();
    assert_eq!(db.round_trips() - before, 1);
}

async fn who_gave_up_makes_nobody_elses_fence_stale(database: TestDatabase) {
    let mut settings = settings(&database);
    settings.max_open_conns = 1;
    let other = open(&database).await;
    let one = Db::connect("one", &settings, Options::default()).await.unwrap();
    let store = Arc::new(InProcess::new());
    let [first, second] = ["one", "other"].map(|instance| Locks::new(store.clone(), instance));
    let options = |db: &Db| LockOptions::ttl(Duration::from_secs(60)).wait(Duration::from_secs(60)).fenced(db);
    // Its pool has no connection left; it has the lock, and gives up before it has its fence.
    let busy = one.writer().begin().await.unwrap();
    let gave_up = tokio::time::timeout(Duration::from_millis(50), first.acquire("a", options(&one))).await;
    assert!(gave_up.is_err());
    let next = tokio::spawn({
        let options = options(&other);
        async move { second.acquire("a", options).await }
    });
    // On SQLite nobody mints while the transaction is open.
    if database.backend() != Backend::Sqlite {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    busy.rollback().await.unwrap();
    let guard = next.await.unwrap().unwrap();
    let newest = async || -> i64 {
        let statement = Statement::from_string(other.backend(), "SELECT coalesce(max(token), 0) FROM fences");
        other.reader().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    };
    eventually("both have minted", async || newest().await == 2).await;
    other.transaction(async |tx| tx.check_fence(&guard).await).await.unwrap();
}
