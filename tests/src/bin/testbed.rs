//! `testbed -- COMMAND`: runs a command with throw-away database servers, which end when it does.
#![warn(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Display;
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stanchion_tests::testbed::{Kind, Server, clean_up};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

/// The testbed's own failure, as `timeout` and `env` report theirs: no command gives it by chance.
const FAILED: u8 = 125;
const NOT_FOUND: u8 = 127;

/// Starts throw-away PostgreSQL, MariaDB and Redis servers, runs COMMAND with their addresses, and stops them again.
///
/// The servers listen on free ports of 127.0.0.1, have passwords and data directories of their own, and run from the
/// programs installed on this machine. Their URLs are in STANCHION_TEST_POSTGRES_URL, STANCHION_TEST_MYSQL_URL and
/// STANCHION_TEST_REDIS_URL. A server whose variable is set already is used as it is, and not started.
///
/// The exit status is COMMAND's (128 + N if signal N ended it), 125 if the testbed itself failed.
#[derive(Debug, Parser)]
#[command(
    name = "testbed",
    after_help = "Examples:\n  \
        testbed -- cargo test --workspace           all tests, with all servers\n  \
        testbed --only postgres,redis -- bash       a shell with two servers to look around in\n  \
        testbed --only postgres -- sh -c 'psql \"$STANCHION_TEST_POSTGRES_URL\"'\n\n\
        Environment:\n  \
        STANCHION_TEST_REQUIRE=all   a server that is not installed is a failure, not a line on standard error\n  \
        TMPDIR                       where the servers keep their data while they run"
)]
struct Arguments {
    /// Start these alone, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "SERVERS")]
    only: Vec<Choice>,

    /// What to run, with its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Choice {
    Postgres,
    Mariadb,
    Redis,
}

impl Arguments {
    fn wants(&self, kind: Kind) -> bool {
        let choice = match kind {
            Kind::Postgres => Choice::Postgres,
            Kind::MariaDb => Choice::Mariadb,
            Kind::Redis => Choice::Redis,
        };
        self.only.is_empty() || self.only.contains(&choice)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let code = match run(&Arguments::parse()).await {
        Ok(status) => exit_code(status),
        Err(error) => {
            report(format_args!("{error:#}"));
            let not_found = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
            ExitCode::from(if not_found == Some(std::io::ErrorKind::NotFound) { NOT_FOUND } else { FAILED })
        }
    };
    clean_up();
    code
}

async fn run(arguments: &Arguments) -> anyhow::Result<ExitStatus> {
    // Listened to from the start: an interrupt while the servers start must not leave them behind.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut hung_up = signal(SignalKind::hangup())?;

    let servers = tokio::select! {
        servers = start(arguments) => servers?,
        _ = interrupted.recv() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
        _ = hung_up.recv() => bail!("hung up"),
    };

    let (program, rest) = arguments.command.split_first().context("no command was given")?;
    let mut command = Command::new(program);
    command.args(rest).env("STANCHION_TEST_RUN", std::process::id().to_string());
    for server in &servers {
        command.env(server.kind().variable(), server.url());
    }
    // What `cargo run` says about this package: a build script that asks for it would build its crate anew.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    let mut child = command.spawn().map_err(|error| anyhow::Error::new(error).context(program.clone()))?;
    loop {
        tokio::select! {
            status = child.wait() => return status.context("waiting for the command"),
            // Typed at a terminal, the command has got it already.
            _ = interrupted.recv() => if !std::io::stdin().is_terminal() { forward(&child, Signal::SIGINT) },
            _ = terminated.recv() => forward(&child, Signal::SIGTERM),
            _ = hung_up.recv() => forward(&child, Signal::SIGHUP),
        }
    }
}

/// Starts, side by side, what is wanted and not there.
async fn start(arguments: &Arguments) -> anyhow::Result<Vec<Server>> {
    let every_one_is_required = std::env::var_os("STANCHION_TEST_REQUIRE").is_some_and(|value| value == "all");
    let began = Instant::now();
    let missing = Kind::ALL
        .into_iter()
        .filter(|kind| arguments.wants(*kind) && std::env::var_os(kind.variable()).is_none_or(|url| url.is_empty()));
    let starting: Vec<_> = missing.map(|kind| tokio::spawn(kind.start())).collect();
    let mut servers = Vec::new();
    for server in starting {
        match server.await.context("starting a server")? {
            Ok(server) => servers.push(server),
            Err(error) if error.is_not_installed() && !every_one_is_required => {
                report(format_args!("{error}; the tests that need it will not run"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if !servers.is_empty() {
        let names: Vec<String> =
            servers.iter().map(|server| format!("{} on {}", server.kind(), server.port())).collect();
        report(format_args!("{} in {:.1} s", names.join(", "), began.elapsed().as_secs_f32()));
    }
    Ok(servers)
}

fn forward(child: &Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It may have ended at this moment.
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(FAILED))
}

/// Standard output is the command's own.
fn report(message: impl Display) {
    eprintln!("testbed: {message}");
}
