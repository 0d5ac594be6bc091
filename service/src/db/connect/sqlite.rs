use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _};

use super::pool::{most_resting, pool_options};
use super::{ConnectError, Options, driver, probe};
use crate::config::Database;
use crate::db::Pool;
use crate::types::session;

/// Memory for pages, in KiB (negative, as SQLite has it), and the part of the file that is mapped, in bytes.
const CACHE_KIB: &str = "-16384";
const MAPPED_BYTES: &str = "268435456";

/// SQLite reads in the calling process: more connections than these only wait for each other.
fn readers(config: &Database) -> u32 {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    config.max_open_conns.saturating_sub(1).clamp(1, u32::try_from(cores * 2).unwrap_or(16).max(4))
}

pub(super) async fn pools(config: &Database, options: Options) -> Result<(Pool, Pool), ConnectError> {
    let url = &config.url;
    if let Some(path) = url.sqlite_path() {
        prepare(path, options)?;
    }
    let connect = SqliteConnectOptions::from_str(url.expose()).map_err(driver(url))?;
    let connect = session::sqlite(connect)
        .create_if_missing(options.create)
        .busy_timeout(busy_timeout(config))
        .pragma("cache_size", CACHE_KIB)
        .pragma("mmap_size", MAPPED_BYTES)
        .pragma("temp_store", "memory")
        .disable_statement_logging();
    if url.is_in_memory() {
        // Another connection would be another, empty database.
        let memory = pool(config, connect, 1, true);
        return Ok((memory.clone(), memory));
    }
    // In WAL mode readers and the writer do not wait for each other. NORMAL survives a crash of the process whole; a power
    // cut can lose the last commits, never the file.
    let writer = connect.clone().journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
    let connection: SqliteConnection = probe(config, url, || SqliteConnection::connect_with(&writer)).await?;
    let _closed = connection.close().await;
    let reader = connect.create_if_missing(false).pragma("query_only", "on");
    Ok((pool(config, writer, 1, true), pool(config, reader, readers(config), false)))
}

/// Another process may hold the write lock; a statement waits for it as long as for a connection.
fn busy_timeout(config: &Database) -> Duration {
    config.acquire_timeout
}

fn prepare(path: &Path, options: Options) -> Result<(), ConnectError> {
    if path.exists() {
        return Ok(());
    }
    if !options.create {
        return Err(ConnectError::Missing { path: path.display().to_string() });
    }
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::create_dir_all(folder)
            .map_err(|source| ConnectError::Folder { path: folder.display().to_string(), source }),
        None => Ok(()),
    }
}

fn pool(config: &Database, options: SqliteConnectOptions, connections: u32, writes: bool) -> Pool {
    let doubt = Arc::default();
    let (pool_options, cell) = pool_options::<sqlx::Sqlite>(config, &doubt);
    // A connection to a file costs a thread and its page cache, not a server's memory: the one that writes stays open.
    let kept = pool_options.max_connections(connections).min_connections(0);
    let kept = if writes { kept.max_lifetime(None).idle_timeout(None) } else { kept };
    let pool = kept.connect_lazy_with(options);
    let held = cell.hold(&pool);
    Pool::new(pool.into(), writes, doubt, most_resting(config, connections), held)
}
