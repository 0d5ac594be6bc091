//! The configuration as its users meet it: sources, precedence, and what is said about mistakes.

#![expect(clippy::panic, reason = "a test fails by panicking")]

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

/// The message for a configuration that has to be refused.
#[track_caller]
fn refused(result: Result<Config, ConfigError>) -> String {
    match result {
        Ok(config) => panic!("accepted: {config:#?}"),
        Err(error) => error.to_string(),
    }
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
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
fn aliases_are_followed_within_bounds() {
    let config = load("databases: {market: &m {url: postgres://x/y}, mall: *m}").unwrap();
    assert_eq!(config.database_for(Domain::Mall), config.database_for(Domain::Market));

    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for pair in ["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi"] {
        let (from, to) = pair.split_at(1);
        bomb += &format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 10].join(","));
    }
    assert_says(&refused(load(&bomb)), &["stanchion.yaml:", "more than 10000 values"]);
    assert_says(&refused(load("a: &a [*a]")), &["alias", "part of"]);
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

// --- what is refused --------------------------------------------------------------------------------------------

#[test]
fn an_unknown_key_is_named_with_its_place_and_a_suggestion() {
    let message = refused(load("database:\n  max_open_con: 5\n"));
    assert_says(&message, &["database.max_open_con ", "stanchion.yaml:2:3", "did you mean max_open_conns?"]);
    assert_says(&refused(load("databse: {}")), &["databse", "did you mean database?"]);
    assert_says(&refused(load("cache: {qqq: 1}")), &["cache.qqq", "known are redis, namespace, l1_capacity"]);
    let message = refused(from_env([("STANCHION__DATABASE__URI", "x")]));
    assert_says(&message, &["database.uri", "STANCHION__DATABASE__URI", "did you mean url?"]);
    assert_says(&refused(from_env([("STANCHION__", "x")])), &["STANCHION__"]);
}

#[test]
fn an_unknown_domain_is_named_and_the_domains_are_listed() {
    let message = refused(load("databases: {order: {url: postgres://x/y}}"));
    assert_says(&message, &["databases.order", "identity, alerting, trading", "did you mean ordering?"]);
}

#[test]
fn all_problems_are_reported_together() {
    let error = load_with(
        "database: {max_open_conns: 0, acquire_timeout: 5, conn_max_lifetime: 3 parsecs}\n\
         instance: {index: 3, total: 3}\ntypo: 1\n",
        [("STANCHION__HTTP__ADDR", "here")],
    )
    .unwrap_err();
    let keys: Vec<&str> = error.problems().iter().flat_map(|p| p.keys.iter().map(String::as_str)).collect();
    for key in
        ["database.max_open_conns", "database.acquire_timeout", "database.conn_max_lifetime", "http.addr", "typo"]
    {
        assert!(keys.contains(&key), "{key} is not among {keys:?}");
    }
    assert!(keys.contains(&"instance.index") && keys.contains(&"instance.total"), "{keys:?}");
    assert_says(&error.to_string(), &["6 problems", "STANCHION__HTTP__ADDR", "stanchion.yaml:2:12"]);
}

#[test]
fn a_duration_without_a_right_unit_is_refused_with_an_example() {
    for wrong in ["30", "'30'", "30 parsecs", "-5s", "fast", "1.5", "s", "99999999999999999999s", "10000000d"] {
        let message = refused(load(&format!("database: {{conn_max_lifetime: {wrong}}}")));
        assert_says(&message, &["database.conn_max_lifetime"]);
    }
    assert_says(&refused(load("database: {acquire_timeout: 30}")), &["such as 30s, 200ms or 30m"]);
}

#[test]
fn zero_is_refused_where_it_makes_no_sense_and_no_limit_elsewhere() {
    for key in ["acquire_timeout", "connect_timeout"] {
        for zero in ["0", "0s", "0ms"] {
            assert_says(&refused(load(&format!("database: {{{key}: {zero}}}"))), &[key]);
        }
    }
    let config = load("database: {statement_timeout: 0s, conn_max_lifetime: 0}\ntelemetry: {slow_query: 0}").unwrap();
    assert_eq!((config.database.statement_timeout, config.database.conn_max_lifetime), (None, None));
    assert!(config.telemetry.slow_query.is_zero());
}

#[test]
fn pools_that_cannot_be_are_refused() {
    assert_says(&refused(load("database: {max_open_conns: 0}")), &["database.max_open_conns"]);
    assert_says(&refused(load("database: {max_open_conns: -1}")), &["database.max_open_conns"]);
    assert_says(&refused(load("database: {max_open_conns: 5000000000}")), &["database.max_open_conns"]);
    let message = refused(load("database: {max_open_conns: 5, max_idle_conns: 6}"));
    assert_says(&message, &["database.max_idle_conns and database.max_open_conns", "lower the first"]);
    // The default of one does not contradict the other.
    assert_eq!(load("database: {max_open_conns: 5}").unwrap().database.max_idle_conns, 5);
}

#[test]
fn replicas_are_copies_on_the_same_engine() {
    let message = refused(load("database: {url: postgres://db/x, replicas: [mysql://r/x]}"));
    assert_says(&message, &["database.replicas[0]", "mysql", "postgres"]);
    assert_says(&refused(load("database: {url: 'sqlite:x.db', replicas: ['sqlite:y.db']}")), &["database.replicas"]);
    let message = refused(load("database: {url: postgres://db/x, replicas: ['postgresql://db:5432/x']}"));
    assert_says(&message, &["database.replicas[0]", "the primary itself"]);
    let message = refused(load("database: {url: postgres://db/x, replicas: [postgres://r/x, postgres://r/x]}"));
    assert_says(&message, &["database.replicas[1]", "twice"]);
}

#[test]
fn two_urls_that_contradict_are_both_named() {
    let env = [("DATABASE_URL", "postgres://a/x"), ("STANCHION__DATABASE__URL", "postgres://b/x")];
    assert_says(&refused(from_env(env)), &["database.url", "DATABASE_URL", "STANCHION__DATABASE__URL", "unset one"]);
    let env = [("DATABASE_URL", "postgres://a/x"), ("STANCHION__DATABASE__DSN", "host=b dbname=x")];
    assert_says(&refused(from_env(env)), &["DATABASE_URL", "STANCHION__DATABASE__DSN"]);
    let env = [("DATABASE_URL", "postgres://a/x"), ("STANCHION__DATABASE__URL", "postgresql://a:5432/x")];
    from_env(env).unwrap();

    let message = refused(load("database: {url: 'sqlite:x.db', type: sqlite, dsn: y.db}"));
    assert_says(&message, &["database.url and database.dsn", "stanchion.yaml:1"]);
    let message = refused(load("databases: {mall: {url: 'sqlite:x.db', type: sqlite}}"));
    assert_says(&message, &["databases.mall.url and databases.mall.type"]);
    let env = [("STANCHION__DATABASE__URL", "sqlite:x.db"), ("STANCHION__database__url", "sqlite:y.db")];
    assert_says(&refused(from_env(env)), &["STANCHION__DATABASE__URL", "STANCHION__database__url", "case"]);
}

#[test]
fn one_database_has_one_set_of_settings() {
    let yaml = "database: {url: postgres://db/x}\ndatabases: {mall: {url: postgres://db/x, max_open_conns: 20}}";
    assert_says(&refused(load(yaml)), &["databases.mall.max_open_conns and database.max_open_conns"]);
}

#[test]
fn half_a_place_is_refused() {
    assert_says(&refused(load("database: {type: postgres}")), &["database.dsn", "missing"]);
    assert_says(&refused(load("database: {dsn: data/x.db}")), &["database.dsn", "type"]);
    assert_says(&refused(load("database: {type: oracle, dsn: x}")), &["database.type", "sqlite, postgres, mysql"]);
    assert_says(&refused(load("database: {type: mysql, dsn: 'postgres://db/x'}")), &["database.dsn", "mysql"]);
    assert_says(&refused(load("databases: {mall: {max_open_conns: 5}}")), &["databases.mall.url", "missing"]);
}

#[test]
fn an_empty_url_is_refused_and_not_taken_for_sqlite() {
    assert_says(&refused(from_env([("DATABASE_URL", "")])), &["database.url", "DATABASE_URL", "no value"]);
    assert_says(&refused(load("database: {url: }")), &["database.url", "no value"]);
    assert_says(&refused(load("database: {url: ''}")), &["database.url", "no value"]);
}

#[test]
fn locks_in_redis_need_a_redis() {
    let message = refused(load("distributed_lock: {enabled: true}"));
    assert_says(&message, &["distributed_lock.redis.addr", "distributed_lock.enabled", "REDIS_URL", "in_process"]);
    let config = load("distributed_lock: {enabled: true, type: in_process}").unwrap();
    assert_eq!(config.distributed_lock.store(), LockKind::InProcess);
    load("distributed_lock: {enabled: false, type: redis}").unwrap();
    assert_says(&refused(load("distributed_lock: {type: etcd}")), &["distributed_lock.type", "in_process, redis"]);
}

#[test]
fn instances_are_numbered_from_zero_and_named_shortly() {
    assert_says(&refused(load("instance: {index: 1}")), &["instance.index and instance.total"]);
    assert_says(&refused(load("instance: {total: 0}")), &["instance.total"]);
    let message = refused(load(&format!("instance: {{id: {}}}", "x".repeat(65))));
    assert_says(&message, &["instance.id", "64 characters"]);
}

#[test]
fn other_values_are_checked_too() {
    for (yaml, key) in [
        ("cache: {namespace: 'a b'}", "cache.namespace"),
        ("cache: {l1_capacity: many}", "cache.l1_capacity"),
        ("cache: {redis: http://x}", "cache.redis"),
        ("telemetry: {log: infp}", "telemetry.log"),
        ("telemetry: {metrics_addr: ':9464'}", "telemetry.metrics_addr"),
        ("http: {addr: localhost}", "http.addr"),
        ("trading: {symbols: [A, A]}", "trading.symbols[1]"),
        ("trading: {symbols: {a: b}}", "trading.symbols"),
        ("distributed_lock: {enabled: maybe}", "distributed_lock.enabled"),
        ("distributed_lock: {redis: {db: x}}", "distributed_lock.redis.db"),
        ("database: postgres://db/x", "database"),
        ("database: {max_open_conns: [1]}", "database.max_open_conns"),
        ("instance: [1]", "instance"),
    ] {
        assert_says(&refused(load(yaml)), &[key, "stanchion.yaml:1:"]);
    }
}

#[test]
fn what_is_not_a_configuration_is_refused_with_its_line() {
    for (yaml, parts) in [
        ("- a\n- b\n", ["stanchion.yaml:1:1", "not a map"]),
        ("just text", ["stanchion.yaml:1:1", "not a map"]),
        ("cache:\n  namespace: a\ncache:\n  namespace: b\n", ["stanchion.yaml:3:1", "cache is given twice"]),
        ("database:\n\turl: x\n", ["stanchion.yaml:2:", "indent with spaces"]),
        ("cache: {namespace: a\n", ["stanchion.yaml:1:8", "unclosed"]),
        ("cache: {}\n---\nhttp: {}\n", ["stanchion.yaml:2:", "second document"]),
        ("cache: !include x\n", ["stanchion.yaml:1:", "tags"]),
        ("? [a]\n: b\n", ["stanchion.yaml:1:", "a key is a name"]),
        ("cache: *nothing\n", ["stanchion.yaml:1:", "unknown anchor"]),
        ("x: &x {url: a}\ndatabase:\n  <<: *x\n", ["stanchion.yaml:3:", "merge keys"]),
    ] {
        assert_says(&refused(load(yaml)), &parts);
    }
    let message = refused(load(&format!("a: {}1{}", "[".repeat(5000), "]".repeat(5000))));
    assert_says(&message, &["recursion limit"]);
}

#[test]
fn a_file_that_is_not_utf8_is_refused_with_its_line() {
    let error = Config::builder().yaml("x.yaml", b"a: b\nc: \xff\xfe\n".to_vec()).load().unwrap_err();
    assert!(matches!(error, ConfigError::NotUtf8 { line: 2, .. }), "{error}");
}

#[test]
fn a_file_that_was_named_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("no.yaml");
    let error = Config::builder().file(&path).load().unwrap_err();
    assert!(matches!(error, ConfigError::Missing { .. }), "{error}");
    Config::builder().file_if_there(&path).load().unwrap();
    let error = Config::builder().file(dir.path()).load().unwrap_err();
    assert!(matches!(error, ConfigError::Unreadable { .. }), "{error}");

    std::fs::write(&path, "cache: {namespace: x}").unwrap();
    assert_eq!(Config::builder().file(&path).load().unwrap().cache.namespace, "x");
    std::fs::write(&path, "#".repeat(2 << 20)).unwrap();
    let error = Config::builder().file(&path).load().unwrap_err();
    assert!(matches!(error, ConfigError::TooLong { .. }), "{error}");
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
