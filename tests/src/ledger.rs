use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sea_orm::{ConnectionTrait, DbErr, Statement};
use stanchion::Error;
use stanchion::config::Database;
use stanchion::db::{Db, Options};
use stanchion::lock::{
    self, Fenced, InProcess, Leader, LockError, LockGuard, LockOptions, LockStore, Locks, RedisLocks, SessionStore,
    TableStore,
};
use stanchion::redis::{self, Redis};

/// What those who hold a lock write, one after the other: a counter that is read and then set, and a row a turn with the
/// fence it was written under. It tells afterwards whether anybody wrote who was not to.
#[derive(Clone, Debug)]
pub struct Ledger {
    db: Db,
    locks: Locks,
}

/// How a turn at the lock ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It was written.
    Accepted,
    /// The database or the guard refused it: somebody else had been there, or the lock was lost.
    Refused,
    /// The lock was not to be had, or something else was in the way.
    Missed,
}

impl Turn {
    /// The reason is for who reads the output of a test that failed.
    fn missed(error: &Error) -> Self {
        println!("a turn was missed: {error}");
        Self::Missed
    }
}

/// What the rows tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// Rows that were written.
    pub rows: i64,
    /// What the counter came to.
    pub counter: i64,
    /// Rows whose fence is lower than that of the row before, or the same in another process: stale writes that were
    /// accepted.
    pub stale: i64,
    /// Rows whose fence and process are those of the row before. Of turns each writes one; of terms as many as they like.
    pub repeated: i64,
}

impl Ledger {
    /// The ledger in a database whose locks are kept in `store`: `in_process`, `redis`, `table` or `session`. The names of
    /// locks are the ledger's own where their store is shared.
    ///
    /// # Errors
    /// Those of connecting.
    pub async fn open(store: &str, url: &str, redis_url: Option<&str>) -> anyhow::Result<Self> {
        let mut settings = Database::new(url.parse()?);
        settings.max_open_conns = 8;
        settings.acquire_timeout = Duration::from_secs(30);
        let db = Db::connect("ledger", &settings, Options { create: true }).await?;
        let prefix = url.rsplit('/').next().unwrap_or_default();
        let store: Arc<dyn LockStore> = match store {
            "in_process" => Arc::new(InProcess::new()),
            "redis" => {
                let redis_url = redis_url.context("the URL of Redis")?;
                let redis = Redis::new(redis_url.parse()?, redis::Options::default());
                Arc::new(RedisLocks::new(redis, url))
            }
            "table" => Arc::new(TableStore::new(db.clone())),
            "session" => Arc::new(SessionStore::new(&settings, prefix)?),
            other => anyhow::bail!("there is no store `{other}`"),
        };
        Ok(Self { db, locks: Locks::new(store, "ledger") })
    }

    /// Makes its tables, and those that locks need, in an empty database.
    ///
    /// # Errors
    /// The database's.
    pub async fn create(&self) -> Result<(), DbErr> {
        for sql in lock::tables(self.db.backend()) {
            self.db.writer().execute_unprepared(&sql).await?;
        }
        for sql in [
            "CREATE TABLE ledger (n bigint NOT NULL, fence bigint NOT NULL, process bigint NOT NULL)",
            "CREATE TABLE ledger_counter (n bigint NOT NULL)",
            "INSERT INTO ledger_counter VALUES (0)",
        ] {
            self.db.writer().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    /// Acquires a lock of its own that is renewed as long as it is held, with a fence.
    ///
    /// # Errors
    /// Those of the store and the database.
    pub async fn keep(&self, ttl: Duration) -> Result<LockGuard, Error> {
        self.locks.acquire("kept", LockOptions::ttl(ttl).wait(Duration::from_secs(120)).fenced(&self.db)).await
    }

    /// A candidate for the lead of the ledger, with fences.
    ///
    /// # Errors
    /// That of an option that makes no sense.
    pub fn leader(&self, ttl: Duration) -> Result<Leader, LockError> {
        Leader::new(&self.locks, "lead", LockOptions::ttl(ttl).fenced(&self.db))
    }

    /// One turn: acquires the lock, waits for `pause`, and writes. `known` is whether it asks its guard first, which may
    /// know that the lock is lost; else the database alone decides.
    pub async fn turn(&self, process: i64, ttl: Duration, pause: impl Future<Output = ()>, known: bool) -> Turn {
        let options = LockOptions::ttl(ttl).wait(Duration::from_secs(20)).no_renewal().fenced(&self.db);
        let guard = match self.locks.acquire("ledger", options).await {
            Ok(guard) => guard,
            Err(error) => return Turn::missed(&error),
        };
        pause.await;
        let Some(fence) = guard.fence() else { return Turn::Missed };
        let written = if known {
            self.write(&guard, fence.token(), process).await
        } else {
            self.write(fence, fence.token(), process).await
        };
        // Whether it was still held is not asked: the database has said so.
        let _released = guard.release().await;
        match written {
            Ok(()) => Turn::Accepted,
            Err(Error::Lock(LockError::Stale { .. } | LockError::Lost { .. })) => Turn::Refused,
            Err(error) => Turn::missed(&error),
        }
    }

    /// Writes a row under a fence, if the database and the holder have it so.
    ///
    /// # Errors
    /// [`LockError::Stale`] and [`LockError::Lost`]; the database's.
    pub async fn write<F: Fenced + Sync>(&self, holder: &F, fence: i64, process: i64) -> Result<(), Error> {
        self.db
            .transaction(async |tx| {
                tx.check_fence(holder).await?;
                let counter = Statement::from_string(self.db.backend(), "SELECT n FROM ledger_counter");
                let row = tx.query_one_raw(counter).await?;
                let read: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
                let n = read.unwrap_or_default() + 1;
                let sql = format!("INSERT INTO ledger VALUES ({n}, {fence}, {process})");
                tx.execute_unprepared(&sql).await?;
                tx.execute_unprepared(&format!("UPDATE ledger_counter SET n = {n}")).await?;
                Ok(())
            })
            .await
    }

    /// What was written.
    ///
    /// # Errors
    /// The database's.
    pub async fn history(&self) -> Result<History, DbErr> {
        let sql = "SELECT count(*), (SELECT n FROM ledger_counter), \
                   count(CASE WHEN fence < earlier OR (fence = earlier AND process <> other) THEN 1 END), \
                   count(CASE WHEN fence = earlier AND process = other THEN 1 END) \
                   FROM (SELECT fence, process, lag(fence) OVER (ORDER BY n, fence) AS earlier, \
                         lag(process) OVER (ORDER BY n, fence) AS other FROM ledger) AS pairs";
        let row = self.db.writer().query_one_raw(Statement::from_string(self.db.backend(), sql)).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("the history".to_owned()))?;
        Ok(History {
            rows: row.try_get_by_index(0)?,
            counter: row.try_get_by_index(1)?,
            stale: row.try_get_by_index(2)?,
            repeated: row.try_get_by_index(3)?,
        })
    }
}
