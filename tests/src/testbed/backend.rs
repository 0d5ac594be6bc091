//! The database back ends, and the servers that this test run has for them.

use std::fmt;

use super::report;
use super::server::Kind;

/// The back ends that every conformance suite runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// SQLite: a file, always there.
    Sqlite,
    /// PostgreSQL, at `STANCHION_TEST_POSTGRES_URL`.
    Postgres,
    /// MariaDB or MySQL, at `STANCHION_TEST_MYSQL_URL`.
    MariaDb,
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::MariaDb];

    /// Whether this run has a server for it.
    #[must_use]
    pub fn available(self) -> bool {
        self == Self::Sqlite || self.server_url().is_some()
    }

    /// The superuser's URL of this run's server; SQLite has none.
    #[must_use]
    pub fn server_url(self) -> Option<String> {
        url_in(self.server()?.variable())
    }

    /// The URL, or `None` after the rule for missing servers was applied (see [`report`]).
    pub(super) fn server_url_or_report(self) -> Option<String> {
        let kind = self.server()?;
        url_or_report(kind, &self.to_string())
    }

    fn server(self) -> Option<Kind> {
        match self {
            Self::Sqlite => None,
            Self::Postgres => Some(Kind::Postgres),
            Self::MariaDb => Some(Kind::MariaDb),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MariaDb => "mariadb",
        })
    }
}

/// The URL of this run's Redis server, which its tests share: each takes a key prefix of its own.
///
/// `None` when there is none, after saying so on standard error, once a process.
///
/// # Panics
/// If there is none and `STANCHION_TEST_REQUIRE=all` is set: the test that asked for it fails.
#[must_use]
pub fn redis_url() -> Option<String> {
    url_or_report(Kind::Redis, "redis")
}

fn url_or_report(kind: Kind, subject: &str) -> Option<String> {
    let url = url_in(kind.variable());
    if url.is_none() {
        report::missing(subject, &format!("no server ({} is not set)", kind.variable()));
    }
    url
}

fn url_in(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|url| !url.is_empty())
}
