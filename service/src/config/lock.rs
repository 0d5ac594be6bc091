//! The section `distributed_lock`: where locks are kept.

use std::fmt;

use serde::{Serialize, Serializer};

use super::error::Problem;
use super::secret::{HIDDEN, Secret};
use super::section::{Section, suggestion};
use super::tree::{Node, Value};
use super::url::RedisUrl;

/// Where locks are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LockKind {
    /// In the process: mutual exclusion among its tasks.
    InProcess,
    /// In Redis: mutual exclusion among instances.
    Redis,
    /// Locks of the default database's sessions (advisory locks of PostgreSQL, `GET_LOCK` of MySQL): mutual exclusion
    /// among instances. SQLite has none.
    Session,
    /// Rows of the default database with leases: mutual exclusion among instances, on every back end.
    Table,
}

/// What is done when locks cannot be had because their store cannot be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum OnOutage {
    /// Nothing is locked: the call fails.
    #[default]
    Fail,
    /// A lock that is fenced is granted without its store: the fence alone keeps late writers out. Others fail.
    Degrade,
}

impl LockKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::InProcess, Self::Redis, Self::Session, Self::Table];

    /// The name `distributed_lock.type` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InProcess => "in_process",
            Self::Redis => "redis",
            Self::Session => "session",
            Self::Table => "table",
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
    /// What is done when they cannot be had. Default `fail`.
    pub on_outage: OnOutage,
}

impl Default for DistributedLock {
    fn default() -> Self {
        Self { enabled: false, kind: LockKind::Redis, redis: None, on_outage: OnOutage::Fail }
    }
}

impl DistributedLock {
    /// The keys of `distributed_lock` and of its `redis`.
    pub(super) const KEYS: &'static [&'static str] = &["enabled", "type", "redis", "on_outage"];
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
        let on_outage = section.parse("on_outage", |text| match text.to_ascii_lowercase().as_str() {
            "fail" => Ok(OnOutage::Fail),
            "degrade" => Ok(OnOutage::Degrade),
            _ => Err(format!("must be one of fail, degrade; {}", suggestion(text, &["fail", "degrade"]))),
        });
        Self { enabled, kind, redis: url, on_outage: on_outage.unwrap_or_default() }
    }
}

/// In the shape of the file: `{enabled, type, redis: {addr, password, db}, on_outage}`.
impl Serialize for DistributedLock {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shape<'a> {
            enabled: bool,
            r#type: LockKind,
            redis: Option<Redis<'a>>,
            on_outage: OnOutage,
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
        Shape { enabled: self.enabled, r#type: self.kind, redis, on_outage: self.on_outage }.serialize(serializer)
    }
}
