//! What can go wrong while a test gets its servers and databases.

use std::io;
use std::path::PathBuf;

use sea_orm::sqlx;

use super::server::Kind;

/// Why the testbed could not give what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server's programs are not on this machine; the only failure that a test run may go on without.
    #[error("{kind} is not installed ({program} was not found): {}", kind.installation())]
    NotInstalled {
        /// The server.
        kind: Kind,
        /// The program that was looked for.
        program: &'static str,
    },
    /// A server or the program that prepares its data directory failed.
    #[error("{kind} did not start: {reason}; the end of its log:\n{log}")]
    Start {
        /// The server.
        kind: Kind,
        /// What was seen.
        reason: String,
        /// The end of its log, and the first errors before it.
        log: String,
    },
    /// Another process took the port between its choice and the server's start.
    #[error("port {port} was taken by another process")]
    PortTaken {
        /// The port.
        port: u16,
    },
    /// The account that a server must run as, when the testbed runs as root, does not exist.
    #[error("there is no system user {name}, which {kind} must run as when it is started by root")]
    NoAccount {
        /// The server.
        kind: Kind,
        /// The account's name.
        name: &'static str,
    },
    /// A file, process or socket operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The server refused an administrative statement.
    #[error("{what}: {source}")]
    Database {
        /// What was being done.
        what: String,
        /// The driver's reason.
        source: sqlx::Error,
    },
    /// A Redis server refused a command, or several did not come to know one another in time.
    #[error("{what}: {source}")]
    Redis {
        /// What was being done.
        what: String,
        /// The driver's reason.
        source: redis::RedisError,
    },
    /// The migrations did not run on a fresh database.
    #[error("migrating a fresh database: {source}")]
    Migration {
        /// The migrator's reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A migrated SQLite file could not be copied, because it was still in use.
    #[error("{} still has a write-ahead log after its last connection was closed", path.display())]
    TemplateInUse {
        /// The file.
        path: PathBuf,
    },
    /// An address in one of the `STANCHION_TEST_*_URL` variables is not a URL.
    #[error("{variable} is not a URL: {source}")]
    Address {
        /// The variable, or what the address was for.
        variable: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn database(what: impl Into<String>) -> impl FnOnce(sqlx::Error) -> Self {
        let what = what.into();
        move |source| Self::Database { what, source }
    }

    pub(crate) fn redis(what: impl Into<String>) -> impl FnOnce(redis::RedisError) -> Self {
        let what = what.into();
        move |source| Self::Redis { what, source }
    }

    /// Whether the server is only missing, which a run without `STANCHION_TEST_REQUIRE=all` may go on without.
    #[must_use]
    pub fn is_not_installed(&self) -> bool {
        matches!(self, Self::NotInstalled { .. })
    }
}
