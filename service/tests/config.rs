//! The configuration as its users meet it: what is read, and which source wins.

use std::time::Duration;

use stanchion::config::{Backend, Config, ConfigError, Domain, LockKind, Source};

const NO_ENV: [(&str, &str); 0] = [];

fn load(yaml: &str) -> Result<Config, ConfigError> {
    load_with(yaml, NO_ENV)
}

fn load_with<const N: usize>(yaml: &str, env: [(&str, &str); N]) -> Result<Config, ConfigError> {
    Config::builder().yaml("stanchion.yaml", yaml).env(env).load()
}

fn from_env<const N: usize>(env: [(&str, &str); N]) -> Result<Config, ConfigError> {
    Config::builder().env(env).load()
}

// --- what is read -----------------------------------------------------------------------------------------------

#[test]
fn nothing_given_is_sqlite_with_locks_and_cache_in_the_process() {
    let config = Config::builder().load().unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.database.url.to_string(), "sqlite://data/stanchion.db");
    assert_eq!(config.distributed_lock.store(), LockKind::InProcess);
    assert_eq!(config.cache.redis, None);
    assert!(config.sources().is_empty());
    config.validate().unwrap();
}

#[test]
fn an_empty_file_is_the_default() {
    for text in ["", "\n\n", "# nothing yet\n", "---\n", "database:\n", "~", "\u{feff}", "trading:\ncache: {}\n"] {
        let mut config = load(text).unwrap();
        assert_eq!(config.sources(), [Source::File("stanchion.yaml".into())], "{text:?}");
        config = Config::builder().yaml("x", text).load().unwrap();
        assert_eq!(
            format!("{config:?}").split("sources").next(),
            format!("{:?}", Config::default()).split("sources").next()
        );
    }
}

#[test]
fn every_documented_key_is_read() {
    let config = load(
        r#"
instance: { id: node-1, index: 1, total: 3 }
database:
  url: postgres://app:secret@db/stanchion
  replicas: [postgres://app:secret@replica-1/stanchion]
  max_open_conns: 50
  max_idle_conns: 5
  conn_max_lifetime: 20m
  acquire_timeout: 4s
  connect_timeout: 6s
  statement_timeout: 0
databases:
  ordering: { url: "postgres://app:secret@orders/stanchion" }
  inventory: { url: "mysql://app:secret@stock/stanchion", max_open_conns: 7 }
cache: { redis: redis://127.0.0.1:6379, namespace: shop, l1_capacity: 1000 }
distributed_lock: { enabled: true, type: redis, redis: { addr: "127.0.0.1:6379", password: "", db: 2 } }
trading: { symbols: [ETHUSDT, BTCUSDT] }
encryption: { active: "2026", keys: { 2026: AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE= } }
telemetry: { slow_query: 300ms, log: "info,sqlx=warn", metrics_addr: 127.0.0.1:9464 }
http: { addr: "0.0.0.0:80" }
"#,
    )
    .unwrap();
    assert_eq!((config.instance.id.as_str(), config.instance.index, config.instance.total), ("node-1", 1, 3));
    let database = &config.database;
    assert_eq!(database.backend(), Backend::Postgres);
    assert_eq!(database.url.expose(), "postgres://app:secret@db:5432/stanchion");
    assert_eq!(database.replicas.len(), 1);
    assert_eq!((database.max_open_conns, database.max_idle_conns), (50, 5));
    assert_eq!(database.conn_max_lifetime, Some(Duration::from_secs(1200)));
    assert_eq!(database.acquire_timeout, Duration::from_secs(4));
    assert_eq!(database.connect_timeout, Duration::from_secs(6));
    assert_eq!(database.statement_timeout, None);
    assert_eq!(config.database_for(Domain::Inventory).backend(), Backend::MySql);
    assert_eq!(config.database_for(Domain::Inventory).max_open_conns, 7);
    assert_eq!(config.cache.redis.as_ref().unwrap().to_string(), "redis://127.0.0.1:6379/0");
    assert_eq!((config.cache.namespace.as_str(), config.cache.l1_capacity), ("shop", 1000));
    assert_eq!(config.distributed_lock.store(), LockKind::Redis);
    let lock = config.distributed_lock.redis.as_ref().unwrap();
    assert_eq!((lock.to_string().as_str(), lock.password()), ("redis://127.0.0.1:6379/2", None));
    assert_eq!(config.trading.symbols, ["ETHUSDT", "BTCUSDT"]);
    assert_eq!(config.encryption.active.as_deref(), Some("2026"));
    assert_eq!(config.encryption.keys["2026"].expose(), &[1; 32]);
    assert_eq!(config.telemetry.slow_query, Duration::from_millis(300));
    assert_eq!(config.telemetry.log, "info,sqlx=warn");
    assert_eq!(config.telemetry.metrics_addr.unwrap().port(), 9464);
    assert_eq!(config.http.addr.to_string(), "0.0.0.0:80");
}

#[test]
fn a_domain_inherits_the_pool_but_not_the_replicas() {
    let config = load(
        "database: {url: postgres://db/a, replicas: [postgres://r/a], max_open_conns: 7, acquire_timeout: 9s}\n\
         databases: {market: {url: postgres://ticks/a, acquire_timeout: 1s}}",
    )
    .unwrap();
    let market = config.database_for(Domain::Market);
    assert_eq!((market.max_open_conns, market.acquire_timeout), (7, Duration::from_secs(1)));
    assert!(market.replicas.is_empty());
}

#[test]
fn equal_databases_are_one() {
    let config = load(
        "database: {url: postgres://db/a}\n\
         databases:\n  \
           ordering: {url: postgres://orders/a}\n  \
           inventory: {url: 'postgresql://orders:5432/a'}\n  \
           mall: {url: postgresql://db/a}\n",
    )
    .unwrap();
    let distinct: Vec<_> = config.distinct_databases().collect();
    assert_eq!(distinct.len(), 2);
    assert_eq!((distinct[0].0, distinct[0].1.len()), ("default", 9));
    assert_eq!((distinct[1].0, &distinct[1].1), ("ordering", &vec![Domain::Ordering, Domain::Inventory]));
}

#[test]
fn aliases_are_followed() {
    let config = load("databases: {market: &m {url: postgres://x/y}, mall: *m}").unwrap();
    assert_eq!(config.database_for(Domain::Mall), config.database_for(Domain::Market));
}

#[test]
fn type_and_dsn_say_the_same_as_a_url() {
    let url = |yaml: &str| load(yaml).unwrap().database.url.expose().to_owned();
    assert_eq!(url("database: {type: sqlite, dsn: data/x.db}"), "sqlite://data/x.db");
    assert_eq!(
        url("database: {type: postgres, dsn: \"host=db user=app password='p w' dbname=shop sslmode=disable\"}"),
        "postgres://app:p%20w@db:5432/shop?sslmode=disable"
    );
    assert_eq!(url("database: {type: mysql, dsn: 'app:pw@tcp(db:3307)/shop'}"), "mysql://app:pw@db:3307/shop");
    assert_eq!(url("database: {dsn: 'mariadb://app:pw@db/shop'}"), "mysql://app:pw@db:3306/shop");
}

#[test]
fn a_connect_timeout_in_the_dsn_is_honoured_unless_the_key_is_given() {
    let timeout = |yaml: &str| load(yaml).unwrap().database.connect_timeout.as_secs();
    assert_eq!(timeout("database: {type: postgres, dsn: host=db dbname=x connect_timeout=4}"), 4);
    assert_eq!(timeout("database: {url: 'postgres://db/x?connect_timeout=4', connect_timeout: 5s}"), 5);
    assert_eq!(timeout("database: {url: 'postgres://db/x'}"), 10);
}

// --- who wins ---------------------------------------------------------------------------------------------------

#[test]
fn a_variable_wins_over_database_url_wins_over_the_file() {
    let yaml = "database: {url: postgres://file/x, max_open_conns: 5, max_idle_conns: 1}";
    let host = |config: Config| config.database.url.to_string();
    assert_eq!(host(load(yaml).unwrap()), "postgres://file:5432/x");
    let config = load_with(yaml, [("DATABASE_URL", "postgres://plain/x")]).unwrap();
    assert_eq!(config.database.max_open_conns, 5);
    assert_eq!(host(config), "postgres://plain:5432/x");
    let config = load_with(yaml, [("STANCHION__DATABASE__URL", "postgres://var/x")]).unwrap();
    assert_eq!(host(config), "postgres://var:5432/x");
}

#[test]
fn a_url_in_a_later_source_replaces_type_and_dsn() {
    let yaml = "database: {type: mysql, dsn: 'app@tcp(db)/x'}\ndatabases: {mall: {type: sqlite, dsn: mall.db}}";
    let env = [("DATABASE_URL", "sqlite:x.db"), ("STANCHION__DATABASES__MALL__URL", "sqlite:y.db")];
    let config = load_with(yaml, env).unwrap();
    assert_eq!(config.database.url.expose(), "sqlite://x.db");
    assert_eq!(config.database_for(Domain::Mall).url.expose(), "sqlite://y.db");
    let env = [("STANCHION__DATABASE__TYPE", "sqlite"), ("STANCHION__DATABASE__DSN", "z.db")];
    assert_eq!(load_with("database: {url: postgres://db/x}", env).unwrap().database.url.expose(), "sqlite://z.db");
}

#[test]
fn variables_are_coerced_by_what_their_key_wants() {
    let config = from_env([
        ("STANCHION__INSTANCE__ID", "007"),
        ("STANCHION__DATABASE__MAX_OPEN_CONNS", "42"),
        ("STANCHION__DATABASE__STATEMENT_TIMEOUT", "5s"),
        ("STANCHION__DISTRIBUTED_LOCK__ENABLED", "true"),
        ("STANCHION__DISTRIBUTED_LOCK__REDIS__ADDR", "lock:6379"),
        ("STANCHION__DISTRIBUTED_LOCK__REDIS__PASSWORD", "0123"),
        ("STANCHION__TRADING__SYMBOLS", "ETHUSDT, BTCUSDT"),
        ("STANCHION__DATABASES__ORDERING__URL", "sqlite:orders.db"),
        ("STANCHION_TEST_POSTGRES_URL", "not ours"),
        ("PATH", "/bin"),
    ])
    .unwrap();
    assert_eq!(config.instance.id, "007");
    assert_eq!(config.database.max_open_conns, 42);
    assert_eq!(config.database.statement_timeout, Some(Duration::from_secs(5)));
    assert_eq!(config.distributed_lock.redis.as_ref().unwrap().password().unwrap().expose(), "0123");
    assert_eq!(config.trading.symbols, ["ETHUSDT", "BTCUSDT"]);
    assert_eq!(config.database_for(Domain::Ordering).url.expose(), "sqlite://orders.db");
    assert_eq!(config.sources().len(), 8);
}

#[test]
fn a_list_in_a_variable_may_be_in_brackets() {
    let env = [("DATABASE_URL", "postgres://db/x"), ("STANCHION__DATABASE__REPLICAS", "['postgres://u:a%2Cb@r/x']")];
    assert_eq!(from_env(env).unwrap().database.replicas[0].expose(), "postgres://u:a%2Cb@r:5432/x");
}

#[test]
fn redis_url_is_the_cache_and_the_lock_that_names_none() {
    let env = [("REDIS_URL", "redis://:pw@cache:7000/1")];
    let config = load_with("distributed_lock: {enabled: true}", env).unwrap();
    assert_eq!(config.cache.redis.as_ref().unwrap().to_string(), "redis://:***@cache:7000/1");
    assert_eq!(config.distributed_lock.redis, config.cache.redis);

    let yaml = "cache: {redis: redis://file}\ndistributed_lock: {enabled: true, redis: {addr: 'locks:6379'}}";
    let config = load_with(yaml, env).unwrap();
    assert_eq!(config.cache.redis.as_ref().unwrap().to_string(), "redis://:***@cache:7000/1");
    assert_eq!(config.distributed_lock.redis.as_ref().unwrap().to_string(), "redis://locks:6379/0");

    let env = [("REDIS_URL", "redis://plain"), ("STANCHION__CACHE__REDIS", "redis://own")];
    assert_eq!(from_env(env).unwrap().cache.redis.unwrap().to_string(), "redis://own:6379/0");
    assert_eq!(from_env([("REDIS_URL", "")]).unwrap().cache.redis, None);
    assert_eq!(load_with("cache: {redis: redis://file}", [("STANCHION__CACHE__REDIS", "")]).unwrap().cache.redis, None);
}

#[test]
fn an_instance_without_a_name_takes_the_hosts_and_its_index() {
    assert_eq!(from_env([("HOSTNAME", "pod-7")]).unwrap().instance.id, "pod-7");
    let yaml = "instance: {index: 1, total: 2}";
    assert_eq!(load(yaml).unwrap().instance.id, "local-1");
    let long = "h".repeat(200);
    let id = load_with(yaml, [("HOSTNAME", long.as_str())]).unwrap().instance.id;
    assert!(id.len() == 64 && id.ends_with("h-1"), "{id}");
}

// --- text stays text --------------------------------------------------------------------------------------------

#[test]
fn a_password_of_digits_stays_text() {
    for (written, read) in [("12345", "12345"), ("0123", "0123"), ("'0123'", "0123"), ("1e3", "1e3"), ("0x10", "0x10")]
    {
        let yaml = format!("distributed_lock: {{redis: {{addr: 'x:1', password: {written}}}}}");
        let config = load(&yaml).unwrap();
        assert_eq!(config.distributed_lock.redis.unwrap().password().unwrap().expose(), read);
    }
}

#[test]
fn words_that_yaml_1_1_took_for_booleans_stay_text() {
    assert_eq!(load("trading: {symbols: [NO, on, 123, 'null']}").unwrap().trading.symbols, ["NO", "on", "123", "null"]);
    assert_eq!(load("instance: {id: no}").unwrap().instance.id, "no");
}

#[test]
fn the_example_file_is_valid_and_says_the_defaults() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../stanchion.example.yaml");
    let config = Config::builder().file(path).load().unwrap();
    assert_eq!(serde_json::to_value(&config).unwrap(), serde_json::to_value(Config::default()).unwrap());
}

#[test]
fn what_is_shown_can_be_read_again() {
    let yaml = "instance: {id: a}\ndatabase: {url: postgres://db/x, statement_timeout: 1m 30s}\n\
                databases: {mall: {url: mysql://db/x}}\n\
                distributed_lock: {enabled: true, redis: {addr: 'r:6380', db: 3}}\ntelemetry: {metrics_addr: '[::1]:1'}";
    let config = load(yaml).unwrap();
    let shown = serde_json::to_string(&config).unwrap();
    let again = Config::builder().yaml("stanchion.yaml", shown.as_str()).load().unwrap();
    assert_eq!(again, config);
}

#[test]
fn keys_of_encryption_come_from_variables_too() {
    let config = load_with(
        "encryption: {active: '2025', keys: {'2025': AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=}}",
        [
            ("STANCHION__ENCRYPTION__ACTIVE", "2026-b"),
            ("STANCHION__ENCRYPTION__KEYS__2026-B", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI="),
        ],
    )
    .unwrap();
    assert_eq!(config.encryption.active.as_deref(), Some("2026-b"));
    let keys: Vec<_> = config.encryption.keys.iter().map(|(id, key)| (id.as_str(), key.expose()[0])).collect();
    assert_eq!(keys, [("2025", 1), ("2026-b", 2)]);
    let shown = serde_json::to_value(&config).unwrap();
    assert_eq!(shown["encryption"], serde_json::json!({"active": "2026-b", "keys": {"2025": "***", "2026-b": "***"}}));
    assert!(format!("{config:?}").contains(r#"keys: {"2025": ***, "2026-b": ***}"#), "{config:?}");
}
