//! How a database is, as far as its engine says.
//!
//! | figure | PostgreSQL | MySQL/MariaDB | SQLite |
//! | --- | --- | --- | --- |
//! | server connections, and the most | of the database, of the server | of the server | - |
//! | slow statements | kinds slower than [`SLOW_STATEMENT`] in the mean, if `pg_stat_statements` is there | `Slow_queries` since the start | - |
//! | lock waits | statements waiting now | rows waited for now, in all of InnoDB | - |
//! | long transactions | open longer than [`LONG_TRANSACTION`] | of InnoDB, if permitted | - |
//! | table: rows | live, by its statistics | by its statistics | by `ANALYZE`, if it was run |
//! | table: bytes | with indexes | with indexes | - |
//! | table: scans by index, whole scans | since its statistics began | - | - |
//! | size | of the database | of its tables | of the file |
//! | replication lag | on a replica | - | - |

mod mysql;
mod postgres;
mod sqlite;

use std::borrow::Cow;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, Statement, TryGetable};
use serde::{Deserialize, Serialize};

use super::business::share;
use crate::db::{Db, Pool};

/// Tables that are looked at, at most: the largest.
pub const MOST_TABLES: u32 = 200;
/// A transaction that is open longer than this is long.
pub const LONG_TRANSACTION: Duration = Duration::from_secs(60);
/// A statement that takes longer than this in the mean is slow.
pub const SLOW_STATEMENT: Duration = Duration::from_millis(200);

/// How a database is. What its engine does not say, or not to us, is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineFigures {
    /// What it is called in the configuration.
    pub database: Cow<'static, str>,
    /// The engine.
    pub engine: Cow<'static, str>,
    /// Whether it answers.
    pub reachable: bool,
    /// Our own connections to it.
    pub pools: PoolFigures,
    /// Connections that the server has, ours among them.
    pub server_connections: Option<u64>,
    /// Connections that it takes at most.
    pub max_server_connections: Option<u64>,
    /// Slow statements.
    pub slow_statements: Option<u64>,
    /// Waits for a lock, now.
    pub lock_waits: Option<u64>,
    /// Transactions open for longer than [`LONG_TRANSACTION`], now.
    pub long_transactions: Option<u64>,
    /// How many bytes it takes.
    pub bytes: Option<u64>,
    /// Its tables, the largest first as far as that is known; partitions are part of their table.
    pub tables: Option<Vec<TableFigures>>,
    /// How far it is behind its primary, in seconds; absent on a primary.
    pub replication_lag_s: Option<f64>,
}

/// Our connections to a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolFigures {
    /// Open connections that may write.
    pub writer_open: u32,
    /// Of those, idle ones.
    pub writer_idle: u32,
    /// Open connections that only read.
    pub reader_open: u32,
    /// Of those, idle ones.
    pub reader_idle: u32,
    /// How many each of the two may have, as configured; on SQLite there is one that writes, and fewer that read.
    pub most: u32,
}

impl PoolFigures {
    fn of(db: &Db, most: u32) -> Self {
        let size = |pool: &Pool| {
            let (open, idle) = pool.size();
            (open, u32::try_from(idle).unwrap_or(u32::MAX).min(open))
        };
        let ((writer_open, writer_idle), (reader_open, reader_idle)) = (size(db.writer()), size(db.reader()));
        Self { writer_open, writer_idle, reader_open, reader_idle, most }
    }

    /// How much of the fuller pool is in use, from 0 to 1.
    pub fn in_use(self) -> Option<f64> {
        let busy = (self.writer_open - self.writer_idle).max(self.reader_open - self.reader_idle);
        share(busy.into(), self.most.into()).map(|used| used.min(1.0))
    }
}

/// How a table is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromQueryResult)]
pub struct TableFigures {
    /// Its name.
    pub name: String,
    /// Rows, about.
    pub rows: Option<i64>,
    /// Bytes, its indexes included.
    pub bytes: Option<i64>,
    /// How often it was read by an index.
    pub index_scans: Option<i64>,
    /// How often it was read whole.
    pub whole_scans: Option<i64>,
}

/// How `db` is, whose pools have `most` connections each. At most six round trips.
pub(super) async fn figures(db: &Db, most: u32) -> EngineFigures {
    let asked = Asked { pool: db.reader() };
    let base = EngineFigures {
        database: Cow::Borrowed(db.name()),
        engine: Cow::Borrowed(db.engine()),
        // Before we take connections ourselves.
        pools: PoolFigures::of(db, most),
        reachable: db.reader().execute_unprepared("SELECT 1").await.is_ok(),
        ..EngineFigures::default()
    };
    if !base.reachable {
        return base;
    }
    match db.backend() {
        DbBackend::Postgres => postgres::figures(&asked, base).await,
        DbBackend::Sqlite => sqlite::figures(&asked, base).await,
        _ => mysql::figures(&asked, base).await,
    }
}

/// A database that is asked for what it may not have.
struct Asked<'a> {
    pool: &'a Pool,
}

impl Asked<'_> {
    /// The first row's columns, as far as they can be had.
    async fn row(&self, sql: &str) -> Option<sea_orm::QueryResult> {
        let asked = self.pool.query_one_raw(Statement::from_string(self.pool.get_database_backend(), sql)).await;
        absent(asked).flatten()
    }

    async fn tables(&self, sql: &str) -> Option<Vec<TableFigures>> {
        let statement = Statement::from_string(self.pool.get_database_backend(), sql);
        absent(TableFigures::find_by_statement(statement).all(self.pool).await)
    }

    /// A number of the first row.
    async fn number(&self, sql: &str) -> Option<u64> {
        count(&self.row(sql).await?, 0)
    }
}

/// A column of a row that is a number, and not below zero.
fn count(row: &sea_orm::QueryResult, at: usize) -> Option<u64> {
    let number = Option::<i64>::try_get_by(row, at).ok()??;
    u64::try_from(number).ok()
}

fn absent<T>(asked: Result<T, DbErr>) -> Option<T> {
    asked.inspect_err(|error| tracing::debug!(%error, "the engine does not give a figure")).ok()
}
