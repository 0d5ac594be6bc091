//! The forms a database's address comes in, and what sqlx makes of the one they are turned into.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::str::FromStr;

use sea_orm::sqlx::ConnectOptions;
use sea_orm::sqlx::mysql::MySqlConnectOptions;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;
use stanchion::config::{Backend, DatabaseUrl, RedisTopology, RedisUrl};

fn url(text: &str) -> DatabaseUrl {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn dsn(backend: Backend, text: &str) -> DatabaseUrl {
    DatabaseUrl::of_type(backend, text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[track_caller]
fn refused(text: &str) -> String {
    text.parse::<DatabaseUrl>().map_or_else(|error| error.to_string(), |url| panic!("accepted as {url}"))
}

#[track_caller]
fn dsn_refused(backend: Backend, text: &str) -> String {
    DatabaseUrl::of_type(backend, text).map_or_else(|error| error.to_string(), |url| panic!("accepted as {url}"))
}

#[test]
fn the_password_is_hidden_wherever_it_stands() {
    for (written, shown) in [
        ("postgres://app:hunter2@db/stanchion", "postgres://app:***@db:5432/stanchion"),
        ("postgresql://db/stanchion?user=app&password=hunter2", "postgres://app:***@db:5432/stanchion"),
        ("mysql://app:hunter2@db:3307/shop", "mysql://app:***@db:3307/shop"),
        ("mariadb://:hunter2@db/shop", "mysql://:***@db:3306/shop"),
    ] {
        let url = url(written);
        assert_eq!(url.to_string(), shown);
        assert_eq!(format!("{url:?}"), format!("DatabaseUrl({shown})"));
        assert_eq!(serde_json::to_string(&url).unwrap(), format!("{shown:?}"));
        assert!(url.expose().contains("hunter2"));
    }
}

#[test]
fn odd_characters_in_a_password_reach_the_driver() {
    let password = "p@:/?#%&+= \\'\"é";
    let encoded: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let quoted =
        format!("host=db user=app dbname=x password='{}'", password.replace('\\', "\\\\").replace('\'', "\\'"));
    for url in [
        url(&format!("postgres://app:{encoded}@db/x")),
        url(&format!("postgres://app@db/x?password={encoded}")),
        dsn(Backend::Postgres, &quoted),
    ] {
        let options = PgConnectOptions::from_str(url.expose()).unwrap();
        let decoded: DatabaseUrl =
            options.to_url_lossy().as_str().replace("&statement-cache-capacity=100", "").parse().unwrap();
        assert_eq!(decoded.expose().split('?').next(), url.expose().split('?').next());
        assert_eq!(url.expose(), format!("postgres://app:{}@db:5432/x", percent(password)));
    }
    let go = dsn(Backend::MySql, &format!("app:{password}@tcp(db)/x"));
    assert_eq!(go, url(&format!("mysql://app:{encoded}@db/x")));
    MySqlConnectOptions::from_str(go.expose()).unwrap();
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[test]
fn a_password_that_is_not_encoded_is_refused_without_being_shown() {
    for text in [
        "postgres://app:hun/ter2@db/x",
        "postgres://app:12/hunter2@db/x",
        "postgres://app:12#hunter2@db/x",
        "postgres://app:12?hunter2@db/x",
        "postgres://app:12?hunter2=1@db/x",
        "postgres://app:hunter2%@db/x",
        "postgres://app:hunter2%zz@db/x",
        "postgres://app:hunter2%ff@db/x",
        "postgres://app:hunter2@db:99999/x",
        "postgres://app:hunter2@db/",
        "postgres://app:hunter2@a,b/x",
        "postgres://app:hunter2@db/x?nosuch=hunter2",
        "postgres://app:hunter2@db/x?sslmode=hunter2",
        "postgres://app:hunter2@db/x?sslpassword=hunter2",
        "postgres://app:hun\nter2@db/x",
        "mysql://app:hunter2@db/x?charset=hunter2",
        "http://app:hunter2@db/x",
        "hunter2",
        "app:hunter2@db/x",
    ] {
        let message = refused(text);
        assert!(!message.contains("hunter2") && !message.contains("ter2") && !message.contains("@db"), "{message}");
    }
    // An @ alone can only be one, the last is the one before the host.
    assert_eq!(url("postgres://app:p@ss@db/x"), url("postgres://app:p%40ss@db/x"));
}

#[test]
fn unknown_parameters_are_named() {
    assert!(refused("postgres://db/x?useSSL=true").contains("useSSL"));
    assert!(refused("mysql://db/x?serverTimezone=UTC").contains("serverTimezone"));
    assert!(refused("sqlite:x.db?journal=wal").contains("journal"));
    assert!(dsn_refused(Backend::Postgres, "host=db dbname=x sslmod=disable").contains("sslmod"));
    assert!(dsn_refused(Backend::MySql, "app@tcp(db)/x?nosuch=1").contains("nosuch"));
}

#[test]
fn a_server_without_a_database_is_refused() {
    for text in ["postgres://db", "postgres://db/", "mysql://db", "postgres://db?sslmode=disable"] {
        assert!(refused(text).contains("DATABASE"), "{text}");
    }
    assert!(dsn_refused(Backend::Postgres, "host=db user=x").contains("DATABASE"));
    assert!(dsn_refused(Backend::MySql, "app@tcp(db)/").contains("DATABASE"));
}

#[test]
fn libpq_strings_follow_libpqs_rules() {
    for (text, expected) in [
        ("host=db dbname=x", "postgres://db:5432/x"),
        ("  host = db   dbname= x port =5433 ", "postgres://db:5433/x"),
        (r"host=db dbname=x user='a b' password='it\'s'", "postgres://a%20b:it%27s@db:5432/x"),
        (r"host=db dbname=x user=a\ b password=c\\d", "postgres://a%20b:c%5Cd@db:5432/x"),
        ("host=db dbname=x password=''", "postgres://:@db:5432/x"),
        (r"dbname='a'host='db'", "postgres://db:5432/a"),
        ("dbname=x user=a=b host=db", "postgres://a%3Db@db:5432/x"),
        ("host=db dbname=x TimeZone=Asia/Shanghai sslmode=verify-full", "postgres://db:5432/x?sslmode=verify-full"),
        ("host=::1 dbname=x", "postgres://localhost:5432/x?host=::1"),
        ("host=db hostaddr=10.0.0.1 dbname=x", "postgres://db:5432/x?hostaddr=10.0.0.1"),
    ] {
        let url = dsn(Backend::Postgres, text);
        assert_eq!(url.expose(), expected, "{text}");
        PgConnectOptions::from_str(url.expose()).unwrap();
    }
    for text in [
        "host",
        "host db",
        "host=db dbname=x password='hunter2",
        "host=db dbname=x password=hunter2 hunter2",
        "=hunter2",
        "host=db dbname=x service=hunter2",
        "host=db dbname=x target_session_attrs=read-write",
        "host=a,b dbname=x",
        "host=db dbname=x port=hunter2",
        "host=db dbname=x port=0",
        "host=db dbname=x connect_timeout=hunter2",
        "host=db dbname=x hostaddr=hunter2",
    ] {
        assert!(!dsn_refused(Backend::Postgres, text).contains("hunter2"), "{text}");
    }
}

#[test]
fn postgres_is_reached_through_a_socket() {
    for socket in [
        dsn(Backend::Postgres, "host=/run/postgresql user=app dbname=x port=5433"),
        url("postgres://app@localhost:5433/x?host=/run/postgresql"),
        url("postgres://app@%2Frun%2Fpostgresql:5433/x"),
    ] {
        assert_eq!(socket.expose(), "postgres://app@localhost:5433/x?host=/run/postgresql");
        let options = PgConnectOptions::from_str(socket.expose()).unwrap();
        assert_eq!(options.get_socket().map(|path| path.as_path()), Some(Path::new("/run/postgresql")));
        assert_eq!((options.get_port(), options.get_username(), options.get_database()), (5433, "app", Some("x")));
    }
    assert_eq!(
        url("postgresql://app:pw@/x?host=/run/postgresql").expose(),
        "postgres://app:pw@localhost:5432/x?host=/run/postgresql"
    );
    assert_eq!(url("postgres:///x?host=/tmp").expose(), "postgres://localhost:5432/x?host=/tmp");
}

#[test]
fn an_ipv6_host_reaches_the_driver_without_its_brackets() {
    let options = PgConnectOptions::from_str(url("postgres://app@[::1]/x").expose()).unwrap();
    assert_eq!(options.get_host(), "::1");
    assert_eq!(url("mysql://[::1]:3307/x").expose(), "mysql://[::1]:3307/x");
}

#[test]
fn gos_mysql_form_is_read() {
    for (text, expected) in [
        ("app:pw@tcp(db:3307)/x", "mysql://app:pw@db:3307/x"),
        ("app:pw@tcp(db)/x?charset=utf8mb4&parseTime=True&loc=Local", "mysql://app:pw@db:3306/x"),
        ("app:p@ss/w:rd@tcp(db)/x", "mysql://app:p%40ss%2Fw%3Ard@db:3306/x"),
        ("app@/x", "mysql://app@127.0.0.1:3306/x"),
        ("/x", "mysql://127.0.0.1:3306/x"),
        ("mysql:pw@tcp(db)/x", "mysql://mysql:pw@db:3306/x"),
        ("app@tcp([::1]:3307)/x", "mysql://app@[::1]:3307/x"),
        ("app:pw@unix(/run/mysqld.sock)/x", "mysql://app:pw@localhost:3306/x?socket=/run/mysqld.sock"),
        ("app@tcp(db)/x?tls=skip-verify&timeout=5s", "mysql://app@db:3306/x?ssl-mode=required"),
        ("app@tcp(db)/x?collation=utf8mb4_bin", "mysql://app@db:3306/x?collation=utf8mb4_bin"),
    ] {
        let url = dsn(Backend::MySql, text);
        assert_eq!(url.expose(), expected, "{text}");
        MySqlConnectOptions::from_str(url.expose()).unwrap();
    }
    assert_eq!(dsn(Backend::MySql, "app@tcp(db)/x?timeout=5s").connect_timeout().unwrap().as_secs(), 5);
    for text in
        ["hunter2", "app:hunter2@tcp(db/x", "app:hunter2@udp(db)/x", "app:hunter2@tcp(db:x)/x", "a:hunter2@b/x?tls=x"]
    {
        assert!(!dsn_refused(Backend::MySql, text).contains("hunter2"), "{text}");
    }
}

#[test]
fn sqlite_is_a_file_or_memory() {
    for (text, canonical, path) in [
        ("sqlite://data/x.db", "sqlite://data/x.db", Some("data/x.db")),
        ("sqlite:data/x.db", "sqlite://data/x.db", Some("data/x.db")),
        ("sqlite:./data/x.db", "sqlite://data/x.db", Some("data/x.db")),
        ("sqlite:/abs/x.db", "sqlite:///abs/x.db", Some("/abs/x.db")),
        ("sqlite:///abs/x.db", "sqlite:///abs/x.db", Some("/abs/x.db")),
        ("sqlite:a%20b%3F.db", "sqlite://a%20b%3F.db", Some("a b?.db")),
        ("sqlite://x.db?mode=rwc", "sqlite://x.db?mode=rwc", Some("x.db")),
        ("sqlite::memory:", "sqlite::memory:", None),
        ("sqlite://:memory:", "sqlite::memory:", None),
        ("sqlite://?mode=memory&cache=shared", "sqlite::memory:?cache=shared", None),
    ] {
        let url = url(text);
        assert_eq!(url.backend(), Backend::Sqlite);
        assert_eq!(url.expose(), canonical);
        assert_eq!(url.sqlite_path(), path.map(Path::new));
        assert_eq!(url.is_in_memory(), path.is_none());
        let options = SqliteConnectOptions::from_str(url.expose()).unwrap();
        if let Some(path) = path {
            assert_eq!(options.get_filename(), Path::new(path));
        }
    }
    assert_eq!(dsn(Backend::Sqlite, "a%20b.db").sqlite_path(), Some(Path::new("a%20b.db")));
    assert_eq!(DatabaseUrl::sqlite_file("/tmp/a#b?.db").unwrap().sqlite_path(), Some(Path::new("/tmp/a#b?.db")));
    assert!(dsn(Backend::Sqlite, ":memory:").is_in_memory());
    for text in ["sqlite:", "sqlite://", "sqlite:data/", "sqlite:a#b", "sqlite:a%00b", "sqlite:x?mode=rx"] {
        refused(text);
    }
    for text in ["file:x.db?mode=ro", "x.db?_journal=WAL", "http://x"] {
        dsn_refused(Backend::Sqlite, text);
    }
}

#[test]
fn redis_is_a_server_a_cluster_or_sentinels() {
    let redis = |text: &str| text.parse::<RedisUrl>().unwrap_or_else(|error| panic!("{text}: {error}"));
    let single = redis("rediss://app:p%40ss@cache:7000/2");
    assert_eq!((single.topology(), single.is_tls(), single.database()), (&RedisTopology::Single, true, 2));
    assert_eq!((single.user(), single.password().unwrap().expose()), (Some("app"), "p@ss"));
    assert_eq!(single.to_string(), "rediss://app:***@cache:7000/2");
    assert_eq!(single.node_urls().next().unwrap().expose(), "rediss://app:p%40ss@cache:7000/2");

    let cluster = redis("redis-cluster://:hunter2@n1:7000,n2");
    assert_eq!(cluster.topology(), &RedisTopology::Cluster);
    assert_eq!(cluster.addresses().collect::<Vec<_>>(), [("n1".to_owned(), 7000), ("n2".to_owned(), 6379)]);
    assert_eq!(cluster.to_string(), "redis-cluster://:***@n1:7000,n2:6379/0");
    assert!(!format!("{cluster:?}").contains("hunter2"));

    let sentinel = redis("redis-sentinel://:hunter2@s1,s2:26380/1?master=mymaster");
    assert_eq!(sentinel.topology(), &RedisTopology::Sentinel { master: "mymaster".to_owned() });
    assert_eq!(sentinel.addresses().collect::<Vec<_>>(), [("s1".to_owned(), 26379), ("s2".to_owned(), 26380)]);
    assert_eq!(sentinel.to_string().parse::<RedisUrl>().unwrap().to_string(), sentinel.to_string());

    let socket = redis("unix:///run/redis.sock?db=1&pass=hunter2");
    assert_eq!(socket.to_string(), "unix:///run/redis.sock?db=1&pass=***");
    assert_eq!(socket.node_urls().next().unwrap().expose(), "unix:///run/redis.sock?db=1&pass=hunter2");

    for text in [
        "redis://",
        "redis://:hunter2@",
        "redis://:hunter2@a,b",
        "redis://:hun/ter2@a",
        "redis://:hunter2@a/x",
        "redis-cluster://:hunter2@a/1",
        "redis-sentinel://:hunter2@a",
        "http://:hunter2@a",
        "hunter2",
        "unix://hunter2",
    ] {
        let message = text.parse::<RedisUrl>().map_or_else(|e| e.to_string(), |url| panic!("accepted as {url}"));
        assert!(!message.contains("ter2"), "{message}");
    }
}
