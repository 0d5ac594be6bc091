//! A database is killed while locks are held in it: their holders hear of it in time, and it serves again afterwards.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use stanchion::config::Database;
use stanchion::db::{Db, Options};
use stanchion::lock::{self, LockOptions, Locks, SessionStore, TableStore};
use stanchion_tests::testbed::{Kind, available};

use crate::faults::is_lost_in_time;

const TTL: Duration = Duration::from_millis(2_000);

#[tokio::test(flavor = "multi_thread")]
async fn locks_in_a_postgres_that_is_killed_are_lost_in_time_and_to_be_had_again() {
    killed_and_restarted(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn locks_in_a_mariadb_that_is_killed_are_lost_in_time_and_to_be_had_again() {
    killed_and_restarted(Kind::MariaDb).await;
}

async fn killed_and_restarted(kind: Kind) {
    let Some(server) = available(kind.start().await) else { return };
    let mut settings = Database::new(server.url().parse().unwrap());
    settings.acquire_timeout = Duration::from_secs(2);
    let db = Db::connect("locks", &settings, Options::default()).await.unwrap();
    for statement in lock::tables(db.backend()) {
        db.writer().execute_unprepared(&statement).await.unwrap();
    }
    let table = Locks::new(Arc::new(TableStore::new(db)), "here");
    let session = Locks::new(Arc::new(SessionStore::new(&settings, "test").unwrap()), "here");
    let options = LockOptions::ttl(TTL);

    let row = table.acquire("a", options.clone()).await.unwrap();
    let held = session.acquire("a", options.clone()).await.unwrap();
    server.kill();
    let (rows, sessions) = (format!("{kind}, rows"), format!("{kind}, sessions"));
    tokio::join!(is_lost_in_time(&rows, &row), is_lost_in_time(&sessions, &held));
    for locks in [&table, &session] {
        let refused = locks.try_acquire("b", options.clone()).await.unwrap_err();
        assert!(refused.is_unavailable(), "{refused}");
    }

    server.restart().await.unwrap();
    for (locks, lost) in [(&table, row), (&session, held)] {
        let next = locks.acquire("a", options.clone().wait(Duration::from_secs(30))).await.unwrap();
        assert!(next.is_held() && !lost.is_held(), "the loss is for good");
        assert!(lost.release().await.unwrap_err().is_stale());
        assert!(locks.try_acquire("a", options.clone()).await.unwrap().is_none(), "it is the next one's");
        next.release().await.unwrap();
    }
}
