//! One connection of one of the three drivers, with the operations that a transaction needs.
//!
//! SeaORM's own transaction hides its connection, so that neither COPY nor a check of its state is possible in it; this is
//! the same over a connection that we can reach. Each operation is one round trip.

use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Executor, MySql, Postgres, Sqlite};
use sea_orm::{DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;
use sqlx_core::transaction::TransactionManager;

/// A connection that a pool has lent.
pub(super) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
    MySql(PoolConnection<MySql>),
}

/// Runs the same expression on whichever connection it is.
macro_rules! on {
    ($connection:expr, $inner:ident => $work:expr) => {
        match $connection {
            Connection::Sqlite($inner) => $work,
            Connection::Postgres($inner) => $work,
            Connection::MySql($inner) => $work,
        }
    };
}

/// Calls a function of the driver's transaction manager.
macro_rules! manager {
    ($connection:expr, $inner:ident, $function:ident($($argument:expr),*)) => {
        match $connection {
            Connection::Sqlite($inner) => <Sqlite as sqlx::Database>::TransactionManager::$function($($argument),*),
            Connection::Postgres($inner) => <Postgres as sqlx::Database>::TransactionManager::$function($($argument),*),
            Connection::MySql($inner) => <MySql as sqlx::Database>::TransactionManager::$function($($argument),*),
        }
    };
    (await $connection:expr, $inner:ident, $function:ident($($argument:expr),*)) => {
        match $connection {
            Connection::Sqlite($inner) => {
                <Sqlite as sqlx::Database>::TransactionManager::$function($($argument),*).await
            }
            Connection::Postgres($inner) => {
                <Postgres as sqlx::Database>::TransactionManager::$function($($argument),*).await
            }
            Connection::MySql($inner) => {
                <MySql as sqlx::Database>::TransactionManager::$function($($argument),*).await
            }
        }
    };
}

impl Connection {
    pub(super) const fn backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres(_) => DbBackend::Postgres,
            Self::MySql(_) => DbBackend::MySql,
        }
    }

    /// Begins a transaction, or a savepoint inside one. SQLite's transactions take the write lock at once where
    /// `immediate`: one that takes it later cannot wait for it.
    pub(super) async fn begin(&mut self, immediate: bool) -> Result<(), DbErr> {
        let statement = match self {
            Self::Sqlite(inner) if immediate => {
                let depth = <Sqlite as sqlx::Database>::TransactionManager::get_transaction_depth(inner);
                (depth == 0).then(|| sqlx::SqlSafeStr::into_sql_str("BEGIN IMMEDIATE"))
            }
            _ => None,
        };
        manager!(await self, inner, begin(inner, statement)).map_err(query_error)
    }

    pub(super) async fn commit(&mut self) -> Result<(), DbErr> {
        manager!(await self, inner, commit(inner)).map_err(query_error)
    }

    pub(super) async fn rollback(&mut self) -> Result<(), DbErr> {
        manager!(await self, inner, rollback(inner)).map_err(query_error)
    }

    /// Queues a rollback that runs before the connection does anything else.
    pub(super) fn start_rollback(&mut self) {
        manager!(self, inner, start_rollback(inner));
    }

    /// Takes it out of its pool and closes it, without saying so to the server.
    pub(super) fn detach(self) {
        on!(self, inner => drop(inner.detach()));
    }

    pub(super) async fn execute(&mut self, statement: Statement) -> Result<ExecResult, DbErr> {
        let Statement { sql, values, .. } = statement;
        let values = SqlxValues(values.unwrap_or_else(no_values));
        on!(self, inner => {
            sqlx::query_with(AssertSqlSafe(sql), values).execute(&mut **inner).await.map(Into::into).map_err(exec_error)
        })
    }

    pub(super) async fn execute_unprepared(&mut self, sql: &str) -> Result<ExecResult, DbErr> {
        on!(self, inner => {
            (&mut **inner).execute(AssertSqlSafe(sql.to_owned())).await.map(Into::into).map_err(exec_error)
        })
    }

    pub(super) async fn query_one(&mut self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let Statement { sql, values, .. } = statement;
        let values = SqlxValues(values.unwrap_or_else(no_values));
        on!(self, inner => {
            let row = sqlx::query_with(AssertSqlSafe(sql), values).fetch_optional(&mut **inner).await;
            row.map(|row| row.map(Into::into)).map_err(query_error)
        })
    }

    pub(super) async fn query_all(&mut self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let Statement { sql, values, .. } = statement;
        let values = SqlxValues(values.unwrap_or_else(no_values));
        on!(self, inner => {
            let rows = sqlx::query_with(AssertSqlSafe(sql), values).fetch_all(&mut **inner).await;
            rows.map(|rows| rows.into_iter().map(Into::into).collect()).map_err(query_error)
        })
    }
}

const fn no_values() -> sea_orm::Values {
    sea_orm::Values(Vec::new())
}

pub(super) fn query_error(error: sqlx::Error) -> DbErr {
    match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(sea_orm::error::ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(sea_orm::error::ConnAcquireErr::ConnectionClosed),
        error => DbErr::Query(RuntimeErr::SqlxError(error.into())),
    }
}

pub(super) fn exec_error(error: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(error.into()))
}
