use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tokio::sync::OnceCell;

use super::session::{Key, Session, failed};
use crate::config::Database;
use crate::lock::{HeldLock, LockError};
use crate::types::session;

/// What the sessions call themselves, the instance after it.
const APPLICATION: &str = "stanchion lock ";

/// One that waits for a lock notices that its client has gone, from version 14 on; and no limit that the operator has set
/// for sessions which say nothing, or for transactions, ends one that holds a lock or waits for it.
const SETUP: &str = "SELECT set_config(name, CASE name WHEN 'client_connection_check_interval' THEN '500ms' ELSE '0' END, \
    false) FROM pg_settings \
    WHERE name IN ('client_connection_check_interval', 'idle_session_timeout', 'transaction_timeout')";

/// Where sessions are opened.
#[derive(Clone, Debug)]
pub(super) struct Server {
    options: PgConnectOptions,
    /// Set once it is known that a connection is a session.
    direct: Arc<OnceCell<()>>,
}

/// A session, and the process of the server that serves it.
struct PgSession {
    connection: PgConnection,
    pid: i32,
}

impl Server {
    pub(super) fn new(config: &Database) -> Result<Self, LockError> {
        let options = PgConnectOptions::from_str(config.url.expose()).map_err(failed)?;
        // Waiting is bounded by each call. A client that vanished without a word is noticed within half a minute.
        let options = session::postgres(options)
            .options([
                ("statement_timeout", "0"),
                ("tcp_keepalives_idle", "10"),
                ("tcp_keepalives_interval", "5"),
                ("tcp_keepalives_count", "4"),
            ])
            .disable_statement_logging();
        Ok(Self { options, direct: Arc::default() })
    }

    pub(super) async fn open(&self, instance: &str) -> Result<Box<dyn Session>, LockError> {
        let options = self.options.clone().application_name(&format!("{APPLICATION}{instance}"));
        let mut connection = PgConnection::connect_with(&options).await.map_err(failed)?;
        let pid = backend_pid(&mut connection).await.map_err(failed)?;
        self.direct.get_or_try_init(|| self.see_that_it_is_a_session(&mut connection, pid)).await?;
        sqlx::raw_sql(SETUP).execute(&mut connection).await.map_err(failed)?;
        Ok(Box::new(PgSession { connection, pid }))
    }

    /// Refuses a pooler that lends a server's session for a transaction at a time: a lock taken in one would stay with it,
    /// for whoever comes next. While a second connection is inside a transaction, the first must be where it was.
    async fn see_that_it_is_a_session(&self, first: &mut PgConnection, pid: i32) -> Result<(), LockError> {
        let mut second = PgConnection::connect_with(&self.options).await.map_err(failed)?;
        sqlx::raw_sql("BEGIN").execute(&mut second).await.map_err(failed)?;
        let other = backend_pid(&mut second).await.map_err(failed)?;
        let same = other != pid && backend_pid(first).await.map_err(failed)? == pid;
        // It has served; that it could not say good-bye means nothing.
        let _ended = sqlx::raw_sql("ROLLBACK").execute(&mut second).await;
        let _closed = second.close().await;
        if same { Ok(()) } else { Err(pooled()) }
    }
}

fn pooled() -> LockError {
    LockError::Options(
        "a pooler shares PostgreSQL's sessions between transactions, so that they cannot hold locks; connect to the \
         server itself, let the pooler lend whole sessions, or set distributed_lock.type to table"
            .to_owned(),
    )
}

async fn backend_pid(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("SELECT pg_backend_pid()").fetch_one(connection).await?.try_get(0)
}

fn is_lock_timeout(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03")
}

impl PgSession {
    /// Whether a statement answers true. As text and unprepared: what is asked holds numbers only.
    async fn is(&mut self, sql: String) -> Result<bool, sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await?.try_get(0)
    }
}

#[async_trait::async_trait]
impl Session for PgSession {
    async fn lock(&mut self, key: &Key, wait: Duration) -> Result<bool, sqlx::Error> {
        let key = key.number();
        if wait.is_zero() {
            return self.is(format!("SELECT pg_try_advisory_lock({key})")).await;
        }
        // Not less than was to be waited; zero would be for ever.
        let millis = wait.as_nanos().div_ceil(1_000_000).clamp(1, 2_147_483_647);
        let sql = format!("SET lock_timeout = {millis}; SELECT pg_advisory_lock({key})");
        match sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection).await {
            Ok(_) => Ok(true),
            Err(error) if is_lock_timeout(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn unlock(&mut self, key: &Key) -> Result<bool, sqlx::Error> {
        self.is(format!("SELECT pg_advisory_unlock({})", key.number())).await
    }

    async fn holds(&mut self, _: &Key) -> Result<bool, sqlx::Error> {
        // A session that lives holds what it was granted.
        let pid = self.pid;
        self.is(format!("SELECT pg_backend_pid() = {pid}")).await
    }

    async fn held(&mut self, limit: usize) -> Result<Option<Vec<HeldLock>>, sqlx::Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let sql = format!(
            "SELECT lpad(to_hex(l.classid::bigint), 8, '0') || lpad(to_hex(l.objid::bigint), 8, '0') AS key, \
             a.application_name FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
             WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted \
             AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
             AND a.application_name LIKE '{APPLICATION}%' ORDER BY key LIMIT {limit}"
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await?;
        let held = rows.into_iter().map(|row| {
            let application: String = row.try_get(1)?;
            let holder = application.strip_prefix(APPLICATION).unwrap_or(&application).to_owned();
            Ok(HeldLock::new(row.try_get(0)?, holder, None))
        });
        held.collect::<Result<_, sqlx::Error>>().map(Some)
    }
}
