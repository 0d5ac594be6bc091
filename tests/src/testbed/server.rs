//! One running server: its life from start to end, the same for every kind.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::{Instant, sleep, timeout};

use super::account::Account;
use super::error::Error;
use super::scratch::Scratch;
use super::{mariadb, port, postgres, process, redis};

/// How long a server may take until it answers, and until it has stopped. Machines that run tests can be very busy.
const PATIENCE: Duration = Duration::from_secs(90);
/// Between two looks at whether it does.
const GLANCE: Duration = Duration::from_millis(10);
/// What one attempt to connect to a starting server may take.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How much of a log's end an error shows, and of the errors that are logged before that.
const LOG_LINES: usize = 30;
const LOG_ERRORS: usize = 10;

/// The servers that the testbed can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    MariaDb,
    /// Redis.
    Redis,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::MariaDb, Self::Redis];

    /// The environment variable that names the server the tests use.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "STANCHION_TEST_POSTGRES_URL",
            Self::MariaDb => "STANCHION_TEST_MYSQL_URL",
            Self::Redis => "STANCHION_TEST_REDIS_URL",
        }
    }

    /// What to do on a machine without it.
    #[must_use]
    pub fn installation(self) -> String {
        let package = match self {
            Self::Postgres => "postgresql",
            Self::MariaDb => "mariadb-server",
            Self::Redis => "redis-server",
        };
        format!("install the package {package}, or set {} to a server's URL", self.variable())
    }

    /// Starts one with a new data directory on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] if its programs are not on this machine; anything else is a failure to start.
    pub async fn start(self) -> Result<Server, Error> {
        self.start_with(&[]).await
    }

    /// The same, with settings of its configuration file: `("max_connections", "20")`. They override the testbed's.
    ///
    /// # Errors
    /// As [`start`](Self::start); also if the server refuses a setting.
    pub async fn start_with(self, settings: &[(&str, &str)]) -> Result<Server, Error> {
        let plan = match self {
            Self::Postgres => postgres::prepare(settings).await?,
            Self::MariaDb => mariadb::prepare(settings).await?,
            Self::Redis => redis::prepare(settings)?,
        };
        self.start_plan(plan).await
    }

    /// Starts what was prepared, on a free port.
    pub(super) async fn start_plan(self, plan: Plan) -> Result<Server, Error> {
        let mut server = Server { kind: self, plan, port: 0, url: String::new(), child: Mutex::new(None) };
        let mut attempts = 0;
        loop {
            server.port = port::free()?;
            server.url = self.url(&server.plan.password, server.port);
            match server.launch().await {
                Err(Error::PortTaken { .. }) if attempts < 20 => attempts += 1,
                outcome => return outcome.map(|()| server),
            }
        }
    }

    fn url(self, password: &str, port: u16) -> String {
        match self {
            Self::Postgres => format!("postgres://{USER}:{password}@127.0.0.1:{port}/postgres"),
            Self::MariaDb => format!("mysql://{USER}:{password}@127.0.0.1:{port}/{USER}"),
            Self::Redis => format!("redis://:{password}@127.0.0.1:{port}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::MariaDb => "MariaDB",
            Self::Redis => "Redis",
        })
    }
}

/// The account in PostgreSQL and MariaDB, with every right.
pub(super) const USER: &str = "stanchion";

/// What a kind of server needs in order to be started, again and again, on its data directory.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) directory: PathBuf,
    pub(super) program: PathBuf,
    /// All but the port.
    pub(super) arguments: Vec<String>,
    pub(super) account: Option<Account>,
    pub(super) password: String,
    /// What is added to the environment that it inherits.
    pub(super) environment: Vec<(String, String)>,
}

/// A server that runs on this machine for one test or one test run. Dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    plan: Plan,
    port: u16,
    url: String,
    /// `None` once it was stopped or killed.
    child: Mutex<Option<Child>>,
}

impl Server {
    /// Where a client connects, with the password: a superuser's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its port on 127.0.0.1, which it keeps over restarts.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its process (PostgreSQL: the postmaster), or `None` while it is down.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// The folder of its data, configuration, log and sockets.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.plan.directory
    }

    /// The last lines of its log, and the first errors before them.
    #[must_use]
    pub fn log(&self) -> String {
        log_tail(&self.plan.directory, 0)
    }

    /// Ends it in good order, as an operator would: sessions are ended, data is written. Returns when it is down.
    ///
    /// # Errors
    /// If it did not stop in 90 seconds; it is killed then.
    pub async fn stop(&self) -> Result<(), Error> {
        let Some(pid) = self.pid() else { return Ok(()) };
        // A paused server cannot follow the order.
        self.resume();
        // PostgreSQL's SIGTERM would wait for the clients to leave.
        let order = if self.kind == Kind::Postgres { Signal::SIGINT } else { Signal::SIGTERM };
        process::signal(pid, order);
        let deadline = Instant::now() + PATIENCE;
        while !self.has_ended()? {
            if Instant::now() > deadline {
                self.kill();
                return Err(self.failure("it did not stop", 0));
            }
            sleep(GLANCE).await;
        }
        Ok(())
    }

    /// Kills it and all its processes with SIGKILL. Returns when it is down.
    ///
    /// What it had acknowledged is still there after [`restart`](Self::restart): only a crash of the machine would lose
    /// data, since nothing is synced to the disk.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            process::signal_tree(child.id(), Signal::SIGKILL);
            let _ = child.wait();
        }
    }

    /// Stops all its processes with SIGSTOP: connections stay, new ones are taken by the kernel, nobody answers.
    pub fn pause(&self) {
        if let Some(pid) = self.pid() {
            process::signal_tree(pid, Signal::SIGSTOP);
        }
    }

    /// Lets a paused server go on.
    pub fn resume(&self) {
        if let Some(pid) = self.pid() {
            process::signal_tree(pid, Signal::SIGCONT);
        }
    }

    /// Starts it again, on the same port and with the same data; stops it first if it runs. Returns when it answers.
    ///
    /// # Errors
    /// If it does not stop or does not answer in 90 seconds.
    pub async fn restart(&self) -> Result<(), Error> {
        self.stop().await?;
        self.launch().await
    }

    async fn launch(&self) -> Result<(), Error> {
        let plan = &self.plan;
        let log_before = std::fs::metadata(plan.directory.join("log")).map_or(0, |log| log.len());
        let mut command = process::command(&plan.directory, "server", &plan.program, plan.account)?;
        command.args(&plan.arguments).envs(plan.environment.iter().map(|(name, value)| (name, value)));
        match self.kind {
            Kind::Postgres => command.arg(format!("-p{}", self.port)),
            Kind::MariaDb => command.arg(format!("--port={}", self.port)),
            Kind::Redis => command.args(["--port", &self.port.to_string()]),
        };
        let child = command.spawn().map_err(Error::io(format!("starting {}", plan.program.display())))?;
        *self.child() = Some(child);

        let deadline = Instant::now() + PATIENCE;
        loop {
            if self.has_ended()? {
                return Err(if log_tail(&plan.directory, log_before).contains("Address already in use") {
                    Error::PortTaken { port: self.port }
                } else {
                    self.failure("it ended at once", log_before)
                });
            }
            let reason = match timeout(ATTEMPT, self.answers()).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(reason)) => reason,
                Err(_) => "it takes connections and does not answer".to_owned(),
            };
            if Instant::now() > deadline {
                self.kill();
                return Err(self.failure(&reason, log_before));
            }
            sleep(GLANCE).await;
        }
    }

    async fn answers(&self) -> Result<(), String> {
        match self.kind {
            Kind::Redis => redis::ping(self.port, &self.plan.password).await.map_err(|error| error.to_string()),
            Kind::Postgres | Kind::MariaDb => {
                super::admin::Admin::ping(&self.url).await.map_err(|error| error.to_string())
            }
        }
    }

    /// Whether its process has ended by itself or by an order.
    fn has_ended(&self) -> Result<bool, Error> {
        let mut slot = self.child();
        let Some(child) = slot.as_mut() else { return Ok(true) };
        let ended = child.try_wait().map_err(Error::io("waiting for a server"))?.is_some();
        if ended {
            slot.take();
        }
        Ok(ended)
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, reason: &str, log_from: u64) -> Error {
        Error::Start { kind: self.kind, reason: reason.to_owned(), log: log_tail(&self.plan.directory, log_from) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if self.kind == Kind::Postgres {
            postgres::remove_segment(&self.plan.directory);
        }
        let _ = std::fs::remove_dir_all(&self.plan.directory);
    }
}

/// A password of 32 hexadecimal digits, which needs no escaping anywhere.
pub(super) fn password() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// Runs a program that prepares a data directory to its end.
pub(super) async fn prepare_with(kind: Kind, directory: &Path, mut command: Command) -> Result<(), Error> {
    // On a thread of its own: the other servers are prepared at the same time.
    let status = tokio::task::spawn_blocking(move || command.status())
        .await
        .map_err(|error| Error::io("preparing a data directory")(error.into()))?;
    let status = status.map_err(Error::io(format!("preparing {kind}'s data directory")))?;
    if status.success() {
        return Ok(());
    }
    let reason = format!("preparing its data directory ended with {status}");
    let failure = Error::Start { kind, reason, log: log_tail(directory, 0) };
    let _ = std::fs::remove_dir_all(directory);
    Err(failure)
}

/// A new room of this process for a server's files.
pub(super) fn room(kind: Kind, account: Option<Account>) -> Result<PathBuf, Error> {
    Scratch::of_this_process()?.room(&kind.to_string().to_lowercase(), account)
}

fn log_tail(directory: &Path, from: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut log) = std::fs::File::open(directory.join("log")) {
        let _ = log.seek(SeekFrom::Start(from)).and_then(|_| log.read_to_end(&mut bytes));
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    let (before, end) = lines.split_at(lines.len().saturating_sub(LOG_LINES));
    // MariaDB's installer says what went wrong, and then a page of what to do about it in general.
    let errors = before.iter().filter(|line| line.contains("ERROR") || line.contains("FATAL")).take(LOG_ERRORS);
    errors.chain(end).copied().collect::<Vec<_>>().join("\n")
}
