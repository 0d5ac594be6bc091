//! The examples do what they say. `cargo test` builds them beside this test.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::Command;

/// What an example prints; in the process alone, whatever the environment says.
fn output(example: &str) -> String {
    let mut path = std::env::current_exe().unwrap();
    // From .../debug/deps/examples-... to .../debug/examples.
    path.pop();
    path.pop();
    let path = path.join("examples").join(example);
    assert!(path.exists(), "there is no {}: cargo build -p stanchion --examples makes it", path.display());
    let run = Command::new(path).env_remove("REDIS_URL").output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

#[test]
fn a_row_is_read_through_the_cache() {
    let lines = "second level: none\n  loaded from the database\nChengdu\nChengdu\nChengdu\n  loaded from the database\nKunming\n";
    assert_eq!(output("read_through_cache"), lines);
}

#[test]
fn a_job_is_done_once_and_late_writes_are_refused() {
    let lines: Vec<String> = output("fenced_job").lines().map(str::to_owned).collect();
    let jobs = ["node-1: reported", "node-2: has nothing left to do", "node-3: has nothing left to do"];
    assert_eq!(lines[..3], jobs);
    assert!(lines[3].starts_with("late write: ") && lines[3].ends_with("is stale"), "{lines:?}");
}

#[test]
fn one_candidate_leads_at_a_time() {
    let output = output("leader");
    let mut leader = None;
    for line in output.lines() {
        let (name, what) = line.trim_start().split_once(' ').unwrap();
        match what {
            "leads" => assert_eq!(leader.replace(name), None, "{output}"),
            "resigns" => assert_eq!(leader.take(), Some(name), "{output}"),
            _ => assert_eq!(leader, Some(name), "{output}"),
        }
    }
    assert!(output.contains("leads"), "{output}");
}
