//! What is said about mistakes in a configuration: the key, where it was set, what to do; and all of them at once.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use stanchion::config::{Config, ConfigError, LockKind};

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

#[test]
fn an_unknown_key_is_named_with_its_place_and_a_suggestion() {
    let message = refused(load("database:\n  max_open_con: 5\n"));
    assert_says(&message, &["database.max_open_con ", "stanchion.yaml:2:3", "did you mean max_open_conns?"]);
    assert_says(&refused(load("databse: {}")), &["databse", "did you mean database?"]);
    assert_says(
        &refused(load("cache: {qqq: 1}")),
        &["cache.qqq", "known are redis, namespace, l1_capacity, max_staleness"],
    );
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
    assert_says(
        &refused(load("distributed_lock: {type: etcd}")),
        &["distributed_lock.type", "in_process, redis, session, table"],
    );
}

#[test]
fn instances_are_numbered_from_zero_and_named_shortly() {
    assert_says(&refused(load("instance: {index: 1}")), &["instance.index and instance.total"]);
    assert_says(&refused(load("instance: {total: 0}")), &["instance.total"]);
    let message = refused(load(&format!("instance: {{id: {}}}", "x".repeat(65))));
    assert_says(&message, &["instance.id", "64 characters"]);
}

#[test]
fn a_key_of_encryption_is_32_bytes_in_base64() {
    for (key, says) in [
        ("QUJD", "must be 32 bytes, not 3"),
        ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB", "must be 32 bytes, not 33"),
        ("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE", "must be base64"),
        ("'not base64!'", "must be base64"),
    ] {
        let message = refused(load(&format!("encryption: {{active: '2026', keys: {{'2026': {key}}}}}")));
        assert_says(&message, &["encryption.keys.2026", "stanchion.yaml:1:", says, "openssl rand -base64 32"]);
        assert!(!message.contains(key) && !message.contains("problems"), "{message}");
    }
    let message = refused(load("encryption: {active: '2026', keys: {'2026': }}"));
    assert_says(&message, &["encryption.keys.2026", "no value"]);
}

#[test]
fn the_active_key_of_encryption_is_one_of_the_keys() {
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let message = refused(load(&format!("encryption: {{active: '2027', keys: {{'2026': {key}}}}}")));
    assert_says(&message, &["encryption.active and encryption.keys.2027", "stanchion.yaml:1:", "missing"]);
    let message = refused(load(&format!("encryption: {{keys: {{'2026': {key}}}}}")));
    assert_says(&message, &["encryption.active and encryption.keys", "is missing"]);
    assert_says(&refused(from_env([("STANCHION__ENCRYPTION__ACTIVE", "2026")])), &["encryption.keys.2026"]);
    for id in ["A", "a.b", "'a b'", "x".repeat(33).as_str()] {
        let message = refused(load(&format!("encryption: {{active: a, keys: {{a: {key}, {id}: {key}}}}}")));
        assert_says(&message, &["encryption.keys.", "32 lower-case letters"]);
    }
    // A key in the place of its id is not repeated.
    let message = refused(load(&format!("encryption: {{active: {key}, keys: {{{key}: a}}}}")));
    assert_says(&message, &["encryption.active", "encryption.keys.(not a name)"]);
    assert!(!message.contains("AQEB"), "{message}");
    assert_says(&refused(load("encryption: {actve: a}")), &["encryption.actve", "did you mean active?"]);
    for nothing in
        ["encryption: {active: , keys: {}}", "encryption: {active: ''}", "encryption: {keys: }", "encryption:"]
    {
        assert_eq!(load(nothing).unwrap().encryption, Config::default().encryption);
    }
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
        ("trading: {exchange: 'a b'}", "trading.exchange"),
        ("trading: {role: leader}", "trading.role"),
        ("trading: {lease: 10}", "trading.lease"),
        ("trading: {lease: 99ms}", "trading.lease"),
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
fn aliases_grow_a_file_within_bounds_only() {
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for pair in ["ab", "bc", "cd", "de", "ef", "fg", "gh", "hi"] {
        let (from, to) = pair.split_at(1);
        bomb += &format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 10].join(","));
    }
    assert_says(&refused(load(&bomb)), &["stanchion.yaml:", "more than 10000 values"]);
    assert_says(&refused(load("a: &a [*a]")), &["alias", "part of"]);
}
