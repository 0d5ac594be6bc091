//! Where a database is: [`DatabaseUrl`], a checked URL that keeps its password to itself.
//!
//! Every form a configuration comes in (URLs, libpq's `host=... user=...`, Go's `user:pass@tcp(host)/db`, a SQLite
//! file) is read into the same parts and written again as the one URL that sqlx understands. Reading is strict, because
//! sqlx logs the parameters it does not know, values and all, and goes on without them.
//!
//! Touches nothing but text. Called by the configuration and by commands that take a URL as an argument.

mod go;
mod libpq;
mod mysql;
mod parts;
mod postgres;
mod redis;
mod sqlite;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

pub use redis::{RedisTopology, RedisUrl};

use super::secret::{HIDDEN, Secret};
use parts::Parts;

/// The engines a database can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Backend {
    /// SQLite, in a file or in memory.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL or MariaDB.
    MySql,
}

impl Backend {
    /// All back ends.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::MySql];

    /// The name `database.type` takes: `sqlite`, `postgres` or `mysql`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
        }
    }

    /// Reads `database.type`, with the other names the engines go by.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "sqlite" | "sqlite3" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::MySql),
            _ => None,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Backend {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Why a text is not a URL of a database or of Redis.
///
/// The message quotes neither the text nor its password; it names parameters, never their values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct InvalidUrl {
    reason: String,
}

impl InvalidUrl {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// The URL of a database: checked, in one canonical form, with its password hidden from Debug, Display and Serialize.
///
/// Two URLs are equal when their canonical forms are: `postgresql://db/x` equals `postgres://db:5432/x`, and
/// `sqlite:./x.db` equals `sqlite://x.db`.
///
/// ```
/// use stanchion::config::{Backend, DatabaseUrl};
///
/// let url: DatabaseUrl = "postgresql://app:p%40ss@db/stanchion".parse()?;
/// assert_eq!(url.backend(), Backend::Postgres);
/// assert_eq!(url.to_string(), "postgres://app:***@db:5432/stanchion");
/// assert_eq!(url.expose(), "postgres://app:p%40ss@db:5432/stanchion");
/// # Ok::<(), stanchion::config::InvalidUrl>(())
/// ```
#[derive(Clone)]
pub struct DatabaseUrl {
    backend: Backend,
    canonical: Secret,
    shown: String,
    sqlite: Option<sqlite::Location>,
    connect_timeout: Option<Duration>,
}

impl DatabaseUrl {
    /// The SQLite database in `file`, which need not exist. The path is taken as it is: nothing in it is decoded.
    ///
    /// # Errors
    ///
    /// If the path is empty, is not UTF-8 or holds a NUL.
    pub fn sqlite_file(file: impl AsRef<Path>) -> Result<Self, InvalidUrl> {
        let text = file.as_ref().to_str().ok_or_else(|| InvalidUrl::new("the path of the file is not UTF-8"))?;
        Ok(Self::of_sqlite(sqlite::Location::of_path(text)?))
    }

    /// Reads `dsn` as a configuration's `type` and `dsn` give it: a URL of that back end; for PostgreSQL also libpq's
    /// keywords and values, for MySQL also the form of Go's driver, for SQLite also the path of a file.
    ///
    /// # Errors
    ///
    /// If it is none of these; the message says what is wrong without quoting it.
    pub fn of_type(backend: Backend, dsn: &str) -> Result<Self, InvalidUrl> {
        let dsn = dsn.trim();
        if let Some(scheme) = scheme(dsn) {
            if scheme != backend {
                return Err(InvalidUrl::new(format!("is a URL of {scheme}, but the type given is {backend}")));
            }
            return dsn.parse();
        }
        match backend {
            Backend::Sqlite => Ok(Self::of_sqlite(sqlite::Location::of_dsn(dsn)?)),
            Backend::Postgres => Ok(Self::of_parts(backend, postgres::check(libpq::parse(dsn)?)?)),
            Backend::MySql => Ok(Self::of_parts(backend, go::parse(dsn)?)),
        }
    }

    /// The engine.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// The whole URL with its password, for the driver. Keep it out of logs, errors and metrics.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.canonical.expose()
    }

    /// The file of a SQLite database, decoded; `None` for one in memory and for the other engines.
    #[must_use]
    pub fn sqlite_path(&self) -> Option<&Path> {
        self.sqlite.as_ref().and_then(sqlite::Location::path)
    }

    /// Whether this is SQLite in memory, which every pool that opens it has to itself.
    #[must_use]
    pub fn is_in_memory(&self) -> bool {
        self.sqlite.is_some() && self.sqlite_path().is_none()
    }

    /// The `connect_timeout` the text asked for, in the way libpq and Go's driver take it. It is not part of
    /// [`expose`](Self::expose), since sqlx has no such parameter; [`Database`](super::Database) honours it unless its own
    /// key is given.
    #[must_use]
    pub const fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    fn of_parts(backend: Backend, parts: Parts) -> Self {
        let (scheme, port) = match backend {
            Backend::MySql => ("mysql", 3306),
            Backend::Postgres | Backend::Sqlite => ("postgres", 5432),
        };
        Self {
            backend,
            canonical: Secret::from(parts.write(scheme, port, true)),
            shown: parts.write(scheme, port, false),
            sqlite: None,
            connect_timeout: parts.connect_timeout,
        }
    }

    fn of_sqlite(location: sqlite::Location) -> Self {
        let text = location.to_string();
        Self {
            backend: Backend::Sqlite,
            canonical: Secret::from(text.as_str()),
            shown: text,
            sqlite: Some(location),
            connect_timeout: None,
        }
    }
}

/// `sqlite://data/stanchion.db`, in the working directory.
impl Default for DatabaseUrl {
    fn default() -> Self {
        Self::of_sqlite(sqlite::Location::default())
    }
}

/// The back end a text's scheme asks for, if it has one of ours.
fn scheme(text: &str) -> Option<Backend> {
    let (scheme, rest) = text.split_once(':')?;
    let backend = Backend::named(scheme).filter(|_| scheme != "sqlite3")?;
    // Go's `mysql:password@tcp(..)/db` is a user called mysql, not a scheme.
    (backend == Backend::Sqlite || rest.starts_with("//")).then_some(backend)
}

impl FromStr for DatabaseUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidUrl::new("is empty"));
        }
        match scheme(text) {
            Some(Backend::Sqlite) => Ok(Self::of_sqlite(sqlite::Location::of_url(text)?)),
            Some(Backend::Postgres) => {
                Ok(Self::of_parts(Backend::Postgres, postgres::check(postgres::fold(Parts::of_url(text)?)?)?))
            }
            Some(Backend::MySql) => Ok(Self::of_parts(Backend::MySql, mysql::check(Parts::of_url(text)?)?)),
            None => Err(InvalidUrl::new(
                "is not a URL of a database: it starts with postgres://, mysql:// or sqlite:, such as \
                 postgres://user:password@host/database or sqlite://data/stanchion.db",
            )),
        }
    }
}

impl PartialEq for DatabaseUrl {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for DatabaseUrl {}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({})", self.shown)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown)
    }
}
