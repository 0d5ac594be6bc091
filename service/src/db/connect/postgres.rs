use std::str::FromStr;
use std::sync::Arc;

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};

use super::pool::{most_resting, pool_options};
use super::{ConnectError, driver, probe, require};
use crate::config::Database;
use crate::db::Pool;
use crate::types::session;

/// The oldest server: partitioned tables that others refer to, and trusted extensions.
const OLDEST: (u32, u32) = (13, 0);

pub(super) async fn pools(config: &Database) -> Result<(Pool, Pool), ConnectError> {
    let url = &config.url;
    let options = PgConnectOptions::from_str(url.expose()).map_err(driver(url))?;
    let options = session::postgres(options)
        .application_name("stanchion")
        .options([("default_transaction_isolation", "read committed")])
        .disable_statement_logging();
    let options = match config.statement_timeout {
        Some(limit) => options.options([("statement_timeout", format!("{}ms", limit.as_millis()))]),
        None => options,
    };

    let connection: PgConnection = probe(config, url, || PgConnection::connect_with(&options)).await?;
    let number = connection.server_version_num().unwrap_or(0);
    let version = format!("{}.{}", number / 10_000, number % 10_000);
    // The probe has served; that it could not say good-bye means nothing.
    let _closed = connection.close().await;
    require(url, "PostgreSQL", &version, OLDEST, "PostgreSQL 13")?;

    let reader = options.clone().options([("default_transaction_read_only", "on")]);
    Ok((pool(config, options, true), pool(config, reader, false)))
}

fn pool(config: &Database, options: PgConnectOptions, writes: bool) -> Pool {
    let doubt = Arc::default();
    let (pool_options, cell) = pool_options::<sqlx::Postgres>(config, &doubt);
    let pool = pool_options.connect_lazy_with(options);
    let held = cell.hold(&pool);
    Pool::new(pool.into(), writes, doubt, most_resting(config, config.max_open_conns), held)
}
