//! The smaller sections: who this instance is, cache, locks, trading, telemetry and the service's address.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::database::duration;
use super::error::Problem;
use super::secret::{HIDDEN, Secret};
use super::section::{Section, Zero, suggestion};
use super::tree::{Node, Value};
use super::url::RedisUrl;

/// The longest `instance.id` and the longest symbol, in characters, as the tables hold them.
const ID_LENGTH: usize = 64;
const SYMBOL_LENGTH: usize = 32;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Which of how many instances of a service this process is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Instance {
    /// The name others see, in locks and in tables; unique among the instances, at most 64 characters. Default: the
    /// variable `HOSTNAME` (which containers have), else `local`; with `-<index>` after it if there are several.
    pub id: String,
    /// The place in the row, from 0.
    pub index: u32,
    /// How many there are.
    pub total: u32,
}

impl Default for Instance {
    fn default() -> Self {
        Self { id: "local".to_owned(), index: 0, total: 1 }
    }
}

impl Instance {
    pub(super) fn read(section: &Section<'_>, host: Option<&str>) -> Self {
        let index = section.number("index", 0..=9_999).unwrap_or(0);
        let total = section.number("total", 1..=10_000).unwrap_or(1);
        let id = section.parse("id", |text| {
            if text.chars().count() > ID_LENGTH {
                Err(format!("must have at most {ID_LENGTH} characters"))
            } else if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
                Err("must have no spaces".to_owned())
            } else {
                Ok(text.to_owned())
            }
        });
        let id = id.unwrap_or_else(|| {
            let suffix = if total > 1 { format!("-{index}") } else { String::new() };
            let host = host.filter(|host| !host.is_empty() && host.chars().all(|c| c.is_ascii_graphic()));
            let host: String = host.unwrap_or("local").chars().take(ID_LENGTH - suffix.len()).collect();
            host + &suffix
        });
        Self { id, index, total }
    }
}

/// The cache: in every process, and in Redis if there is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cache {
    /// The second level, shared by the instances; `None` to do without.
    pub redis: Option<RedisUrl>,
    /// What every key in Redis starts with, so that services can share a server. Default `stanchion`.
    pub namespace: String,
    /// The most entries of the first level, in the process. 0 switches it off. Default 100,000.
    pub l1_capacity: usize,
}

impl Default for Cache {
    fn default() -> Self {
        Self { redis: None, namespace: "stanchion".to_owned(), l1_capacity: 100_000 }
    }
}

impl Cache {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let redis = section.optional("redis");
        let namespace = section.parse("namespace", |text| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
            let valid = text.len() <= 64 && text.chars().all(allowed);
            valid.then(|| text.to_owned()).ok_or_else(|| "must be up to 64 letters, digits and _ - . :".to_owned())
        });
        let capacity = section.number("l1_capacity", 0..=1_000_000_000).map(usize::try_from);
        Self {
            redis: redis.and_then(|field| section.read(&field, |text| text.parse().map_err(|e| format!("{e}")))),
            namespace: namespace.unwrap_or(default.namespace),
            l1_capacity: capacity.and_then(Result::ok).unwrap_or(default.l1_capacity),
        }
    }
}

/// Where locks are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LockKind {
    /// In the process: mutual exclusion among its tasks.
    InProcess,
    /// In Redis: mutual exclusion among instances.
    Redis,
}

impl LockKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::InProcess, Self::Redis];

    /// The name `distributed_lock.type` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InProcess => "in_process",
            Self::Redis => "redis",
        }
    }
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Locks among the instances of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DistributedLock {
    /// Whether locks exclude other instances. Default false: locks are in the process.
    pub enabled: bool,
    /// Where they are kept when enabled. Default Redis.
    pub kind: LockKind,
    /// The Redis of the locks; given whenever locks are enabled and kept there.
    pub redis: Option<RedisUrl>,
}

impl Default for DistributedLock {
    fn default() -> Self {
        Self { enabled: false, kind: LockKind::Redis, redis: None }
    }
}

impl DistributedLock {
    /// The keys of `distributed_lock` and of its `redis`.
    pub(super) const KEYS: &'static [&'static str] = &["enabled", "type", "redis"];
    pub(super) const REDIS_KEYS: &'static [&'static str] = &["addr", "password", "db"];

    /// Where locks are kept, `enabled` considered.
    #[must_use]
    pub const fn store(&self) -> LockKind {
        if self.enabled { self.kind } else { LockKind::InProcess }
    }

    /// Reads the section; `fallback` is `REDIS_URL`.
    pub(super) fn read(section: &Section<'_>, fallback: Option<&Node>) -> Self {
        let enabled = section.flag("enabled").unwrap_or(false);
        let kind = section.parse("type", |text| {
            let found = LockKind::ALL.into_iter().find(|kind| kind.name() == text.to_ascii_lowercase());
            let names = LockKind::ALL.map(LockKind::name);
            found.ok_or_else(|| format!("must be one of {}; {}", names.join(", "), suggestion(text, &names)))
        });
        let kind = kind.unwrap_or(LockKind::Redis);
        let redis = section.section("redis", Self::REDIS_KEYS);
        let password = redis.optional("password").map(|field| Secret::from(field.text));
        let db = redis.number("db", 0..=65_535).unwrap_or(0);
        let wanted = enabled && kind == LockKind::Redis;
        let url = if let Some(field) = redis.optional("addr") {
            redis.read(&field, |text| RedisUrl::of_address(text, password, db).map_err(|e| e.to_string()))
        } else if let (true, Some(Node { origin, value: Value::Text(text) })) = (wanted, fallback) {
            let url = RedisUrl::of_address(text, password, db);
            url.map_err(|e| section.note(Problem::new(&redis.key("addr"), e.to_string()).from(origin))).ok()
        } else {
            if wanted {
                let keys =
                    Problem::new(&redis.key("addr"), "the address is missing, and locks are to be kept in Redis");
                let hint = format!(
                    "give its host:port, set REDIS_URL, or set {} to in_process or {} to false",
                    section.key("type"),
                    section.key("enabled")
                );
                section.note(keys.and(&section.key("enabled")).hint(hint));
            }
            None
        };
        Self { enabled, kind, redis: url }
    }
}

/// In the shape of the file: `{enabled, type, redis: {addr, password, db}}`.
impl Serialize for DistributedLock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape<'a> {
            enabled: bool,
            r#type: LockKind,
            redis: Option<Redis<'a>>,
        }
        #[derive(Serialize)]
        struct Redis<'a> {
            addr: String,
            password: &'a str,
            db: u32,
        }
        let redis = self.redis.as_ref().map(|url| Redis {
            addr: url.address(),
            password: url.password().map_or("", |_| HIDDEN),
            db: url.database(),
        });
        Shape { enabled: self.enabled, r#type: self.kind, redis }.serialize(serializer)
    }
}

/// What is traded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Trading {
    /// The symbols the instances share out among themselves, each once. Default none.
    pub symbols: Vec<String>,
}

impl Trading {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let mut symbols: Vec<String> = Vec::new();
        for field in section.list("symbols").unwrap_or_default() {
            let symbol = section.read(&field, |text| {
                let problem = if text.is_empty() {
                    "is empty".to_owned()
                } else if text.chars().count() > SYMBOL_LENGTH {
                    format!("must have at most {SYMBOL_LENGTH} characters")
                } else if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
                    "must have no spaces".to_owned()
                } else if symbols.iter().any(|known| known == text) {
                    "is in the list twice".to_owned()
                } else {
                    return Ok(text.to_owned());
                };
                Err(problem)
            });
            symbols.extend(symbol);
        }
        Self { symbols }
    }
}

/// What the service tells about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Telemetry {
    /// A statement that takes longer is logged as slow; zero logs every one. Default 200 milliseconds.
    #[serde(serialize_with = "duration")]
    pub slow_query: Duration,
    /// What is logged: a level, or levels by target such as `info,sqlx=warn`. Default `info`.
    pub log: String,
    /// Where Prometheus finds the metrics; `None` for nowhere but in the service itself.
    pub metrics_addr: Option<SocketAddr>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { slow_query: Duration::from_millis(200), log: "info".to_owned(), metrics_addr: None }
    }
}

impl Telemetry {
    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let metrics = section.optional("metrics_addr");
        Self {
            slow_query: section.duration("slow_query", HOUR, Zero::Allowed).unwrap_or(default.slow_query),
            log: section.parse("log", log_filter).unwrap_or(default.log),
            metrics_addr: metrics.and_then(|field| section.read(&field, address)),
        }
    }
}

/// The service that `dev` and `serve` start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Http {
    /// Where it listens. Default 127.0.0.1:8080, which only this machine reaches.
    pub addr: SocketAddr,
}

impl Default for Http {
    fn default() -> Self {
        Self { addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)) }
    }
}

impl Http {
    pub(super) fn read(section: &Section<'_>) -> Self {
        Self { addr: section.parse("addr", address).unwrap_or(Self::default().addr) }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    SocketAddr::from_str(text)
        .map_err(|_| "must be an IP address with a port, such as 127.0.0.1:8080, or 0.0.0.0:8080 for all".to_owned())
}

/// A filter of `tracing`: a misspelt level would be taken for a target, and silence everything else.
fn log_filter(text: &str) -> Result<String, String> {
    let is_level = |part: &str| {
        ["off", "error", "warn", "info", "debug", "trace"].contains(&part.trim().to_ascii_lowercase().as_str())
    };
    let valid = text.split(',').all(|part| is_level(part.rsplit_once('=').map_or(part, |(_, level)| level)));
    let message = "must be off, error, warn, info, debug or trace, or levels by target such as info,sqlx=warn";
    valid.then(|| text.to_owned()).ok_or_else(|| message.to_owned())
}
