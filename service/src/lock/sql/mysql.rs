use std::str::FromStr;
use std::time::Duration;

use sea_orm::sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use super::session::{Key, Session, failed};
use crate::config::Database;
use crate::lock::{HeldLock, LockError};
use crate::types::session;

/// A session that says nothing for so long is ended by the server: longer than any lease. MySQL's own limit is 8 hours.
const SETUP: &str = "SET SESSION wait_timeout = 604800 /*M! , SESSION max_statement_time = 0 */";

/// Where sessions are opened.
#[derive(Clone, Debug)]
pub(super) struct Server {
    options: MySqlConnectOptions,
}

/// A session, and whether its server counts fractions of a second.
struct MySqlSession {
    connection: MySqlConnection,
    fractions: bool,
}

impl Server {
    pub(super) fn new(config: &Database) -> Result<Self, LockError> {
        let options = MySqlConnectOptions::from_str(config.url.expose()).map_err(failed)?;
        Ok(Self { options: session::mysql(options).disable_statement_logging() })
    }

    pub(super) async fn open(&self) -> Result<Box<dyn Session>, sqlx::Error> {
        let mut connection = MySqlConnection::connect_with(&self.options).await?;
        sqlx::raw_sql(SETUP).execute(&mut connection).await?;
        let version: String = sqlx::raw_sql("SELECT VERSION()").fetch_one(&mut connection).await?.try_get(0)?;
        Ok(Box::new(MySqlSession { connection, fractions: version.contains("MariaDB") }))
    }
}

impl MySqlSession {
    /// What a statement answers; `None` for NULL. As text and unprepared: what is asked holds digits only.
    async fn number(&mut self, sql: String) -> Result<Option<i64>, sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(&mut self.connection).await?.try_get(0)
    }
}

/// The name of a lock: MySQL's are 64 characters at most, and do not differ by case.
fn name(key: &Key) -> String {
    format!("stanchion:{}", key.hex())
}

#[async_trait::async_trait]
impl Session for MySqlSession {
    async fn lock(&mut self, key: &Key, wait: Duration) -> Result<bool, sqlx::Error> {
        let seconds = if self.fractions { wait.as_secs_f64() } else { wait.as_secs_f64().ceil() };
        let asked = self.number(format!("SELECT GET_LOCK('{}', {seconds:.6})", name(key))).await?;
        // NULL is an error that has no number: the waiting was ended.
        asked.map(|got| got == 1).ok_or_else(|| sqlx::Error::Protocol("GET_LOCK was ended".to_owned()))
    }

    async fn unlock(&mut self, key: &Key) -> Result<bool, sqlx::Error> {
        Ok(self.number(format!("SELECT RELEASE_LOCK('{}')", name(key))).await? == Some(1))
    }

    async fn holds(&mut self, key: &Key) -> Result<bool, sqlx::Error> {
        Ok(self.number(format!("SELECT IS_USED_LOCK('{}') = CONNECTION_ID()", name(key))).await? == Some(1))
    }

    async fn held(&mut self, _: usize) -> Result<Option<Vec<HeldLock>>, sqlx::Error> {
        // Servers tell who holds a lock whose name is known, and list them only where the operator has switched that on.
        Ok(None)
    }
}
