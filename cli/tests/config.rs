//! The real command, run in a directory of its own with an environment of its own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

struct Place(TempDir);

impl Place {
    fn new(yaml: Option<&str>) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        if let Some(yaml) = yaml {
            place.write("stanchion.yaml", yaml);
        }
        place
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stanchion"));
        command.args(args).current_dir(self.path()).env_clear().stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        Run::of(self.command(args).output().unwrap())
    }
}

struct Run {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

const SECRETS: &str = "
database: { url: postgres://app:hunter2@db/shop, replicas: [postgres://app:hunter2@r1/shop] }
databases: { ordering: { url: mysql://app:hunter2@orders/shop } }
cache: { redis: redis://:hunter2@cache }
distributed_lock: { enabled: true, redis: { addr: locks, password: hunter2 } }
";

#[test]
fn check_without_a_file_says_sqlite() {
    let run = Place::new(None).run(&["config", "check"]);
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""));
    assert!(run.out.contains("sqlite://data/stanchion.db") && run.out.contains("the defaults alone"), "{}", run.out);
}

#[test]
fn check_says_what_was_read_and_hides_passwords() {
    let place = Place::new(Some(SECRETS));
    let run = place.run(&["config", "check"]);
    assert_eq!((run.status, run.err.as_str()), (Some(0), ""));
    for part in ["stanchion.yaml", "postgres://app:***@db:5432/shop", "mysql://app:***@orders:3306/shop", "ordering"] {
        assert!(run.out.contains(part), "{part} is not in {}", run.out);
    }
    assert!(!run.out.contains("hunter2"), "{}", run.out);

    let run = place.run(&["config", "check", "--json"]);
    let value: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(value["databases"][0]["url"], "postgres://app:***@db:5432/shop");
    assert_eq!(value["databases"][1]["domains"][0], "ordering");
    assert!(!run.out.contains("hunter2"), "{}", run.out);
}

#[test]
fn show_prints_a_configuration_with_hidden_passwords() {
    let place = Place::new(Some(SECRETS));
    let yaml = place.run(&["config", "show"]);
    assert_eq!((yaml.status, yaml.err.as_str()), (Some(0), ""));
    assert!(!yaml.out.contains("hunter2") && yaml.out.contains("***"), "{}", yaml.out);
    // What is shown is a configuration again, but for the passwords.
    place.write("again.yaml", &yaml.out);
    let again = place.run(&["--config", "again.yaml", "config", "show"]);
    assert_eq!((again.status, again.out), (Some(0), yaml.out));

    let json = place.run(&["--json", "config", "show"]);
    let value: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(value["distributed_lock"]["redis"]["password"], "***");
    assert_eq!(value["database"]["statement_timeout"], "30s");
    assert!(!json.out.contains("hunter2"), "{}", json.out);
}

#[test]
fn an_invalid_file_fails_with_every_problem_and_a_hint() {
    let place = Place::new(Some("databse: {}\ndatabase: {max_open_conns: 0}\n"));
    for action in ["check", "show"] {
        let run = place.run(&["config", action]);
        assert_eq!((run.status, run.out.as_str()), (Some(1), ""));
        assert!(run.err.starts_with("error: invalid configuration, 2 problems:\n"), "{}", run.err);
        for part in ["databse (stanchion.yaml:1:1)", "did you mean database?", "database.max_open_conns", "\nhint: "] {
            assert!(run.err.contains(part), "{part} is not in {}", run.err);
        }
    }
    let run = place.run(&["config", "check", "--json"]);
    assert_eq!((run.status, run.out.as_str()), (Some(1), ""));
    let value: Value = serde_json::from_str(&run.err).unwrap();
    assert_eq!(value["error"]["problems"].as_array().unwrap().len(), 2);
    assert_eq!(value["error"]["problems"][0]["keys"][0], "databse");
    assert!(value["error"]["hint"].is_string());
}

#[test]
fn a_named_file_must_exist() {
    let run = Place::new(None).run(&["config", "check", "--config", "no.yaml"]);
    assert_eq!(run.status, Some(1));
    assert!(run.err.starts_with("error: the configuration file no.yaml does not exist"), "{}", run.err);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let run = Place::new(None).run(&["config", "check", "--config", "."]);
    assert_eq!(run.status, Some(1));
    assert!(run.err.contains("\n  caused by: "), "{}", run.err);
}

#[test]
fn the_environment_is_read() {
    let place = Place::new(None);
    let output = place
        .command(&["config", "check"])
        .env("DATABASE_URL", "mysql://app:hunter2@db/shop")
        .env("STANCHION__DATABASE__MAX_OPEN_CONNS", "17")
        .output()
        .unwrap();
    let run = Run::of(output);
    assert_eq!(run.status, Some(0));
    for part in ["DATABASE_URL, STANCHION__DATABASE__MAX_OPEN_CONNS", "mysql://app:***@db:3306/shop", "17"] {
        assert!(run.out.contains(part), "{part} is not in {}", run.out);
    }
}

#[test]
fn bad_usage_is_status_2() {
    let place = Place::new(None);
    for args in [&["nonsense"][..], &["config"], &["config", "check", "--nonsense"], &["completions", "nonsense"], &[]]
    {
        let run = place.run(args);
        assert_eq!((run.status, run.out.as_str()), (Some(2), ""), "{args:?}");
        assert!(!run.err.is_empty());
    }
    let run = place.run(&["--json", "nonsense"]);
    assert_eq!(run.status, Some(2));
    let value: Value = serde_json::from_str(&run.err).unwrap();
    assert!(value["error"]["message"].as_str().unwrap().contains("nonsense"));
}

#[test]
fn a_url_in_the_wrong_place_is_not_repeated() {
    let place = Place::new(None);
    let url = "postgres://app:hunter2@db/shop";
    let option = format!("--nonsense={url}");
    for args in [&[url][..], &["config", url], &["config", "check", url], &["completions", url], &["config", &option]] {
        for json in [&[][..], &["--json"]] {
            let run = place.run(&[args, json].concat());
            assert_eq!(run.status, Some(2));
            assert!(!run.err.contains("hunter2"), "{}", run.err);
        }
    }
    let run = place.run(&["config", "check", "--config", url]);
    assert!(run.status == Some(2) && !run.err.contains("hunter2"), "{}", run.err);
}

#[test]
fn help_and_version_are_status_0() {
    let place = Place::new(None);
    for args in [&["--help"][..], &["--version"], &["config", "--help"], &["help", "config", "check"]] {
        let run = place.run(args);
        assert_eq!((run.status, run.err.as_str()), (Some(0), ""), "{args:?}");
    }
    assert!(place.run(&["--help"]).out.contains("Examples:"));
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = Place::new(None).run(&["completions", shell]);
        assert_eq!(run.status, Some(0));
        assert!(run.out.contains("stanchion"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new(None);
    for args in [&["completions", "bash"][..], &["config", "show"], &["config", "check", "--json"], &["--help"]] {
        let mut child = place.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{args:?}");
        assert_eq!(err, "", "{args:?}");
    }
}
