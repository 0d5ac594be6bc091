//! Locks of sessions outlive what the server, the runtime and a crowd do to them, and end with their guards.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use sea_orm::sqlx::{Connection as _, PgConnection};
use sea_orm::{ConnectionTrait, Statement};
use stanchion::config::Database;
use stanchion::lock::{LockOptions, Locks, SessionStore};
use stanchion_tests::testbed::{Backend, TestDatabase, eventually};

use crate::{open, settings};

const LONG: Duration = Duration::from_secs(600);

/// The servers that have locks of sessions, a database in each.
async fn databases() -> Vec<TestDatabase> {
    let mut databases = Vec::new();
    for backend in [Backend::Postgres, Backend::MariaDb] {
        databases.extend(TestDatabase::empty(backend).await);
    }
    databases
}

/// Locks over at most `most` connections.
fn locks(database: &TestDatabase, most: u32) -> Locks {
    let mut settings = settings(database);
    settings.max_open_conns = most;
    Locks::new(Arc::new(SessionStore::new(&settings, &database.name()).unwrap()), "here")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_outlives_its_runtime_keeps_no_lock() {
    for database in databases().await {
        let (ours, others) = (locks(&database, 4), locks(&database, 4));
        let kept = ours.clone();
        let leave = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            let guard = runtime.block_on(ours.acquire("a", LockOptions::ttl(LONG))).unwrap();
            drop(runtime);
            drop(guard);
        });
        leave.join().unwrap();
        let options = LockOptions::ttl(LONG).wait(Duration::from_secs(60));
        let next = others.acquire("a", options).await.unwrap();
        next.release().await.unwrap();
        drop(kept);
    }
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_named_without_its_password() {
    // Nobody listens on a port that was free a moment ago.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    for scheme in ["postgres", "mysql"] {
        let url = format!("{scheme}://app:s3cret@127.0.0.1:{port}/stanchion");
        let store = SessionStore::new(&Database::new(url.parse().unwrap()), "test").unwrap();
        let refused = Locks::new(Arc::new(store), "here").try_acquire("a", LockOptions::ttl(LONG)).await.unwrap_err();
        assert!(refused.is_unavailable(), "{refused:?}");
        assert!(refused.to_string().contains(&format!("{scheme}://app:***@127.0.0.1:{port}")), "{refused}");
        assert!(!format!("{refused:?}").contains("s3cret"), "{refused:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_idle_sessions_leaves_those_of_locks_alone() {
    let Some(database) = TestDatabase::empty(Backend::Postgres).await else { return };
    let db = open(&database).await;
    let idle = format!("{}?options=-c%20idle_session_timeout%3D300", database.url());
    let mut settings = settings(&database);
    settings.url = idle.parse().unwrap();
    let locks = Locks::new(Arc::new(SessionStore::new(&settings, &database.name()).unwrap()), "here");
    let guard = locks.acquire("a", LockOptions::ttl(LONG)).await.unwrap();
    // One that says nothing from now on, and is ended for it.
    let mut other = PgConnection::connect(&idle).await.unwrap();
    let (pid,): (i32,) = sea_orm::sqlx::query_as("SELECT pg_backend_pid()").fetch_one(&mut other).await.unwrap();
    let count = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}");
    eventually("an idle session is ended", async || {
        let row = db.writer().query_one_raw(Statement::from_string(db.backend(), count.clone())).await.unwrap();
        row.unwrap().try_get_by_index::<i64>(0).unwrap() == 0
    })
    .await;
    guard.release().await.expect("it was held until now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_that_waits_takes_turns_over_few_connections() {
    const CROWD: usize = 100;
    for database in databases().await {
        let locks = locks(&database, 2);
        let options = LockOptions::ttl(LONG).wait(Duration::from_secs(300));
        let guard = locks.acquire("a", options.clone()).await.unwrap();
        let crowd = (0..CROWD).map(|_| {
            let (locks, options) = (locks.clone(), options.clone());
            tokio::spawn(async move { locks.acquire("a", options).await?.release().await })
        });
        let crowd = crowd.collect::<Vec<_>>();
        tokio::task::yield_now().await;
        guard.release().await.unwrap();
        for turn in join_all(crowd).await {
            turn.unwrap().unwrap();
        }
    }
}
