//! Every connection is set up the same, the reader cannot write, and what cannot be reached says so in time.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use sea_orm::{ConnectionTrait, DbBackend, Statement, StreamTrait, TransactionTrait};
use stanchion::config::{Database, DatabaseUrl};
use stanchion::db::{ConnectError, DatabaseError, Db, Kind, Options};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::{Backend, TestDatabase, eventually};

use super::{open, settings};

on_every_backend! { migrated:
    every_connection_is_set_up,
    the_reader_cannot_write,
    a_statement_that_takes_too_long_is_ended,
    a_pool_without_a_free_connection_says_so_in_time,
    no_more_connections_stay_idle_than_configured,
    connections_go_back_to_the_drivers_pool_also_when_nobody_wants_them,
    whatever_wants_a_connection_gets_one_while_others_come_and_go,
    a_database_can_be_dropped_without_a_runtime,
    what_is_dropped_closes_its_connections,
    a_refused_or_missing_database_is_named_without_its_password,
}

async fn all(db: &impl ConnectionTrait, sql: &str) -> Vec<String> {
    let backend = db.get_database_backend();
    let rows = db.query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
    let columns = rows[0].column_names().len();
    (0..columns).map(|at| rows[0].try_get_by::<String, _>(at).unwrap()).collect()
}

async fn every_connection_is_set_up(database: TestDatabase) {
    let db = open(&database).await;
    let (sql, expected) = match db.backend() {
        DbBackend::Postgres => (
            "SELECT current_setting('TimeZone'), current_setting('transaction_isolation'), \
             current_setting('statement_timeout')",
            vec!["UTC", "read committed", "30s"],
        ),
        DbBackend::MySql => (
            "SELECT @@time_zone, @@tx_isolation, CAST(@@max_statement_time AS CHAR), \
             CAST(@@sql_mode LIKE '%STRICT_ALL_TABLES%' AS CHAR), @@character_set_client",
            vec!["+00:00", "READ-COMMITTED", "30.000000", "1", "utf8mb4"],
        ),
        _ => (
            "SELECT CAST(f.foreign_keys AS text), j.journal_mode, CAST('10' > '9' COLLATE decimal AS text) \
             FROM pragma_foreign_keys f, pragma_journal_mode j",
            vec!["1", "wal", "1"],
        ),
    };
    // Held at the same time, they are different connections; SQLite has one that writes.
    let connections = if database.backend() == Backend::Sqlite { 1 } else { 4 };
    for (pool, count) in [(db.writer(), connections), (db.reader(), 4)] {
        let held = join_all((0..count).map(|_| async { pool.begin().await.unwrap() })).await;
        for tx in &held {
            assert_eq!(all(tx, sql).await, expected);
        }
    }
}

async fn the_reader_cannot_write(database: TestDatabase) {
    let db = open(&database).await;
    for sql in ["DELETE FROM users", "INSERT INTO warehouses (id) VALUES (NULL)", "CREATE TABLE t (id INTEGER)"] {
        let error = DatabaseError::from(db.reader().execute_unprepared(sql).await.unwrap_err());
        assert_eq!(error.kind(), Kind::ReadOnly, "{sql}: {error:?}");
    }
}

async fn a_statement_that_takes_too_long_is_ended(database: TestDatabase) {
    // SQLite runs in this process and has no server that could end a statement.
    let sql = match database.backend() {
        Backend::Sqlite => return,
        Backend::Postgres => "SELECT pg_sleep(30)",
        Backend::MariaDb => "SELECT COUNT(*) FROM seq_1_to_1000000000 WHERE MD5(seq) = 'none'",
    };
    let mut settings = settings(&database);
    settings.statement_timeout = Some(Duration::from_millis(200));
    let db = Db::connect("test", &settings, Options::default()).await.unwrap();
    let error = DatabaseError::from(db.reader().execute_unprepared(sql).await.unwrap_err());
    assert_eq!(error.kind(), Kind::StatementTimeout, "{error:?}");
    db.reader().execute_unprepared("SELECT 1").await.unwrap();
}

async fn a_pool_without_a_free_connection_says_so_in_time(database: TestDatabase) {
    let mut settings = settings(&database);
    settings.max_open_conns = 1;
    settings.acquire_timeout = Duration::from_millis(200);
    let db = Db::connect("test", &settings, Options::default()).await.unwrap();
    let held = db.writer().begin().await.unwrap();
    let started = Instant::now();
    let error = DatabaseError::from(db.writer().execute_unprepared("SELECT 1").await.unwrap_err());
    assert_eq!(error.kind(), Kind::PoolExhausted);
    assert!(started.elapsed() >= Duration::from_millis(200));
    drop(held);
    db.writer().execute_unprepared("SELECT 1").await.unwrap();
}

async fn no_more_connections_stay_idle_than_configured(database: TestDatabase) {
    let mut settings = settings(&database);
    settings.max_idle_conns = 2;
    let db = Db::connect("test", &settings, Options::default()).await.unwrap();
    let held = join_all((0..4).map(|_| async { db.reader().begin().await.unwrap() })).await;
    // One by one: what comes back at the same instant is not seen as idle yet.
    for (tx, expected) in held.into_iter().zip([(4, 1), (4, 2), (3, 2), (2, 2)]) {
        drop(tx);
        eventually("a connection is idle or closed", async || db.reader().size() == expected).await;
    }
}

async fn connections_go_back_to_the_drivers_pool_also_when_nobody_wants_them(database: TestDatabase) {
    let db = open(&database).await;
    join_all((0..4).map(|_| db.reader().execute_unprepared("SELECT 1"))).await;
    let idle_in_the_driver = || match db.backend() {
        DbBackend::Sqlite => db.reader().connection().get_sqlite_connection_pool().num_idle(),
        DbBackend::Postgres => db.reader().connection().get_postgres_connection_pool().num_idle(),
        _ => db.reader().connection().get_mysql_connection_pool().num_idle(),
    };
    assert!(db.reader().size().1 > idle_in_the_driver(), "none has stayed out");
    eventually("all are back", async || db.reader().size().1 == idle_in_the_driver()).await;
}

async fn whatever_wants_a_connection_gets_one_while_others_come_and_go(database: TestDatabase) {
    let mut settings = settings(&database);
    settings.max_open_conns = 3;
    let db = Db::connect("test", &settings, Options::default()).await.unwrap();
    let callers = (0..24).map(|caller| {
        let pool = db.reader().clone();
        let statement = Statement::from_string(db.backend(), "SELECT 1");
        tokio::spawn(async move {
            for _ in 0..50 {
                match caller % 4 {
                    0 => drop(pool.begin().await.unwrap()),
                    1 => drop(pool.stream_raw(statement.clone()).await.unwrap().next().await),
                    2 => pool.connection().ping().await.unwrap(),
                    _ => drop(pool.query_one_raw(statement.clone()).await.unwrap()),
                }
            }
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
}

async fn a_database_can_be_dropped_without_a_runtime(database: TestDatabase) {
    let work = move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let db = runtime.block_on(async {
            let db = open(&database).await;
            db.reader().execute_unprepared("SELECT 1").await.unwrap();
            db
        });
        drop(runtime);
        drop(db);
        database
    };
    std::thread::spawn(work).join().unwrap();
}

async fn a_refused_or_missing_database_is_named_without_its_password(database: TestDatabase) {
    let whole = |error: &ConnectError| {
        let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        chain.map(|error| format!("{error}\n{error:?}")).collect::<String>()
    };
    let connect = async |url: &str| {
        let mut settings = Database::new(url.parse::<DatabaseUrl>().unwrap());
        settings.connect_timeout = Duration::from_millis(500);
        Db::connect("test", &settings, Options::default()).await.unwrap_err()
    };
    if database.backend() == Backend::Sqlite {
        let folder = std::env::temp_dir().join(format!("stanchion-missing-{}", std::process::id()));
        let error = connect(&format!("sqlite://{}/none.db", folder.display())).await;
        assert!(matches!(error, ConnectError::Missing { .. }), "{error}");
        let file = std::env::temp_dir().join(format!("stanchion-text-{}", std::process::id()));
        std::fs::write(&file, "this is not a database, however long one looks at it. ".repeat(100)).unwrap();
        let error = connect(&format!("sqlite://{}", file.display())).await;
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(error, ConnectError::NotADatabase { .. }), "{}", whole(&error));
        return;
    }
    let url = url::Url::parse(database.url()).unwrap();
    let altered = |change: &dyn Fn(&mut url::Url)| {
        let mut url = url.clone();
        change(&mut url);
        url.set_password(Some("hunter2")).unwrap();
        url.to_string()
    };
    let error = connect(&altered(&|_| ())).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{}", whole(&error));
    assert!(!whole(&error).contains("hunter2"), "{}", whole(&error));
    // Port 1 on loopback has no server.
    let error = connect(&altered(&|url| url.set_port(Some(1)).unwrap())).await;
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{}", whole(&error));
    assert!(!whole(&error).contains("hunter2"), "{}", whole(&error));
    let mut missing = url.clone();
    missing.set_path("no_such_database");
    let error = connect(missing.as_str()).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{}", whole(&error));
    let password = url.password().unwrap();
    assert!(!whole(&error).contains(password), "{}", whole(&error));
}

async fn what_is_dropped_closes_its_connections(database: TestDatabase) {
    let path = settings(&database).url.sqlite_path().map(std::path::Path::to_path_buf);
    let observer = if path.is_some() { None } else { Some(open(&database).await) };
    let others = async || match (&observer, &path) {
        // The observer asks on its own connection, which it counts too.
        (Some(observer), _) => {
            let sql = match observer.backend() {
                DbBackend::Postgres => {
                    "SELECT CAST(count(*) - 1 AS text) FROM pg_stat_activity WHERE datname = current_database()"
                }
                _ => "SELECT CAST(count(*) - 1 AS CHAR) FROM information_schema.processlist WHERE db = database()",
            };
            all(observer.reader(), sql).await[0].parse().unwrap()
        }
        (None, Some(path)) => {
            let open = std::fs::read_dir("/proc/self/fd").unwrap();
            open.filter(|link| {
                link.as_ref().is_ok_and(|link| std::fs::read_link(link.path()).is_ok_and(|to| to == *path))
            })
            .count()
        }
        (None, None) => unreachable!("every database is a file or on a server"),
    };
    let db = open(&database).await;
    for pool in [db.writer(), db.reader()] {
        assert_eq!(all(pool, "SELECT '1'").await, ["1"]);
    }
    assert!(others().await >= 2);
    drop(db);
    eventually("the connections are closed", async || others().await == 0).await;
}
