//! A future that is dropped, wherever it stands, leaves no connection inside a transaction and nothing half done.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionSession, TransactionTrait};
use stanchion::db::Db;
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::{TestDatabase, eventually};

use super::open;

on_every_backend! { empty:
    a_dropped_transaction_leaves_no_connection_inside_one,
}

/// How often a future is dropped.
const DROPS: usize = 10_000;
/// A transaction waits some dozen times; each wait is the last one in its turn, and sometimes none is.
const MOST_WAITS: usize = 40;

/// Lets a future wait so many times, and drops it as soon as it begins the last wait: what it has sent is on its way.
async fn waits<F: Future>(future: F, left: usize) -> Option<F::Output> {
    Waits { future: pin!(future), left }.await
}

struct Waits<F> {
    future: F,
    left: usize,
}

impl<F: Future + Unpin> Future for Waits<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.future).poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.left <= 1 => Poll::Ready(None),
            Poll::Pending => {
                self.left -= 1;
                Poll::Pending
            }
        }
    }
}

async fn a_dropped_transaction_leaves_no_connection_inside_one(database: TestDatabase) {
    let db = open(&database).await;
    db.writer().execute_unprepared("CREATE TABLE pairs (id BIGINT NOT NULL, side INTEGER NOT NULL)").await.unwrap();
    let mut finished = 0;
    for drop_number in 0..DROPS {
        if waits(work(&db, drop_number), 1 + drop_number % MOST_WAITS).await.is_some() {
            finished += 1;
        }
        // Looked at now and then, after another wait each time: the next transaction may cover up what this one left.
        if drop_number.is_multiple_of(MOST_WAITS * 10 + 1) {
            nobody_is_inside_a_transaction(&db).await;
        }
    }
    assert!(finished > 0, "no transaction was let to its end");
    assert!(finished < DROPS, "no transaction was dropped");

    nobody_is_inside_a_transaction(&db).await;
    // Every connection answers outside of a transaction: what it writes is there for all at once.
    let before = rows(&db).await;
    assert_eq!(before % 2, 0, "half a transaction was kept");
    for _ in 0..8 {
        db.writer().execute_unprepared("INSERT INTO pairs VALUES (-1, 0), (-1, 1)").await.unwrap();
    }
    assert_eq!(rows(&db).await, before + 16);
    assert!(before >= 2 * i64::try_from(finished / 2).unwrap(), "a committed transaction was lost");
}

/// Rollbacks of what was dropped run as the connections come back.
async fn nobody_is_inside_a_transaction(db: &Db) {
    eventually("no session is inside a transaction", async || open_transactions(db).await == 0).await;
}

async fn work(db: &Db, number: usize) {
    let insert = |side: u8| format!("INSERT INTO pairs VALUES ({number}, {side})");
    // Alternately through the retrying transaction and SeaORM's own way.
    if number.is_multiple_of(2) {
        db.transaction(async |tx| {
            tx.execute_unprepared(&insert(0)).await?;
            tx.execute_unprepared(&insert(1)).await?;
            Ok(())
        })
        .await
        .unwrap();
    } else {
        let tx = db.writer().begin().await.unwrap();
        tx.execute_unprepared(&insert(0)).await.unwrap();
        tx.execute_unprepared(&insert(1)).await.unwrap();
        tx.commit().await.unwrap();
    }
}

async fn rows(db: &Db) -> i64 {
    count(db, "SELECT COUNT(*) FROM pairs").await
}

async fn open_transactions(db: &Db) -> i64 {
    match db.backend() {
        DbBackend::Postgres => {
            let idle = "SELECT COUNT(*) FROM pg_stat_activity \
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
            count(db, idle).await
        }
        DbBackend::MySql => {
            // InnoDB makes this table anew only when nobody has read it for 100 ms: asked more often, it never changes.
            tokio::time::sleep(Duration::from_millis(120)).await;
            let open = "SELECT COUNT(*) FROM information_schema.innodb_trx t \
                JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
                WHERE p.db = DATABASE() AND p.command = 'Sleep'";
            count(db, open).await
        }
        // A transaction left open would hold the write lock of the file; the writes below show that nobody does.
        _ => 0,
    }
}

async fn count(db: &Db, sql: &str) -> i64 {
    let row = db.reader().query_one_raw(Statement::from_string(db.backend(), sql)).await.unwrap().unwrap();
    row.try_get_by(0).unwrap()
}
