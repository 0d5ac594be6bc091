//! `stanchion locks`, run as it is on SQLite.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use std::net::TcpListener;
use std::time::Duration;

use command::Place;
use stanchion::App;
use stanchion::config::Config;
use stanchion::lock::LockOptions;

const TABLE: &str = "distributed_lock: { enabled: true, type: table }\ninstance: { id: desk-7 }\n";

#[tokio::test]
async fn what_is_held_is_listed_with_its_holder() {
    let place = Place::migrated();
    place.write("stanchion.yaml", TABLE);
    let run = place.run(&["locks"]);
    assert_eq!((run.status, run.out.as_str()), (Some(0), "No lock is held (table).\n"), "{run:?}");

    let url = format!("sqlite://{}", place.path().join("data/stanchion.db").display());
    let yaml = format!("database: {{ url: '{url}' }}\n{TABLE}");
    place.write("app.yaml", yaml);
    let config = Config::builder().file(place.path().join("app.yaml")).load().unwrap();
    let app = App::start(config).await.unwrap();
    let options = || LockOptions::ttl(Duration::from_secs(60));
    let _one = app.locks().acquire("order:ETHUSDT:1850", options()).await.unwrap();
    let _other = app.locks().acquire("a", options()).await.unwrap();

    let report = place.run(&["locks", "--json"]).json();
    assert_eq!((report["store"].as_str(), report["listed"].as_bool()), (Some("table"), Some(true)));
    let names: Vec<&str> =
        report["locks"].as_array().unwrap().iter().map(|lock| lock["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a", "order:ETHUSDT:1850"]);
    for lock in report["locks"].as_array().unwrap() {
        assert_eq!(lock["holder"], "desk-7");
        let left = lock["remaining_ms"].as_u64().unwrap();
        assert!((1..=60_000).contains(&left), "{left}");
    }
    let report = place.run(&["locks", "--json", "--limit", "1"]).json();
    assert_eq!(report["locks"].as_array().unwrap().len(), 1);
    let text = place.run(&["locks"]).out;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains("NAME") && lines[0].contains("REMAINING"), "{text}");
    assert!(lines[2].contains("order:ETHUSDT:1850") && lines[2].contains("desk-7"), "{text}");
    app.close().await;
}

#[test]
fn locks_of_processes_cannot_be_listed() {
    let place = Place::migrated();
    let run = place.run(&["locks"]);
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""));
    assert!(run.out.contains("cannot be listed from here"), "{}", run.out);
    let report = place.run(&["locks", "--json"]).json();
    assert_eq!((report["store"].as_str(), report["listed"].as_bool()), (Some("in_process"), Some(false)));
}

#[test]
fn a_redis_that_cannot_be_reached_is_named_once() {
    // No database is needed to ask it.
    let place = Place::new();
    // Nobody listens on a port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let redis = format!("redis: {{ addr: '127.0.0.1:{port}' }}");
    place.write("stanchion.yaml", format!("distributed_lock: {{ enabled: true, type: redis, {redis} }}\n"));
    let what = format!("Redis at redis://127.0.0.1:{port}/0 cannot be reached");
    let run = place.run(&["locks"]);
    assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{run:?}");
    let lines: Vec<&str> = run.err.lines().collect();
    assert_eq!((lines.len(), lines[0]), (2, format!("error: {what}").as_str()), "{}", run.err);
    assert!(lines[1].starts_with("  caused by: Connection refused"), "{}", run.err);
    let error: serde_json::Value = serde_json::from_str(&place.run(&["locks", "--json"]).err).unwrap();
    assert_eq!(error["error"]["message"], what);
    assert_eq!(error["error"]["causes"].as_array().unwrap().len(), 1, "{error}");
}

#[test]
fn a_limit_of_nothing_is_refused_and_help_shows_an_example() {
    let place = Place::new();
    assert_eq!(place.run(&["locks", "--limit", "0"]).status, Some(2));
    assert!(place.run(&["locks", "--help"]).out.contains("stanchion locks --limit 20 --json"));
}
