//! The configuration: read, merged and validated into plain data.
//!
//! Touches the file it is pointed at and the environment; it is the one room that does, and it connects to nothing.
//! [`Sources`] says where it comes from and which source wins. What is wrong is collected into one
//! [`ConfigError::Invalid`], each problem with the full path of its key and the line or variable it was set in; no
//! message repeats a value. Called by the composition root and by the command; the other rooms are handed the section
//! they need.
//!
//! Scalars stay text until a key says what they are, which no deserializer of YAML does: see `yaml`.

pub mod alerting;
mod database;
mod domain;
mod encryption;
mod environment;
mod error;
mod lock;
mod secret;
mod section;
mod settings;
mod source;
mod tree;
mod url;
mod validate;
mod yaml;

use std::collections::BTreeMap;

use serde::Serialize;

pub use alerting::Alerting;
pub use database::Database;
pub use domain::{Domain, UnknownDomain};
pub use encryption::{Encryption, EncryptionKey};
pub use error::{ConfigError, Problem};
pub use lock::{DistributedLock, LockKind, OnOutage};
pub use secret::Secret;
pub use settings::{Cache, Http, Instance, Redis, Telemetry, Trading, TradingRole};
pub use source::{DEFAULT_FILE, Source, Sources};
pub use url::{Backend, DatabaseUrl, InvalidUrl, RedisTopology, RedisUrl};

/// Where the default database is, seen from the working directory.
const DEFAULT_DATABASE: &str = "data/stanchion.db";

/// The whole configuration. Debug and Serialize hide its secrets; Serialize writes it in the shape of the file.
///
/// The default is what no file and no variable gives: SQLite at `data/stanchion.db`, locks and cache in the process.
///
/// ```
/// use stanchion::config::{Config, Domain};
///
/// let yaml = "
/// database: { url: postgres://app:s3cret@db/shop, max_open_conns: 20 }
/// databases:
///   ordering: { url: postgres://app:s3cret@orders/shop }
/// ";
/// let config = Config::builder().yaml("shop.yaml", yaml).load()?;
/// assert_eq!(config.database_for(Domain::Catalog).url, config.database.url);
/// // The settings of the pool are those of `database` unless the domain has its own.
/// assert_eq!(config.database_for(Domain::Ordering).max_open_conns, 20);
/// # Ok::<(), stanchion::config::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Config {
    /// Which instance this is.
    pub instance: Instance,
    /// The database of every domain that has none of its own.
    pub database: Database,
    /// Domains with a database of their own.
    pub databases: BTreeMap<Domain, Database>,
    /// How long Redis may take.
    pub redis: Redis,
    /// The cache.
    pub cache: Cache,
    /// Locks among instances.
    pub distributed_lock: DistributedLock,
    /// How alerts reach people.
    pub alerting: Alerting,
    /// What is traded, and by whom.
    pub trading: Trading,
    /// The keys that secrets in tables are encrypted with.
    pub encryption: Encryption,
    /// Logs and metrics.
    pub telemetry: Telemetry,
    /// The service `dev` and `serve` start.
    pub http: Http,
    #[serde(skip)]
    sources: Vec<Source>,
}

impl Default for Config {
    fn default() -> Self {
        Self::new(Database::new(DatabaseUrl::default()))
    }
}

impl Config {
    /// The default configuration on `database`, for a service that is configured in code, and for tests.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            instance: Instance::default(),
            database,
            databases: BTreeMap::new(),
            redis: Redis::default(),
            cache: Cache::default(),
            distributed_lock: DistributedLock::default(),
            alerting: Alerting::default(),
            trading: Trading::default(),
            encryption: Encryption::default(),
            telemetry: Telemetry::default(),
            http: Http::default(),
            sources: Vec::new(),
        }
    }

    /// Reads `./stanchion.yaml`, if it exists, and the environment of the process.
    ///
    /// # Errors
    ///
    /// As [`Sources::load`].
    pub fn load() -> Result<Self, ConfigError> {
        Self::builder().file_if_there(DEFAULT_FILE).process_env().load()
    }

    /// No sources: what it loads is the default. Add a file and variables.
    pub fn builder() -> Sources {
        Sources::default()
    }

    /// Checks a configuration that was changed in code for contradictions; one that was loaded has none.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with all of them.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let problems = validate::problems(self);
        if problems.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(problems)) }
    }

    /// The database `domain` lives in.
    #[must_use]
    pub fn database_for(&self, domain: Domain) -> &Database {
        self.databases.get(&domain).unwrap_or(&self.database)
    }

    /// Every database once, those of equal URLs merged: its name, the domains that live in it, and its settings.
    ///
    /// The first is `default`, `database` itself, whose list of domains is empty if all have their own. The others are
    /// named after the first of their domains.
    pub fn distinct_databases(&self) -> impl Iterator<Item = (&'static str, Vec<Domain>, &Database)> {
        let mut distinct: Vec<(&'static str, Vec<Domain>, &Database)> = vec![("default", Vec::new(), &self.database)];
        for domain in Domain::ALL {
            let database = self.database_for(domain);
            match distinct.iter_mut().find(|(_, _, known)| known.url == database.url) {
                Some((_, domains, _)) => domains.push(domain),
                None => distinct.push((domain.name(), vec![domain], database)),
            }
        }
        distinct.into_iter()
    }

    /// What the configuration was read from, in the order in which later ones win; empty for the default.
    #[must_use]
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
}
