//! Processes: started so that the watchdog knows them, signalled together with their children.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::account::Account;
use super::error::Error;

/// A command that runs `program` as `account` in its own process group, its output appended to `directory/log`, and its
/// pid in `directory/NAME.pid` from before it becomes `program`: if the directory is gone by then, it never does.
pub(super) fn command(
    directory: &Path,
    name: &str,
    program: impl AsRef<OsStr>,
    account: Option<Account>,
) -> Result<Command, Error> {
    let path = directory.join("log");
    let log = File::options().create(true).append(true).open(&path);
    let log = log.map_err(Error::io(format!("opening {}", path.display())))?;
    if let Some(account) = account {
        account.own(&path)?;
    }
    let errors = log.try_clone().map_err(Error::io("sharing a log file"))?;

    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"echo "$$" > "$0" && exec "$@""#])
        .arg(directory.join(format!("{name}.pid")))
        .arg(program)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        // An interrupt typed at the terminal is for the tests; their servers end when they do.
        .process_group(0);
    if let Some(Account { uid, gid }) = account {
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

/// Whether a process with this pid runs; one that has ended and waits for its parent does not.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    // Signal 0 is refused for a process of another account, which is alive nevertheless.
    let exists = matches!(kill(raw(pid), None), Ok(()) | Err(nix::errno::Errno::EPERM));
    exists && status(pid).is_none_or(|(state, _)| state != 'Z')
}

/// Sends `signal` to the process and then to its children. PostgreSQL's are sessions of their own, so that a signal to
/// its process group would miss them.
pub(super) fn signal_tree(pid: u32, signal: Signal) {
    // Stopped first, it starts no more children while they are listed.
    if matches!(signal, Signal::SIGSTOP | Signal::SIGKILL) {
        let _ = kill(raw(pid), Signal::SIGSTOP);
    }
    for child in children(pid) {
        let _ = kill(raw(child), signal);
    }
    let _ = kill(raw(pid), signal);
}

/// Sends `signal` to the process alone.
pub(super) fn signal(pid: u32, signal: Signal) {
    let _ = kill(raw(pid), signal);
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return children_by_ps(pid) };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|candidate| status(*candidate).is_some_and(|(_, parent)| parent == pid)).collect()
}

/// For systems without `/proc`.
fn children_by_ps(pid: u32) -> Vec<u32> {
    let Ok(output) = Command::new("ps").args(["-A", "-o", "ppid=", "-o", "pid="]).output() else { return Vec::new() };
    let table = String::from_utf8_lossy(&output.stdout);
    let rows = table.lines().filter_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    rows.filter(|(parent, _)| *parent == pid).map(|(_, child)| child).collect()
}

/// State and parent, from `/proc/PID/stat`: `pid (name) state ppid ...`, where the name may hold anything.
fn status(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn raw(pid: u32) -> Pid {
    // A pid that does not fit is nobody's: -1 and 0 would mean "everyone".
    Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
}
