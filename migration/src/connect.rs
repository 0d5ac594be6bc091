use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use sea_orm_migration::sea_orm::sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlPoolOptions};
use sea_orm_migration::sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm_migration::sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use sea_orm_migration::sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use sea_orm_migration::sea_orm::{DatabaseConnection, DbBackend};
use stanchion_entity::types::session;

/// Why a database cannot be migrated. No message contains the URL, which may carry a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL names none of the three engines.
    #[error("the database URL must begin with sqlite:, postgres:// or mysql://")]
    UnknownScheme,
    /// The URL is of a known engine but not well formed.
    #[error("the {engine} URL is not well formed")]
    Malformed {
        /// The engine that the URL names.
        engine: &'static str,
        /// What the driver says.
        source: sqlx::Error,
    },
    /// The folder of the SQLite file cannot be made.
    #[error("cannot create the folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The server or file does not let us in.
    #[error("cannot connect to {target}")]
    Unreachable {
        /// The server's host and port, or the file.
        target: String,
        /// What the driver says.
        source: sqlx::Error,
    },
}

/// How long connecting may take, with all its attempts.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(250);

/// Connects to a database in order to migrate it: one connection, set up as the service sets up its own. A SQLite file
/// that does not exist is created, with its folder.
///
/// # Errors
/// [`ConnectError`], after at most ten seconds.
pub async fn connect(url: &str) -> Result<DatabaseConnection, ConnectError> {
    if DbBackend::Sqlite.is_prefix_of(url) {
        sqlite(url).await
    } else if DbBackend::Postgres.is_prefix_of(url) {
        postgres(url).await
    } else if DbBackend::MySql.is_prefix_of(url) {
        mysql(url).await
    } else {
        Err(ConnectError::UnknownScheme)
    }
}

async fn sqlite(url: &str) -> Result<DatabaseConnection, ConnectError> {
    let options = SqliteConnectOptions::from_str(url).map_err(malformed("SQLite"))?;
    let file = options.get_filename().to_owned();
    if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty() && !in_memory(url)) {
        create_folder(folder)?;
    }
    let options = session::sqlite(options)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(TIMEOUT)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(TIMEOUT).connect_with(options).await;
    pool.map(Into::into).map_err(unreachable(file.display().to_string()))
}

fn in_memory(url: &str) -> bool {
    url.contains(":memory:") || url.contains("mode=memory")
}

fn create_folder(path: &Path) -> Result<(), ConnectError> {
    std::fs::create_dir_all(path).map_err(|source| ConnectError::Folder { path: path.to_owned(), source })
}

async fn postgres(url: &str) -> Result<DatabaseConnection, ConnectError> {
    let options = PgConnectOptions::from_str(url).map_err(malformed("PostgreSQL"))?;
    let target = format!("{}:{}", options.get_host(), options.get_port());
    let options = session::postgres(options).application_name("stanchion-migration").disable_statement_logging();
    let probe = reach(|| PgConnection::connect_with(&options)).await.map_err(unreachable(target.clone()))?;
    probe.close().await.map_err(unreachable(target))?;
    Ok(PgPoolOptions::new().max_connections(1).acquire_timeout(TIMEOUT).connect_lazy_with(options).into())
}

async fn mysql(url: &str) -> Result<DatabaseConnection, ConnectError> {
    let options = MySqlConnectOptions::from_str(url).map_err(malformed("MySQL"))?;
    let target = format!("{}:{}", options.get_host(), options.get_port());
    let options = session::mysql(options).disable_statement_logging();
    let probe = reach(|| MySqlConnection::connect_with(&options)).await.map_err(unreachable(target.clone()))?;
    probe.close().await.map_err(unreachable(target))?;
    let pool = MySqlPoolOptions::new().max_connections(1).acquire_timeout(TIMEOUT).after_connect(|connection, _| {
        Box::pin(async move {
            connection.execute(AssertSqlSafe(format!("SET {}", session::MYSQL_SETUP))).await?;
            Ok(())
        })
    });
    Ok(pool.connect_lazy_with(options).into())
}

/// Connects once, again and again while nobody answers: a pool would do so too, but not say why it gave up.
async fn reach<C, F>(attempt: impl Fn() -> F) -> Result<C, sqlx::Error>
where
    F: Future<Output = Result<C, sqlx::Error>>,
{
    let started = Instant::now();
    loop {
        let left = TIMEOUT.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, attempt()).await {
            Ok(Err(sqlx::Error::Io(_))) if left > PAUSE => tokio::time::sleep(PAUSE).await,
            Ok(answered) => return answered,
            Err(_) => return Err(sqlx::Error::PoolTimedOut),
        }
    }
}

fn malformed(engine: &'static str) -> impl FnOnce(sqlx::Error) -> ConnectError {
    move |source| ConnectError::Malformed { engine, source }
}

fn unreachable(target: String) -> impl FnOnce(sqlx::Error) -> ConnectError {
    move |source| ConnectError::Unreachable { target, source }
}
