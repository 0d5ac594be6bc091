//! Invalidations that a commit brings about: what was rolled back publishes nothing, and what was committed is published even
//! if its process dies.

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ConnectionTrait, Statement, TransactionSession, TransactionTrait};
use stanchion::cache::{Cache, Namespace, Target, outbox_table};
use stanchion::config::Domain;
use stanchion::db::{Db, Tx};
use stanchion::types::{Timestamp, new_id};
use stanchion::{App, Clock, Error, SystemClock};
use stanchion_tests::testbed::{Backend, Proxy, TestDatabase, eventually};
use stanchion_tests::{Stage, on_every_backend};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::Notify;

use crate::nodes::numbers;

on_every_backend! {
    a_commit_publishes,
    what_is_rolled_back_publishes_nothing,
    a_savepoint_publishes_if_it_and_all_around_it_are_committed,
    a_change_invalidates_whoever_waits_for_it,
    what_a_dead_process_has_written_down_is_published_by_another,
    what_a_long_outage_has_left_is_published_in_one_round,
    a_clock_that_is_ahead_delays_no_publication,
}

/// Over a wire that can be cut.
macro_rules! on_both_servers {
    ($($claim:ident),+ $(,)?) => {
        mod postgres_wire {
            $(#[tokio::test(flavor = "multi_thread")] async fn $claim() { super::$claim(super::Backend::Postgres).await; })+
        }
        mod mariadb_wire {
            $(#[tokio::test(flavor = "multi_thread")] async fn $claim() { super::$claim(super::Backend::MariaDb).await; })+
        }
    };
}

on_both_servers! {
    a_commit_whose_answer_is_lost_invalidates,
    an_attempt_that_is_run_again_publishes_nothing_of_its_own,
}

/// On databases without a table.
mod empty {
    use super::{a_service_without_our_migrations_can_make_the_table, on_every_backend};

    on_every_backend! { empty:
        a_service_without_our_migrations_can_make_the_table,
    }
}

/// Keeps something under each of these keys.
async fn keep(numbers: &Namespace<u64>, keys: &[&str]) {
    for key in keys {
        numbers.get_or_load(*key, || async { Ok(1) }).await.unwrap();
    }
}

/// Which of the keys are still there.
async fn kept<'k>(numbers: &Namespace<u64>, keys: &[&'k str]) -> Vec<&'k str> {
    let mut kept = Vec::new();
    for key in keys {
        if numbers.get(*key).await.unwrap().is_some() {
            kept.push(*key);
        }
    }
    kept
}

/// Invalidations that are written down.
async fn written(db: &Db) -> i64 {
    let sql = "SELECT COUNT(*) FROM cache_invalidations";
    let row = db.writer().query_one_raw(Statement::from_string(db.backend(), sql)).await.unwrap();
    row.unwrap().try_get_by(0).unwrap()
}

fn db(app: &App) -> &Db {
    app.db(Domain::Catalog)
}

/// Says in a transaction that a key is to be invalidated, in both ways: the key, and the key with a `!`.
async fn say(cache: &Cache, tx: &Tx, numbers: &Namespace<u64>, key: &str) -> Result<(), Error> {
    cache.invalidate_after(tx, [numbers.target(key)]);
    cache.invalidate_durably(tx, [numbers.target(format!("{key}!"))]).await
}

async fn a_commit_publishes(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let cache = stage.app.cache();
    let numbers = numbers(cache);
    keep(&numbers, &["a", "a!", "other"]).await;
    let (changed, trips) = stage
        .counted(db(&stage.app).transaction(async |tx| {
            say(cache, tx, &numbers, "a").await?;
            assert_eq!(kept(&numbers, &["a", "a!"]).await, ["a", "a!"]);
            Ok(())
        }))
        .await;
    changed.unwrap();
    // Begin, write down, commit, delete.
    assert_eq!(trips, 4);
    assert_eq!(kept(&numbers, &["a", "a!", "other"]).await, ["other"]);
    assert_eq!(written(db(&stage.app)).await, 0);
    // Nothing to say is nothing to write.
    let nothing = db(&stage.app).transaction(async |tx| cache.invalidate_durably(tx, []).await);
    assert_eq!(stage.counted(nothing).await.1, 2);
}

async fn what_is_rolled_back_publishes_nothing(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let cache = stage.app.cache();
    let numbers = numbers(cache);
    let keys = ["failed", "failed!", "dropped", "dropped!", "panicked", "panicked!", "forgotten", "forgotten!"];
    keep(&numbers, &keys).await;

    let failed = db(&stage.app).transaction(async |tx| {
        say(cache, tx, &numbers, "failed").await?;
        Err::<(), _>(Error::Invalid("after all, no".to_owned()))
    });
    assert!(failed.await.unwrap_err().is_invalid());

    let tx = db(&stage.app).writer().begin().await.unwrap();
    say(cache, &tx, &numbers, "dropped").await.unwrap();
    drop(tx);

    let (app, of_panic) = (stage.app.clone(), numbers.clone());
    let panicked = tokio::spawn(async move {
        let tx = db(&app).writer().begin().await.unwrap();
        say(app.cache(), &tx, &of_panic, "panicked").await.unwrap();
        panic!("in the middle of it");
    });
    assert!(panicked.await.unwrap_err().is_panic());

    // Whoever asked for it goes away while it waits.
    let waiting = db(&stage.app).transaction(async |tx| {
        say(cache, tx, &numbers, "forgotten").await?;
        std::future::pending::<()>().await;
        Ok(())
    });
    assert!(tokio::time::timeout(Duration::from_millis(50), waiting).await.is_err());

    assert_eq!(kept(&numbers, &keys).await, keys);
    assert_eq!(written(db(&stage.app)).await, 0);
}

async fn a_savepoint_publishes_if_it_and_all_around_it_are_committed(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let cache = stage.app.cache();
    let numbers = numbers(cache);
    let keys = ["outer", "outer!", "undone", "undone!", "nested", "nested!"];
    keep(&numbers, &keys).await;
    let changed = db(&stage.app).transaction(async |tx| {
        say(cache, tx, &numbers, "outer").await?;
        let undone = tx.savepoint(async |inner| {
            say(cache, inner, &numbers, "undone").await?;
            Err::<(), _>(Error::Invalid("this part not".to_owned()))
        });
        assert!(undone.await.is_err());
        tx.savepoint(async |inner| inner.savepoint(async |inmost| say(cache, inmost, &numbers, "nested").await).await)
            .await?;
        assert_eq!(kept(&numbers, &keys).await, keys);
        Ok(())
    });
    changed.await.unwrap();
    assert_eq!(kept(&numbers, &keys).await, ["undone", "undone!"]);
    assert_eq!(written(db(&stage.app)).await, 0);

    // Committed inside of what is rolled back.
    let tx = db(&stage.app).writer().begin().await.unwrap();
    let inner = tx.begin().await.unwrap();
    say(cache, &inner, &numbers, "undone").await.unwrap();
    inner.commit().await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(kept(&numbers, &keys).await, ["undone", "undone!"]);
}

async fn a_change_invalidates_whoever_waits_for_it(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let cache = stage.app.cache();
    let numbers = numbers(cache);
    let keys = ["done", "refused", "in doubt", "panicked", "left"];
    keep(&numbers, &keys).await;
    let target = |key: &str| [numbers.target(key)];
    assert_eq!(cache.change(target("done"), async { Ok(7) }).await.unwrap(), 7);
    let refused = cache.change(target("refused"), async { Err::<(), _>(Error::Conflict("taken".to_owned())) });
    assert!(refused.await.unwrap_err().is_conflict());
    let doubtful = cache.change(target("in doubt"), async { Err::<(), _>(Error::other("the line went dead")) });
    assert!(doubtful.await.is_err());
    let panicked = cache.change::<(), _>(target("panicked"), async { panic!("after the statement") });
    assert!(panicked.await.is_err());

    let go = Arc::new(Notify::new());
    let waits = Arc::clone(&go);
    let mut left = Box::pin(cache.change(target("left"), async move {
        waits.notified().await;
        Ok(())
    }));
    assert!(futures::poll!(left.as_mut()).is_pending());
    drop(left);
    assert_eq!(kept(&numbers, &keys).await, ["refused", "left"]);
    go.notify_one();
    eventually("the change is carried out and invalidates", async || kept(&numbers, &["left"]).await.is_empty()).await;
}

async fn what_a_dead_process_has_written_down_is_published_by_another(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let cache = stage.app.cache();
    let numbers = numbers(cache);
    keep(&numbers, &["left", "other"]).await;

    let mut child = Command::new(env!("CARGO_BIN_EXE_actor"))
        .arg("unpublished")
        .args(["numbers", "left"])
        .env("DATABASE_URL", stage.database.url())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).await.unwrap();
    assert_eq!(line, "committed\n");
    child.kill().await.unwrap();

    assert_eq!(written(db(&stage.app)).await, 1);
    assert_eq!(kept(&numbers, &["left", "other"]).await, ["left", "other"]);
    // As long as its own process may still be at it, it is left alone.
    let writer = db(&stage.app).writer();
    assert_eq!(cache.relay(writer, Duration::from_secs(3_600)).await.unwrap(), 0);
    assert_eq!(cache.relay(writer, Duration::ZERO).await.unwrap(), 1);
    assert_eq!(kept(&numbers, &["left", "other"]).await, ["other"]);
    assert_eq!(written(db(&stage.app)).await, 0);
    assert_eq!(cache.relay(writer, Duration::ZERO).await.unwrap(), 0);
}

/// Writes down so many invalidations of single keys, as of an instant.
async fn left(db: &Db, number: u32, created_at: Timestamp) {
    for from in (0..number).step_by(300) {
        let mut insert = Query::insert();
        insert.into_table("cache_invalidations").columns(["id", "targets", "created_at"]);
        for key in from..number.min(from + 300) {
            let targets = serde_json::to_string(&[Target::key("numbers", key.to_string())]).unwrap();
            insert.values_panic([Expr::val(new_id()), Expr::val(targets), Expr::val(created_at)]);
        }
        db.writer().execute(&insert).await.unwrap();
    }
}

async fn what_a_long_outage_has_left_is_published_in_one_round(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let numbers = numbers(stage.app.cache());
    left(db(&stage.app), 1_100, Timestamp::EPOCH).await;
    keep(&numbers, &["0", "600", "1099", "other"]).await;
    assert_eq!(stage.app.upkeep().await.invalidations, 1_100);
    assert_eq!(written(db(&stage.app)).await, 0);
    assert_eq!(kept(&numbers, &["0", "600", "1099", "other"]).await, ["other"]);
}

async fn a_clock_that_is_ahead_delays_no_publication(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let ahead = SystemClock.now().plus(Duration::from_secs(86_400)).unwrap();
    left(db(&stage.app), 1, ahead).await;
    let relayed = stage.app.cache().relay(db(&stage.app).writer(), Duration::from_secs(3_600));
    assert_eq!(relayed.await.unwrap(), 1);
    assert_eq!(written(db(&stage.app)).await, 0);
}

async fn a_service_without_our_migrations_can_make_the_table(database: TestDatabase) {
    let db = bare(&database).await;
    let cache = crate::nodes::alone();
    let numbers = numbers(&cache);
    keep(&numbers, &["a"]).await;
    for _ in 0..2 {
        db.writer().execute_unprepared(&outbox_table(db.backend())).await.unwrap();
    }
    // Every character that a key can have comes back.
    let odd = Target::key("numbers", "a:\0 \u{1F980}\"{'");
    db.transaction(async |tx| {
        let targets = [odd.clone(), numbers.target("a"), Target::tag("t"), Target::namespace("n")];
        cache.invalidate_durably(tx, targets).await
    })
    .await
    .unwrap();
    assert_eq!(kept(&numbers, &["a"]).await, [""; 0]);
    assert_eq!(written(&db).await, 0);

    // What a newer version has written invalidates everything.
    keep(&numbers, &["a"]).await;
    let sql = match db.backend() {
        sea_orm::DbBackend::Sqlite => {
            "INSERT INTO cache_invalidations VALUES (x'01890000000070008000000000000000', '[{\"color\":1}]', '2026-01-01 00:00:00.000000')"
        }
        sea_orm::DbBackend::Postgres => {
            "INSERT INTO cache_invalidations VALUES ('01890000-0000-7000-8000-000000000000', '[{\"color\":1}]', '2026-01-01T00:00:00Z')"
        }
        _ => {
            "INSERT INTO cache_invalidations VALUES (x'01890000000070008000000000000000', '[{\"color\":1}]', '2026-01-01 00:00:00')"
        }
    };
    db.writer().execute_unprepared(sql).await.unwrap();
    assert_eq!(cache.relay(db.writer(), Duration::ZERO).await.unwrap(), 1);
    assert_eq!(kept(&numbers, &["a"]).await, [""; 0]);
}

/// A database with the outbox, seen through a wire.
async fn wired(backend: Backend) -> Option<(Db, Proxy, TestDatabase)> {
    let database = TestDatabase::empty(backend).await?;
    let port = url::Url::parse(database.url()).unwrap().port().unwrap();
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let mut config = stanchion::config::Database::new(proxy.url(database.url()).unwrap().parse().unwrap());
    config.acquire_timeout = Duration::from_secs(1);
    let db = Db::connect("main", &config, stanchion::db::Options::default()).await.unwrap();
    db.writer().execute_unprepared(&outbox_table(db.backend())).await.unwrap();
    Some((db, proxy, database))
}

async fn a_commit_whose_answer_is_lost_invalidates(backend: Backend) {
    let Some((db, wire, _database)) = wired(backend).await else { return };
    let cache = crate::nodes::alone();
    let numbers = numbers(&cache);
    let keys = ["outer", "outer!", "inner", "inner!", "undone", "undone!"];
    keep(&numbers, &keys).await;
    let committed = db.transaction(async |tx| {
        say(&cache, tx, &numbers, "outer").await?;
        tx.savepoint(async |inner| say(&cache, inner, &numbers, "inner").await).await?;
        let undone = tx.savepoint(async |inner| {
            say(&cache, inner, &numbers, "undone").await?;
            Err::<(), _>(Error::Invalid("this part not".to_owned()))
        });
        assert!(undone.await.is_err());
        // The next that goes over the wire is the commit.
        wire.cut().await;
        Ok(())
    });
    let committed = committed.await;
    assert!(matches!(committed, Err(Error::CommitUnknown(_))), "{committed:?}");
    // It may have happened: what it would have invalidated may be old.
    assert_eq!(kept(&numbers, &keys).await, ["undone", "undone!"]);
}

async fn an_attempt_that_is_run_again_publishes_nothing_of_its_own(backend: Backend) {
    let Some((db, wire, _database)) = wired(backend).await else { return };
    let cache = crate::nodes::alone();
    let numbers = numbers(&cache);
    let keys = ["attempt 1", "attempt 1!", "attempt 2", "attempt 2!"];
    keep(&numbers, &keys).await;
    let attempts = AtomicU32::new(0);
    let committed = db.transaction(async |tx| {
        let attempt = attempts.fetch_add(1, Ordering::SeqCst) + 1;
        say(&cache, tx, &numbers, &format!("attempt {attempt}")).await?;
        if attempt == 1 {
            wire.cut().await;
            wire.restore().await.map_err(Error::other)?;
            tx.execute_unprepared("SELECT 1").await?;
        }
        Ok(())
    });
    committed.await.unwrap();
    let last = format!("attempt {}", attempts.load(Ordering::SeqCst));
    let left: Vec<_> = keys.into_iter().filter(|key| key.trim_end_matches('!') != last).collect();
    assert_eq!(kept(&numbers, &keys).await, left);
    assert_eq!(numbers.statistics().invalidations, 2);
    assert_eq!(written(&db).await, 0);
}

async fn bare(database: &TestDatabase) -> Db {
    let config = stanchion::config::Database::new(database.url().parse().unwrap());
    Db::connect("main", &config, stanchion::db::Options { create: true }).await.unwrap()
}
