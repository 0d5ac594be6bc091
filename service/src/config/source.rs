//! Where a configuration comes from, and reading it from there.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::database::{self, Place};
use super::environment::{self, Environment};
use super::error::{ConfigError, Problem, key_name};
use super::section::{Section, suggestion};
use super::tree::{self, Node, Origin, Value};
use super::{
    Alerting, Cache, Config, Database, DistributedLock, Domain, Encryption, Http, Instance, Redis, Telemetry, Trading,
    validate, yaml,
};

/// The file that is read if no other is named and it exists.
pub const DEFAULT_FILE: &str = "stanchion.yaml";

/// The most that is read of a file, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

const KEYS: &[&str] = &[
    "instance",
    "database",
    "databases",
    "redis",
    "cache",
    "distributed_lock",
    "alerting",
    "trading",
    "encryption",
    "telemetry",
    "http",
];

/// Something a configuration was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// What to read a configuration from. Later sources win over earlier ones:
///
/// 1. the defaults;
/// 2. the file;
/// 3. `DATABASE_URL` (stands for `database.url`) and `REDIS_URL` (stands for `cache.redis`, and for
///    `distributed_lock.redis.addr` where locks need one and none is given);
/// 4. `STANCHION__` variables: `STANCHION__DATABASE__MAX_OPEN_CONNS` stands for `database.max_open_conns`. Lists are
///    written with commas.
///
/// Maps are merged key by key, lists and single values are replaced. A source that gives a database's `url` replaces the
/// `type` and `dsn` of an earlier one, and the other way round; the same source may not give both, nor may
/// `DATABASE_URL` and a `STANCHION__DATABASE__...` variable name different databases.
///
/// ```
/// use stanchion::config::Config;
///
/// let config = Config::builder().env([("DATABASE_URL", "postgres://app:s3cret@db/shop")]).load()?;
/// assert_eq!(config.database.url.to_string(), "postgres://app:***@db:5432/shop");
/// # Ok::<(), stanchion::config::ConfigError>(())
/// ```
#[derive(Default, Clone)]
#[must_use = "nothing is read before load is called"]
pub struct Sources {
    file: Option<Document>,
    environment: Vec<(OsString, OsString)>,
}

#[derive(Clone)]
enum Document {
    Named(PathBuf),
    IfThere(PathBuf),
    Given(PathBuf, Vec<u8>),
}

impl Sources {
    /// Reads `path`, which has to exist.
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(Document::Named(path.into()));
        self
    }

    /// Reads `path` if it exists.
    pub fn file_if_there(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(Document::IfThere(path.into()));
        self
    }

    /// Takes `text` for the content of a file that errors call `name`.
    pub fn yaml(mut self, name: impl Into<PathBuf>, text: impl Into<Vec<u8>>) -> Self {
        self.file = Some(Document::Given(name.into(), text.into()));
        self
    }

    /// Adds variables. Those that do not concern Stanchion are not looked at.
    pub fn env<K: Into<OsString>, V: Into<OsString>>(mut self, variables: impl IntoIterator<Item = (K, V)>) -> Self {
        self.environment.extend(variables.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// Adds the environment of the process.
    pub fn process_env(self) -> Self {
        self.env(std::env::vars_os())
    }

    /// Reads, merges and validates.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not YAML; otherwise [`ConfigError::Invalid`] with everything that is wrong.
    pub fn load(self) -> Result<Config, ConfigError> {
        let mut problems = Vec::new();
        let mut sources = Vec::new();
        let mut root = Node::new(Origin::Variable(String::new()), Value::Map(Vec::new()));
        if let Some((path, bytes)) = self.file.map(read_file).transpose()?.flatten() {
            let file = yaml::parse(&path, &decode(&path, bytes)?)?;
            problems.extend(tree::contradictions(&file));
            root = file;
            sources.push(Source::File(path));
        }
        let environment = environment::read(self.environment, &mut problems);
        problems.extend(tree::contradictions(&environment.prefixed));
        tree::overlay(&mut root, environment.plain.clone());
        tree::overlay(&mut root, environment.prefixed.clone());
        sources.extend(environment.used.iter().cloned().map(Source::Variable));

        let noted = RefCell::new(problems);
        let config = Config { sources, ..read_tree(&root, &environment, &noted) };
        let mut problems = noted.into_inner();
        for problem in validate::problems(&config) {
            // What is said about a key that could not be read is said about its default.
            if !problem.keys.iter().any(|key| problems.iter().any(|earlier| earlier.keys.contains(key))) {
                let origins = problem.keys.iter().filter_map(|key| root.at(key)).map(|node| node.origin.clone());
                problems.push(origins.collect::<Vec<_>>().iter().fold(problem, Problem::from));
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Invalid(problems)) }
    }
}

/// A document and its name, unless it need not be there and is not.
fn read_file(document: Document) -> Result<Option<(PathBuf, Vec<u8>)>, ConfigError> {
    let (path, required) = match document {
        Document::Given(name, bytes) => return Ok(Some((name, bytes))),
        Document::Named(path) => (path, true),
        Document::IfThere(path) => (path, false),
    };
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(LONGEST_FILE + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > LONGEST_FILE => Err(ConfigError::TooLong { path, limit: LONGEST_FILE }),
        Ok(_) => Ok(Some((path, bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound && !required => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(ConfigError::Missing { path }),
        Err(source) => Err(ConfigError::Unreadable { path, source }),
    }
}

fn decode(path: &Path, bytes: Vec<u8>) -> Result<String, ConfigError> {
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
        ConfigError::NotUtf8 { path: path.to_owned(), line, source: error.utf8_error() }
    })
}

fn read_tree(root: &Node, environment: &Environment, problems: &RefCell<Vec<Problem>>) -> Config {
    let default = Config::default();
    let root = Section::root(root, KEYS, problems);
    let section = root.section("database", database::KEYS);
    let url = match database::read_place(&section) {
        Place::At(url) => url,
        Place::Unsaid | Place::Wrong => default.database.url.clone(),
    };
    let database = Database::read(&section, &default.database, url);
    Config {
        instance: Instance::read(&root.section("instance", &["id", "index", "total"]), environment.host.as_deref()),
        databases: read_databases(&root.open("databases"), &database),
        database,
        redis: Redis::read(&root.section("redis", Redis::KEYS)),
        cache: Cache::read(&root.section("cache", Cache::KEYS)),
        distributed_lock: DistributedLock::read(
            &root.section("distributed_lock", DistributedLock::KEYS),
            environment.redis.as_ref(),
        ),
        alerting: Alerting::read(&root.section("alerting", Alerting::KEYS)),
        trading: Trading::read(&root.section("trading", Trading::KEYS)),
        encryption: Encryption::read(&root.section("encryption", Encryption::KEYS)),
        telemetry: Telemetry::read(&root.section("telemetry", &["slow_query", "log", "metrics_addr"])),
        http: Http::read(&root.section("http", &["addr"])),
        sources: Vec::new(),
    }
}

fn read_databases(section: &Section<'_>, base: &Database) -> BTreeMap<Domain, Database> {
    let mut databases = BTreeMap::new();
    for (name, origin) in section.keys() {
        let Ok(domain) = name.parse::<Domain>() else {
            let names = Domain::ALL.map(Domain::name);
            let near = suggestion(name, &names);
            let message = format!("is no domain; the domains are {}", names.join(", "));
            let problem = Problem::new(&section.key(key_name(name)), message).from(origin);
            section.note(if near.starts_with("did") { problem.hint(near) } else { problem });
            continue;
        };
        let own = section.section(name, database::KEYS);
        let url = match database::read_place(&own) {
            Place::At(url) => url,
            Place::Wrong => continue,
            Place::Unsaid => {
                own.note(Problem::new(&own.key("url"), "is missing").from(origin).hint("or leave the domain out"));
                continue;
            }
        };
        databases.insert(domain, Database::read(&own, base, url));
    }
    databases
}
