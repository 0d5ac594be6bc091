//! The command `testbed`: what it gives its command, what it gives back, and what it leaves behind, which is nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stanchion_tests::testbed::{Kind, available, eventually, is_running};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A testbed that starts every server that is installed, and keeps them under `home`.
fn testbed(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_testbed"));
    command.env("TMPDIR", home).env_remove("STANCHION_TEST_REQUIRE").stdin(Stdio::null());
    for kind in Kind::ALL {
        command.env_remove(kind.variable());
    }
    command
}

/// A directory that the servers' own accounts can go through.
fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o711)).unwrap();
    home
}

/// Its result with no server to start: every variable is set.
async fn without_servers(arguments: &[&str]) -> Output {
    let home = home();
    let mut command = testbed(home.path());
    for kind in Kind::ALL {
        command.env(kind.variable(), "scheme://elsewhere");
    }
    let output = command.args(arguments).output().await.unwrap();
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    output
}

#[tokio::test]
async fn the_command_s_status_is_passed_on() {
    assert_eq!(without_servers(&["--", "sh", "-c", "exit 7"]).await.status.code(), Some(7));
    assert_eq!(without_servers(&["true"]).await.status.code(), Some(0));
    assert_eq!(without_servers(&["--", "sh", "-c", "kill -TERM $$"]).await.status.code(), Some(128 + 15));
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_named() {
    let output = without_servers(&["--", "no-such-command"]).await;
    assert_eq!(output.status.code(), Some(127));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-command"));
}

#[tokio::test]
async fn bad_usage_has_a_status_of_its_own() {
    assert_eq!(without_servers(&["--only", "oracle", "true"]).await.status.code(), Some(2));
    assert_eq!(without_servers(&[]).await.status.code(), Some(2));
}

#[tokio::test]
async fn a_server_that_is_named_already_is_used() {
    let output = without_servers(&["--", "printenv", "STANCHION_TEST_REDIS_URL"]).await;
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "scheme://elsewhere");
}

#[tokio::test]
async fn only_the_servers_asked_for_are_started() {
    if available(Kind::Redis.start().await).is_none() {
        return;
    }
    let home = home();
    let output = testbed(home.path()).args(["--only", "redis", "--", "env"]).output().await.unwrap();
    assert!(output.status.success());
    let environment = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(environment.contains("STANCHION_TEST_REDIS_URL=redis://:"), "{environment}");
    assert!(!environment.contains("STANCHION_TEST_POSTGRES_URL="), "{environment}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn nothing_survives_kill_9_of_the_testbed() {
    let home = home();
    let (mut testbed, command) = running(home.path()).await;
    let servers = servers_under(home.path());
    // A server that is stopped cannot go by itself.
    for pid in &servers {
        kill(Pid::from_raw(i32::try_from(*pid).unwrap()), Signal::SIGSTOP).unwrap();
    }

    testbed.kill().await.unwrap();

    eventually("the servers are gone", async || !servers.iter().any(|pid| is_running(*pid))).await;
    eventually("the directory is gone", async || fs::read_dir(home.path()).unwrap().count() == 0).await;
    let _ = kill(Pid::from_raw(command), Signal::SIGKILL);
}

#[tokio::test]
async fn a_signal_reaches_the_command_and_nothing_is_left() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let home = home();
        let (mut testbed, command) = running(home.path()).await;
        let servers = servers_under(home.path());

        kill(Pid::from_raw(i32::try_from(testbed.id().unwrap()).unwrap()), signal).unwrap();

        assert_eq!(testbed.wait().await.unwrap().code(), Some(128 + signal as i32));
        assert!(!is_running(u32::try_from(command).unwrap()));
        assert!(!servers.iter().any(|pid| is_running(*pid)));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}

/// A testbed that runs a command without an end, and the command's pid.
async fn running(home: &Path) -> (Child, i32) {
    let mut command = testbed(home);
    // `exec`: a sleep that was the shell's child would outlive it.
    command.args(["--", "sh", "-c", "echo $$; exec sleep 600"]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut testbed = command.spawn().unwrap();
    let mut lines = BufReader::new(testbed.stdout.take().unwrap()).lines();
    let pid = lines.next_line().await.unwrap().expect("the command runs");
    (testbed, pid.parse().unwrap())
}

/// The servers' pids. On a machine with none installed the list is empty, and what is tested is the directory.
fn servers_under(home: &Path) -> Vec<u32> {
    let bases = fs::read_dir(home).unwrap().flatten();
    let rooms = bases.flat_map(|base| fs::read_dir(base.path()).unwrap().flatten());
    let pids = rooms.filter_map(|room| fs::read_to_string(room.path().join("server.pid")).ok());
    let pids: Vec<u32> = pids.map(|pid| pid.trim().parse().unwrap()).collect();
    assert!(pids.iter().all(|pid| is_running(*pid)));
    pids
}
