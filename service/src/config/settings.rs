//! The smaller sections: who this instance is, Redis, cache, trading, telemetry and the service's address.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::database::duration;
use super::section::{Section, Zero, suggestion};
use super::url::RedisUrl;

/// The longest `instance.id`, and the longest exchange or symbol, in characters, as the tables hold them.
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

/// How long Redis may take, for the cache and for locks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Redis {
    /// For a connection, authentication included. Default 5 seconds.
    #[serde(serialize_with = "duration")]
    pub connect_timeout: Duration,
    /// For a command, from its sending to its answer. Default 3 seconds.
    #[serde(serialize_with = "duration")]
    pub command_timeout: Duration,
}

impl Default for Redis {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), command_timeout: Duration::from_secs(3) }
    }
}

impl Redis {
    pub(super) const KEYS: &'static [&'static str] = &["connect_timeout", "command_timeout"];

    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let time = |key| section.duration(key, HOUR, Zero::Refused);
        Self {
            connect_timeout: time("connect_timeout").unwrap_or(default.connect_timeout),
            command_timeout: time("command_timeout").unwrap_or(default.command_timeout),
        }
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
    /// How old what is read from the first level may be while this instance cannot prove that it has heard of every
    /// invalidation; three times the pause between its proofs. Default 1 second.
    #[serde(serialize_with = "duration")]
    pub max_staleness: Duration,
}

impl Default for Cache {
    fn default() -> Self {
        let (namespace, max_staleness) = ("stanchion".to_owned(), Duration::from_secs(1));
        Self { redis: None, namespace, l1_capacity: 100_000, max_staleness }
    }
}

impl Cache {
    pub(super) const KEYS: &'static [&'static str] = &["redis", "namespace", "l1_capacity", "max_staleness"];

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
            max_staleness: section.duration("max_staleness", HOUR, Zero::Refused).unwrap_or(default.max_staleness),
        }
    }
}

/// What an instance does about the symbols.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TradingRole {
    /// It serves its share of them.
    #[default]
    Active,
    /// It waits, and serves those of instances that have died.
    Standby,
}

/// What is traded, and by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Trading {
    /// The exchange, in lower case. Default `binance`.
    pub exchange: String,
    /// The symbols the instances share out among themselves, each once. Default none.
    pub symbols: Vec<String>,
    /// What this instance does about them. Default `active`.
    pub role: TradingRole,
    /// Within what time the symbols of an instance that has died are taken over. Default 10 seconds.
    #[serde(serialize_with = "duration")]
    pub lease: Duration,
}

impl Default for Trading {
    fn default() -> Self {
        let (exchange, lease) = ("binance".to_owned(), Duration::from_secs(10));
        Self { exchange, symbols: Vec::new(), role: TradingRole::Active, lease }
    }
}

impl Trading {
    pub(super) const KEYS: &'static [&'static str] = &["exchange", "symbols", "role", "lease"];

    /// The shortest lease: a shorter one is over before a database has answered.
    pub(super) const SHORTEST_LEASE: Duration = Duration::from_millis(100);

    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let mut symbols: Vec<String> = Vec::new();
        for field in section.list("symbols").unwrap_or_default() {
            let symbol = section.read(&field, |text| {
                if symbols.iter().any(|known| known == text) {
                    return Err("is in the list twice".to_owned());
                }
                market_name(text)
            });
            symbols.extend(symbol);
        }
        let role = section.parse("role", |text| match text.to_ascii_lowercase().as_str() {
            "active" => Ok(TradingRole::Active),
            "standby" => Ok(TradingRole::Standby),
            _ => Err(format!("must be one of active, standby; {}", suggestion(text, &["active", "standby"]))),
        });
        Self {
            exchange: section.parse("exchange", market_name).unwrap_or(default.exchange),
            symbols,
            role: role.unwrap_or_default(),
            lease: section.duration("lease", HOUR, Zero::Refused).unwrap_or(default.lease),
        }
    }
}

/// The name of an exchange or a symbol, as the tables hold it.
fn market_name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("is empty".to_owned())
    } else if text.chars().count() > SYMBOL_LENGTH {
        Err(format!("must have at most {SYMBOL_LENGTH} characters"))
    } else if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        Err("must have no spaces".to_owned())
    } else {
        Ok(text.to_owned())
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
