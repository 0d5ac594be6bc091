//! A database: where it is, and how many connections for how long.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::error::Problem;
use super::section::{Section, Zero, suggestion};
use super::url::{Backend, DatabaseUrl};

/// The keys of `database` and of each of `databases`.
pub(super) const KEYS: &[&str] = &[
    "url",
    "type",
    "dsn",
    "replicas",
    "max_open_conns",
    "max_idle_conns",
    "conn_max_lifetime",
    "acquire_timeout",
    "connect_timeout",
    "statement_timeout",
];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// What both PostgreSQL and MariaDB can count in milliseconds of 32 bits.
const LONGEST_STATEMENT: Duration = Duration::from_secs(24 * 24 * 60 * 60);
const MOST_CONNECTIONS: u32 = 65_535;

/// One database: its primary, its replicas and its pools. Sizes are connections of one process to one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Database {
    /// The primary.
    pub url: DatabaseUrl,
    /// Servers that follow the primary and are read from; of the same back end, none for SQLite.
    pub replicas: Vec<DatabaseUrl>,
    /// The most connections open at once. Default 100.
    pub max_open_conns: u32,
    /// The connections kept open while idle. Default 10, or `max_open_conns` if that is less.
    ///
    /// More may stay when several come back at the same instant; they are closed as they are used again, or after ten
    /// idle minutes.
    pub max_idle_conns: u32,
    /// The age at which a connection is replaced; `None` for never, written `0`. Default 30 minutes.
    #[serde(serialize_with = "limit")]
    pub conn_max_lifetime: Option<Duration>,
    /// How long a caller waits for a connection from the pool before it gets an error. Default 3 seconds.
    #[serde(serialize_with = "duration")]
    pub acquire_timeout: Duration,
    /// How long connecting to a server may take, its retries included. Default 10 seconds, or what the URL says.
    #[serde(serialize_with = "duration")]
    pub connect_timeout: Duration,
    /// How long a statement may run before the server ends it; `None` for no limit, written `0`. Default 30 seconds.
    ///
    /// SQLite has no server that could: there it is not used. MySQL 8 limits SELECT only, MariaDB any statement.
    #[serde(serialize_with = "limit")]
    pub statement_timeout: Option<Duration>,
}

impl Database {
    /// The database at `url` with the default settings and no replicas.
    #[must_use]
    pub fn new(url: DatabaseUrl) -> Self {
        let connect_timeout = url.connect_timeout().unwrap_or(Duration::from_secs(10));
        Self {
            url,
            replicas: Vec::new(),
            max_open_conns: 100,
            max_idle_conns: 10,
            conn_max_lifetime: Some(Duration::from_secs(30 * 60)),
            acquire_timeout: Duration::from_secs(3),
            connect_timeout,
            statement_timeout: Some(Duration::from_secs(30)),
        }
    }

    /// The engine of the primary and of its replicas.
    #[must_use]
    pub const fn backend(&self) -> Backend {
        self.url.backend()
    }

    /// Reads `section`; what it does not say is as in `base`, but for the URL and the replicas.
    pub(super) fn read(section: &Section<'_>, base: &Self, url: DatabaseUrl) -> Self {
        let open = section.number("max_open_conns", 1..=MOST_CONNECTIONS);
        let max_open_conns = open.unwrap_or(base.max_open_conns);
        let idle = section.number("max_idle_conns", 0..=MOST_CONNECTIONS);
        let limit = |key, longest| {
            section.duration(key, longest, Zero::Allowed).map(|limit| Some(limit).filter(|limit| !limit.is_zero()))
        };
        let timeout = |key| section.duration(key, DAY, Zero::Refused);
        Self {
            replicas: read_replicas(section, url.backend()),
            max_open_conns,
            max_idle_conns: idle.unwrap_or(base.max_idle_conns.min(max_open_conns)),
            conn_max_lifetime: limit("conn_max_lifetime", 365 * DAY).unwrap_or(base.conn_max_lifetime),
            acquire_timeout: timeout("acquire_timeout").unwrap_or(base.acquire_timeout),
            connect_timeout: timeout("connect_timeout").or(url.connect_timeout()).unwrap_or(base.connect_timeout),
            statement_timeout: limit("statement_timeout", LONGEST_STATEMENT).unwrap_or(base.statement_timeout),
            url,
        }
    }

    /// The settings other than where the servers are.
    pub(super) fn differing(&self, other: &Self) -> Vec<&'static str> {
        let all = [
            ("replicas", self.replicas == other.replicas),
            ("max_open_conns", self.max_open_conns == other.max_open_conns),
            ("max_idle_conns", self.max_idle_conns == other.max_idle_conns),
            ("conn_max_lifetime", self.conn_max_lifetime == other.conn_max_lifetime),
            ("acquire_timeout", self.acquire_timeout == other.acquire_timeout),
            ("connect_timeout", self.connect_timeout == other.connect_timeout),
            ("statement_timeout", self.statement_timeout == other.statement_timeout),
        ];
        all.into_iter().filter(|(_, equal)| !equal).map(|(name, _)| name).collect()
    }
}

/// What a section says about where its database is.
pub(super) enum Place {
    At(DatabaseUrl),
    /// Nothing.
    Unsaid,
    /// Something wrong, which is noted.
    Wrong,
}

/// Reads `url`, or `type` and `dsn`.
pub(super) fn read_place(section: &Section<'_>) -> Place {
    let backend = section.parse("type", |text| {
        let names = Backend::ALL.map(Backend::name);
        Backend::named(text).ok_or_else(|| format!("must be one of {}; {}", names.join(", "), suggestion(text, &names)))
    });
    let place = if section.has("url") {
        section.parse("url", |text| text.parse().map_err(|invalid| format!("{invalid}")))
    } else if section.has("dsn") {
        section.parse("dsn", |text| {
            let url = match backend {
                Some(backend) => DatabaseUrl::of_type(backend, text),
                None => text.parse(),
            };
            url.map_err(|invalid| {
                let untyped =
                    if section.has("type") { "" } else { "; unless it is a URL, its type is given beside it" };
                format!("{invalid}{untyped}")
            })
        })
    } else if section.has("type") {
        section.note(Problem::new(&section.key("dsn"), "is missing: the type alone names no database"));
        None
    } else {
        return Place::Unsaid;
    };
    place.map_or(Place::Wrong, Place::At)
}

fn read_replicas(section: &Section<'_>, backend: Backend) -> Vec<DatabaseUrl> {
    let fields = section.list("replicas").unwrap_or_default();
    let read = |text: &str| {
        // A URL may be of another back end, which is a clearer thing to say than that it is no dsn of this one.
        let url = if text.contains("://") { text.parse() } else { DatabaseUrl::of_type(backend, text) };
        let url: DatabaseUrl = url.map_err(|invalid| invalid.to_string())?;
        if url.backend() == backend {
            Ok(url)
        } else {
            Err(format!(
                "is on {}, but its primary is on {backend}: a replica is a copy kept by the engine",
                url.backend()
            ))
        }
    };
    if backend == Backend::Sqlite && !fields.is_empty() {
        let message = "a SQLite database has no replicas";
        section.note(Problem::new(&section.key("replicas"), message).hint("leave the key out"));
        return Vec::new();
    }
    fields.iter().filter_map(|field| section.read(field, read)).collect()
}

pub(super) fn duration<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*value))
}

fn limit<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration(&value.unwrap_or_default(), serializer)
}
