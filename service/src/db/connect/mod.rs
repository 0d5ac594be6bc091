//! From a configured [`Database`] to its two pools.
//!
//! A probe connects first, again and again until `connect_timeout` has passed, so that a server that is still starting is
//! waited for and a wrong password is said at once; it also sees the server's version. The pools then open connections
//! as they are needed. What a connection is told when it opens is [`session`](crate::types::session), the same for every
//! connection of every pool, and what each driver's file here adds: timeouts, isolation, and read-only for the reader.

mod mysql;
mod pool;
mod postgres;
mod sqlite;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use sea_orm::sqlx;
use sea_orm::{ConnectionTrait, DbBackend};

use super::classify::classify_sqlx;
use super::{Kind, Pool};
use crate::config::{Backend, Database, DatabaseUrl};

/// A database: a writer and a reader.
///
/// The writer is the primary. The reader accepts no writes, which the server enforces, so that a query that must not write
/// cannot; on SQLite it is several connections beside the one that writes. (A SQLite database in memory has one connection,
/// which is both.)
///
/// Replicas are configured but not used yet: the reader is on the primary.
///
/// It is cheap to clone; clones share the pools.
#[derive(Clone, Debug)]
pub struct Db {
    name: &'static str,
    writer: Pool,
    reader: Pool,
}

/// How to open a database, beyond its configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Create a SQLite file that does not exist, with its folder. On other back ends the database must exist.
    pub create: bool,
}

/// Why a database cannot be used. No message contains a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The server could not be reached in time, or the file not opened.
    #[error("cannot connect to {target} within {}", humantime::format_duration(*.within))]
    Unreachable {
        /// The URL, its password hidden.
        target: String,
        /// How long it was tried.
        within: Duration,
        /// What the driver said last.
        source: sqlx::Error,
    },
    /// The server was reached and does not let us in, or has no such database.
    #[error("{target} refuses the connection")]
    Refused {
        /// The URL, its password hidden.
        target: String,
        /// What the driver said.
        source: sqlx::Error,
    },
    /// The SQLite file does not exist.
    #[error("there is no database at {path}; `stanchion migrate up` creates it")]
    Missing {
        /// The file.
        path: String,
    },
    /// The folder of the SQLite file cannot be created.
    #[error("cannot create the folder {path}")]
    Folder {
        /// The folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not a SQLite database, or a damaged one.
    #[error("{target} is not a SQLite database")]
    NotADatabase {
        /// The file.
        target: String,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// The server is older than what this layer was tested with.
    #[error("{target} is {found}, and {needed} or later is needed")]
    Version {
        /// The URL, its password hidden.
        target: String,
        /// The engine and version found.
        found: String,
        /// The oldest version that will do.
        needed: &'static str,
    },
    /// The URL holds something that the driver does not take.
    #[error("the driver does not accept {target}")]
    Driver {
        /// The URL, its password hidden.
        target: String,
        /// What the driver said.
        source: sqlx::Error,
    },
}

impl Db {
    /// Connects to a database, `name` being what it is called in logs and metrics.
    ///
    /// # Errors
    /// [`ConnectError`]: at once where waiting would not help, else after `connect_timeout`.
    ///
    /// # Cancellation
    /// A dropped future leaves nothing open.
    pub async fn connect(name: &'static str, config: &Database, options: Options) -> Result<Self, ConnectError> {
        let (writer, reader) = match config.backend() {
            Backend::Sqlite => sqlite::pools(config, options).await?,
            Backend::Postgres => postgres::pools(config).await?,
            Backend::MySql => mysql::pools(config).await?,
        };
        Ok(Self { name, writer, reader })
    }

    /// What the database is called.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The engine.
    pub fn backend(&self) -> DbBackend {
        self.writer.get_database_backend()
    }

    /// The engine's name, for people: `SQLite`, `PostgreSQL`, or `MySQL/MariaDB`, which speak one protocol.
    pub fn engine(&self) -> &'static str {
        match self.backend() {
            DbBackend::Sqlite => "SQLite",
            DbBackend::Postgres => "PostgreSQL",
            _ => "MySQL/MariaDB",
        }
    }

    /// The primary: what it is asked, it has the latest of.
    pub const fn writer(&self) -> &Pool {
        &self.writer
    }

    /// Connections that cannot write. A query here is never held up by a writer, nor holds one up.
    pub const fn reader(&self) -> &Pool {
        &self.reader
    }

    /// Connections that read what was committed last, for what a cache keeps: what a replica that is behind says would be kept
    /// after the invalidation that it has not come to yet.
    pub const fn latest(&self) -> &Pool {
        // It is on the primary itself.
        &self.reader
    }

    /// Round trips of both pools: [`Pool::round_trips`].
    pub fn round_trips(&self) -> u64 {
        // A database in memory has one pool, which is both.
        let reader = if self.reader.is(&self.writer) { 0 } else { self.reader.round_trips() };
        self.writer.round_trips() + reader
    }

    /// Closes both pools: waits for connections that are lent, then closes all.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// Connects once, again and again until it works, waiting would not help, or the time is over.
async fn probe<C, F>(config: &Database, url: &DatabaseUrl, attempt: impl Fn() -> F) -> Result<C, ConnectError>
where
    F: Future<Output = Result<C, sqlx::Error>>,
{
    let within = config.connect_timeout;
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_jitter()
        .without_max_times();
    let last = Mutex::new(None);
    let attempts = (|| async {
        let connected = attempt().await;
        connected.map_err(|error| {
            let worth_waiting = classify_sqlx(&error).kind == Kind::Unavailable;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            worth_waiting
        })
    })
    .retry(backoff)
    .when(|worth_waiting| *worth_waiting);
    let timed_out = match tokio::time::timeout(within, attempts).await {
        Ok(Ok(connection)) => return Ok(connection),
        Ok(Err(_)) => false,
        Err(_) => true,
    };
    let target = url.to_string();
    let source = last.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or(sqlx::Error::PoolTimedOut);
    if timed_out {
        return Err(ConnectError::Unreachable { target, within, source });
    }
    Err(match classify_sqlx(&source).kind {
        Kind::Corrupt => ConnectError::NotADatabase { target, source },
        _ => ConnectError::Refused { target, source },
    })
}

/// A version as its first two numbers: `10.11.19-MariaDB` is `(10, 11)`.
fn version(text: &str) -> (u32, u32) {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn require(
    url: &DatabaseUrl,
    engine: &str,
    found: &str,
    oldest: (u32, u32),
    needed: &'static str,
) -> Result<(), ConnectError> {
    if version(found) >= oldest {
        return Ok(());
    }
    Err(ConnectError::Version { target: url.to_string(), found: format!("{engine} {found}"), needed })
}

fn driver(url: &DatabaseUrl) -> impl FnOnce(sqlx::Error) -> ConnectError {
    let target = url.to_string();
    move |source| ConnectError::Driver { target, source }
}

/// `Display` of a duration in seconds, as servers take it: `30`, `0.25`.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_secs_f64())
    }
}
