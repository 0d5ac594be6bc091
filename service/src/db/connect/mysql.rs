use std::str::FromStr;
use std::sync::Arc;

use sea_orm::sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

use super::pool::{most_resting, pool_options};
use super::{ConnectError, Seconds, driver, probe, require};
use crate::config::Database;
use crate::db::Pool;
use crate::types::session;

/// The oldest servers: DDL that happens whole or not, SKIP LOCKED, invisible columns.
const OLDEST_MARIADB: (u32, u32) = (10, 6);
const OLDEST_MYSQL: (u32, u32) = (8, 0);

pub(super) async fn pools(config: &Database) -> Result<(Pool, Pool), ConnectError> {
    let url = &config.url;
    let options = MySqlConnectOptions::from_str(url.expose()).map_err(driver(url))?;
    let options = session::mysql(options).disable_statement_logging();

    let mut connection: MySqlConnection = probe(config, url, || MySqlConnection::connect_with(&options)).await?;
    let version: Result<String, _> = sqlx::query_scalar("SELECT VERSION()").fetch_one(&mut connection).await;
    let version = version.map_err(|source| ConnectError::Refused { target: url.to_string(), source })?;
    // The probe has served; that it could not say good-bye means nothing.
    let _closed = connection.close().await;
    if version.contains("MariaDB") {
        require(url, "MariaDB", &version, OLDEST_MARIADB, "MariaDB 10.6")?;
    } else {
        require(url, "MySQL", &version, OLDEST_MYSQL, "MySQL 8.0")?;
    }
    Ok((pool(config, options.clone(), true), pool(config, options, false)))
}

fn pool(config: &Database, options: MySqlConnectOptions, writes: bool) -> Pool {
    let settings = settings(config);
    let isolation = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";
    let access = if writes { "" } else { ", READ ONLY" };
    let transactions = format!("{isolation}{access}");
    let doubt = Arc::default();
    let (pool_options, cell) = pool_options::<sqlx::MySql>(config, &doubt);
    let pool = pool_options
        .after_connect(move |connection, _| {
            let settings = [settings.clone(), transactions.clone()];
            Box::pin(async move {
                for setting in settings {
                    connection.execute(AssertSqlSafe(setting)).await?;
                }
                Ok(())
            })
        })
        .connect_lazy_with(options);
    let held = cell.hold(&pool);
    Pool::new(pool.into(), writes, doubt, most_resting(config, config.max_open_conns), held)
}

/// One statement for all settings. Comments of the form `/*M! */` are read by MariaDB alone, `/*!80000 */` by MySQL 8.
///
/// MySQL limits the time of a SELECT only; MariaDB that of any statement.
fn settings(config: &Database) -> String {
    let limits = config.statement_timeout.map(|limit| {
        let lock_wait = limit.as_secs().clamp(1, 1_073_741_824);
        format!(
            ", innodb_lock_wait_timeout = {lock_wait} /*M! , max_statement_time = {} */ /*!80000 , max_execution_time = {} */",
            Seconds(limit),
            limit.as_millis()
        )
    });
    format!("SET {}{}", session::MYSQL_SETUP, limits.unwrap_or_default())
}
