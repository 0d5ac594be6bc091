//! Processes that hold locks and want them, in roles of the program `actor`: paused, killed, and asked what they have told.

use std::process::Stdio;
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stanchion_tests::testbed::{TestDatabase, redis_url};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// A process, and the lines that it has told.
pub(crate) struct Actor {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Actor {
    /// In a role, on this database and this run's Redis.
    pub(crate) fn start(database: &TestDatabase, role: &str, arguments: &[&str]) -> Self {
        Self::start_in(database, role, arguments, &[])
    }

    /// The same, with this in its environment.
    pub(crate) fn start_in(
        database: &TestDatabase,
        role: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actor"));
        command.arg(role).args(arguments).env("DATABASE_URL", database.url()).envs(environment.iter().copied());
        if let Some(url) = redis_url() {
            command.env("REDIS_URL", url);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (stdin, lines) = (child.stdin.take(), Arc::<Mutex<Vec<String>>>::default());
        let (mut told, kept) = (BufReader::new(child.stdout.take().unwrap()).lines(), Arc::clone(&lines));
        tokio::spawn(async move {
            while let Ok(Some(line)) = told.next_line().await {
                kept.lock().unwrap().push(line);
            }
        });
        Self { child, stdin, lines }
    }

    /// All that it has told.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// How many lines begin with this.
    pub(crate) fn count(&self, beginning: &str) -> usize {
        self.lines.lock().unwrap().iter().filter(|line| line.starts_with(beginning)).count()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.child.id().unwrap();
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
    }

    /// Kills it, if it still lives, and waits for its end.
    pub(crate) async fn kill(&mut self) {
        // One that is dead cannot be killed again.
        let _ended = self.child.start_kill();
        self.child.wait().await.unwrap();
    }

    /// Ends without giving anything back.
    pub(crate) async fn end(mut self) {
        drop(self.stdin.take());
        self.child.wait().await.unwrap();
    }
}
