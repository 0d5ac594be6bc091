//! Whatever is fed in, nothing panics and no planted password comes out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use stanchion::config::{Backend, Config, DatabaseUrl, RedisUrl};

/// Long enough not to turn up by chance, with nothing in it that an encoding would change.
const PLANTED: &str = "Zq9Xw7Kj5";

fn clean(text: &str) -> Result<(), TestCaseError> {
    prop_assert!(!text.contains(PLANTED), "the password is in {text}");
    Ok(())
}

fn check(result: Result<Config, stanchion::config::ConfigError>) -> Result<(), TestCaseError> {
    match result {
        Ok(config) => {
            clean(&format!("{config:?} {}", serde_json::to_string(&config).unwrap()))?;
            for (_, _, database) in config.distinct_databases() {
                clean(&database.url.to_string())?;
            }
        }
        Err(error) => {
            clean(&format!("{error} {error:?} {error:#?}"))?;
            for problem in error.problems() {
                clean(&serde_json::to_string(problem).unwrap())?;
            }
        }
    }
    Ok(())
}

/// Places for a value in an otherwise random file, where a password may stand.
fn value() -> impl Strategy<Value = String> {
    let noise = "[ -~]{0,12}";
    prop_oneof![
        (noise, noise).prop_map(|(a, b)| format!("{a}://u:{PLANTED}@{b}")),
        (noise, noise).prop_map(|(a, b)| format!("postgres://u{a}:{PLANTED}{b}@db/x")),
        (noise, noise).prop_map(|(a, b)| format!("postgres://{a}:1{b}{PLANTED}@db/x")),
        (noise, noise).prop_map(|(a, b)| format!("mysql://u:{PLANTED}@{a}/x?{b}={PLANTED}")),
        (noise, noise).prop_map(|(a, b)| format!("host={a} password={PLANTED} {b}")),
        (noise, noise).prop_map(|(a, b)| format!("host={a} password='{PLANTED}{b}' dbname=x")),
        (noise, noise).prop_map(|(a, b)| format!("u{a}:{PLANTED}@tcp({b})/x")),
        (noise, noise).prop_map(|(a, b)| format!("redis://{a}:{PLANTED}@{b}")),
        noise.prop_map(|a| format!("redis-sentinel://:{PLANTED}@s1,{a}/0?master=m")),
        Just(PLANTED.to_owned()),
        noise.prop_map(|a| format!("{a} {PLANTED}")),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("database.url".to_owned()),
        Just("database.dsn".to_owned()),
        Just("database.replicas".to_owned()),
        Just("database.max_open_conns".to_owned()),
        Just("database.acquire_timeout".to_owned()),
        Just("databases.mall.url".to_owned()),
        Just("cache.redis".to_owned()),
        Just("distributed_lock.redis.addr".to_owned()),
        Just("distributed_lock.redis.password".to_owned()),
        Just("distributed_lock.enabled".to_owned()),
        Just("encryption.active".to_owned()),
        Just("encryption.keys".to_owned()),
        Just("encryption.keys.2026".to_owned()),
        Just("alerting.channels.email.url".to_owned()),
        Just("alerting.channels.slack.url".to_owned()),
        Just("alerting.channels.telegram.token".to_owned()),
        Just("alerting.channels.webhook.secret".to_owned()),
        Just("telemetry.metrics_addr".to_owned()),
        Just("database".to_owned()),
        "[a-z_]{1,10}(\\.[a-z_]{1,10}){0,2}",
    ]
}

fn as_yaml(key: &str, value: &str) -> String {
    let mut text = String::new();
    for (depth, part) in key.split('.').enumerate() {
        text += &format!("\n{}{part}:", "  ".repeat(depth));
    }
    text + " " + value + "\n"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_anywhere_in_a_file_does_not_come_out(key in key(), value in value(), kind in "(sqlite|postgres|mysql|x)?") {
        // The name of a file or database is no secret.
        let of_a_server = ["://", "password=", &format!("{PLANTED}@")].iter().any(|part| value.contains(part));
        if key == "database.dsn" && !of_a_server {
            return Ok(());
        }
        for quoted in [value.clone(), format!("'{}'", value.replace('\'', "''")), serde_json::to_string(&value).unwrap()] {
            let mut yaml = as_yaml(&key, &quoted);
            if key == "database.dsn" && !kind.is_empty() {
                yaml += &format!("  type: {kind}\n");
            }
            check(Config::builder().yaml("x.yaml", yaml).load())?;
        }
    }

    #[test]
    fn a_value_in_a_variable_does_not_come_out(key in key(), value in value()) {
        let name = format!("STANCHION__{}", key.to_uppercase().replace('.', "__"));
        check(Config::builder().env([(name.as_str(), value.as_str())]).load())?;
        check(Config::builder().env([("DATABASE_URL", value.as_str()), (name.as_str(), "x")]).load())?;
        check(Config::builder().env([("REDIS_URL", value.as_str()), ("STANCHION__DISTRIBUTED_LOCK__ENABLED", "1")]).load())?;
    }

    #[test]
    fn a_broken_file_does_not_come_out(before in "[ -~\n\t]{0,40}", after in "[ -~\n\t]{0,40}") {
        let yaml = format!("{before}\ndatabase: {{url: 'postgres://u:{PLANTED}@db/x'}}\n{after}");
        check(Config::builder().yaml("x.yaml", yaml).load())?;
        let yaml = format!("database: {{url{before}postgres://u:{PLANTED}@db/x}}{after}");
        check(Config::builder().yaml("x.yaml", yaml).load())?;
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Config::builder().yaml("x.yaml", bytes).load();
    }

    #[test]
    fn no_yaml_panics(text in "([a-z]{1,3}|[0-9]|[-:?,&*!|>'\"%@`#{}\\[\\]\n\t ~<]){0,60}") {
        let _ = Config::builder().yaml("x.yaml", text).load();
    }

    #[test]
    fn no_url_panics(text in "\\PC{0,40}", scheme in "(postgres://|mysql://|sqlite:|redis://|redis-cluster://|unix://)?") {
        let text = scheme + &text;
        let _ = text.parse::<RedisUrl>();
        for backend in Backend::ALL {
            let _ = DatabaseUrl::of_type(backend, &text);
        }
        // What was accepted is read again as the same.
        if let Ok(url) = text.parse::<DatabaseUrl>() {
            let again = url.expose().parse::<DatabaseUrl>();
            prop_assert_eq!(again.as_ref().map(DatabaseUrl::expose), Ok(url.expose()));
        }
    }

    #[test]
    fn any_password_survives_every_form(password in "\\PC{1,20}", user in "[a-z]{1,5}") {
        prop_assume!(!password.chars().any(char::is_control));
        let encoded: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let url: DatabaseUrl = format!("postgres://{user}:{encoded}@db/x").parse().unwrap();
        let quoted = password.replace('\\', "\\\\").replace('\'', "\\'");
        let libpq = DatabaseUrl::of_type(Backend::Postgres, &format!("user={user} password='{quoted}' host=db dbname=x"));
        prop_assert_eq!(libpq.unwrap(), url);
        let go = DatabaseUrl::of_type(Backend::MySql, &format!("{user}:{password}@tcp(db)/x")).unwrap();
        let mysql: DatabaseUrl = format!("mysql://{user}:{encoded}@db/x").parse().unwrap();
        prop_assert_eq!(go, mysql);
    }
}
