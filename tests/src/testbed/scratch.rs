//! The directory that everything of this process lives in, and the watchdog that removes it.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use super::account::Account;
use super::error::Error;

static SCRATCH: OnceLock<Scratch> = OnceLock::new();

/// A directory under the system's temporary directory that lives exactly as long as this process.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    /// Holds the pipe whose end tells the watchdog that this process is gone.
    watchdog: Mutex<Option<Child>>,
    rooms: AtomicU32,
}

impl Scratch {
    /// This process's directory, made at the first call.
    pub(super) fn of_this_process() -> Result<&'static Self, Error> {
        static MAKING: Mutex<()> = Mutex::new(());

        let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scratch) = SCRATCH.get() {
            return Ok(scratch);
        }
        let scratch = Self::new()?;
        Ok(SCRATCH.get_or_init(|| scratch))
    }

    fn new() -> Result<Self, Error> {
        let random = uuid::Uuid::new_v4().simple().to_string();
        // Short: the sockets' paths have a limit of about a hundred bytes.
        let path = std::env::temp_dir().join(format!("stanchion-testbed-{}", random.get(..12).unwrap_or(&random)));
        let mut watchdog = Command::new("/bin/sh")
            .args(["-c", include_str!("watchdog.sh"), "stanchion-watchdog"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(Error::io("starting the watchdog"))?;
        // The watchdog makes the directory, so that there is no moment in which a kill would leave it behind.
        let mut answer = String::new();
        if let Some(output) = watchdog.stdout.take() {
            BufReader::new(output).read_line(&mut answer).map_err(Error::io("hearing from the watchdog"))?;
        }
        if answer.trim() != "ready" {
            let reason = std::io::Error::other("the watchdog could not make it");
            return Err(Error::io(format!("making the directory {}", path.display()))(reason));
        }
        Ok(Self { path, watchdog: Mutex::new(Some(watchdog)), rooms: AtomicU32::new(0) })
    }

    /// A new directory within, for one server or one database, that only `account` (or else this process) can enter.
    pub(super) fn room(&self, name: &str, account: Option<Account>) -> Result<PathBuf, Error> {
        use std::os::unix::fs::DirBuilderExt;

        let path = self.path.join(format!("{name}-{}", self.rooms.fetch_add(1, Ordering::Relaxed)));
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(Error::io(format!("making the directory {}", path.display())))?;
        if let Some(account) = account {
            account.own(&path)?;
        }
        Ok(path)
    }
}

/// Ends every server that this process still has and removes its directory, and waits until that is done.
///
/// A process that just ends gets the same, without the wait. Nothing can be started afterwards.
pub fn clean_up() {
    let watchdog =
        SCRATCH.get().and_then(|scratch| scratch.watchdog.lock().unwrap_or_else(PoisonError::into_inner).take());
    if let Some(mut watchdog) = watchdog {
        drop(watchdog.stdin.take());
        let _ = watchdog.wait();
    }
}
