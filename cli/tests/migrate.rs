//! `stanchion migrate`, run as it is on SQLite.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use command::{Place, Run};
use serde_json::Value;

/// How many are applied and pending, by `status`.
fn status(place: &Place) -> (usize, usize) {
    let report = place.run(&["migrate", "status", "--json"]).json();
    let count = |key: &str| report[0][key].as_array().unwrap().len();
    (count("applied"), count("pending"))
}

fn changed(run: &Run) -> usize {
    run.json()[0]["changed"].as_array().unwrap().len()
}

#[test]
fn up_applies_what_is_missing_and_down_undoes_the_last() {
    let place = Place::new();
    let (none, all) = status(&place);
    assert!(none == 0 && all > 0);
    assert!(!place.path().join("data").exists(), "asking creates nothing");

    let run = place.run(&["migrate", "up"]);
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""));
    assert!(run.out.starts_with(&format!("default (sqlite://data/stanchion.db): {all} applied; ")), "{}", run.out);
    assert_eq!(status(&place), (all, 0));
    assert_eq!(changed(&place.run(&["migrate", "up", "--json"])), 0);

    assert_eq!(changed(&place.run(&["migrate", "down", "--json"])), 1);
    assert_eq!(status(&place), (all - 1, 1));
    assert_eq!(changed(&place.run(&["migrate", "down", "-n", "3", "--json"])), 3);
    assert_eq!(status(&place), (all - 4, 4));
    assert_eq!(changed(&place.run(&["migrate", "up", "--json"])), 4);
    assert_eq!(changed(&place.run(&["migrate", "down", "--all", "--json"])), all);
    assert_eq!(status(&place), (0, all));

    let text = place.run(&["migrate", "status"]).out;
    assert_eq!(text.lines().filter(|line| line.ends_with("pending")).count(), all, "{text}");
}

#[test]
fn what_destroys_data_is_done_only_when_it_is_meant() {
    let place = Place::migrated();
    let (all, _) = status(&place);
    place.write("trades.csv", "id,symbol,side,price,quantity,time\n1,XRPETH,buy,1,1,1570752011620\n");
    let new = || place.run(&["import", "trades", "trades.csv", "--json"]).json()["new"].clone();
    assert_eq!(new(), 1);
    for action in ["fresh", "refresh"] {
        let run = place.run(&["migrate", action]);
        assert_eq!((run.status, run.out.as_str()), (Some(2), ""));
        assert!(run.err.contains("destroy all data in default (sqlite://data/stanchion.db)"), "{}", run.err);
        assert!(run.err.contains("--yes"), "{}", run.err);
        assert_eq!(new(), 0, "the trade is still there");

        let run = place.run(&["migrate", action, "--yes", "--json"]);
        assert_eq!((run.status, changed(&run)), (Some(0), all));
        assert_eq!(new(), 1, "the trade is gone");
    }
}

#[test]
fn one_database_of_several_can_be_chosen() {
    let place = Place::new();
    place.write(
        "stanchion.yaml",
        "database: { url: 'sqlite://one.db' }\ndatabases: { ordering: { url: 'sqlite://two.db' } }\n",
    );
    let run = place.run(&["migrate", "up", "--database", "ordering"]);
    assert_eq!(run.status, Some(0), "{run:?}");
    assert!(place.path().join("two.db").exists() && !place.path().join("one.db").exists());

    let run = place.run(&["migrate", "up", "--json"]);
    let names: Vec<Value> = run.json().as_array().unwrap().iter().map(|row| row["database"].clone()).collect();
    assert_eq!(names, ["default", "ordering"]);

    let run = place.run(&["migrate", "status", "--database", "catalog"]);
    assert_eq!(run.status, Some(1));
    assert_eq!(run.err, "error: there is no database \"catalog\"; there is default, ordering\n");
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let place = Place::new();
    let mut command = place.command(&["migrate", "up"]);
    let run = Run::of(command.env("DATABASE_URL", "postgres://app:hunter2@127.0.0.1:1/shop").output().unwrap());
    assert_eq!((run.status, run.out.as_str()), (Some(1), ""));
    assert!(run.err.contains("postgres://app:***@127.0.0.1:1/shop"), "{}", run.err);
    assert!(run.err.contains("cannot connect to 127.0.0.1:1"), "{}", run.err);
    assert!(!run.err.contains("hunter2"), "{}", run.err);
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let place = Place::new();
    std::fs::create_dir(place.path().join("data")).unwrap();
    place.write(
        "data/stanchion.db",
        "this is not a database, but a text that is long enough to be looked at".repeat(20),
    );
    for action in ["up", "down", "status"] {
        let run = place.run(&["migrate", action]);
        assert_eq!((run.status, run.out.as_str()), (Some(1), ""), "{run:?}");
        assert!(run.err.contains("the database `default` (sqlite://data/stanchion.db)"), "{}", run.err);
    }
}

#[test]
fn bad_usage_is_status_2() {
    let place = Place::new();
    for args in [&["migrate"][..], &["migrate", "down", "-n", "0"], &["migrate", "down", "-n", "1", "--all"]] {
        assert_eq!(place.run(args).status, Some(2), "{args:?}");
    }
}
