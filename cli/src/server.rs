//! Running the service, for `dev` and `serve`: its log, its address, the signals that end it, and what is said when it
//! is ready.

use std::io::{ErrorKind, IsTerminal};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde::Serialize;
use stanchion::App;
use stanchion::config::Telemetry;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tracing_subscriber::EnvFilter;

use crate::output::{Failure, Output};

/// The exit status of a process that was interrupted: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Resolves when the process is asked to end.
pub(crate) type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Logs to standard error, what the configuration says.
pub(crate) fn log(telemetry: &Telemetry, json: bool) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&telemetry.log).context("telemetry.log")?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if json {
        log.json().try_init()
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
    started.map_err(|error| anyhow!(error).context("the log cannot be started").into())
}

/// Listens for SIGINT and SIGTERM: the first asks the process to end, the second ends it at once.
pub(crate) fn stop_signal() -> Result<Stop, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        tracing::info!("stopping; a second signal ends it at once");
        // Nobody listens any more only if the end has come already.
        let _ = stop.send(());
        either(&mut interrupt, &mut terminate).await;
        std::process::exit(INTERRUPTED);
    });
    Ok(Box::pin(async move {
        // The sender is dropped only with the runtime.
        let _ = stopped.await;
    }))
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Reads an address to listen on.
pub(crate) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "an IP address with a port is needed, such as 127.0.0.1:8081 or 0.0.0.0:8080 for all")
}

/// Takes the address: early, so that one that is taken is known before anything else is done.
pub(crate) async fn listen(addr: SocketAddr) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind(addr).await.map_err(|error| {
        let failure = match error.kind() {
            ErrorKind::AddrInUse => anyhow!("another program listens on {addr}"),
            _ => anyhow!(error).context(format!("cannot listen on {addr}")),
        };
        Failure::from(failure).hint("choose another address with --addr 127.0.0.1:8081, or with http.addr")
    })?;
    if !addr.ip().is_loopback() {
        tracing::warn!(%addr, "others than this machine can reach this address, and the API authenticates nobody");
    }
    Ok(listener)
}

/// What is said when the service is ready.
#[derive(Serialize)]
pub(crate) struct Ready {
    event: &'static str,
    version: &'static str,
    url: String,
    databases: Vec<DatabasePlace>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seeded: Option<Seeded>,
}

#[derive(Serialize)]
struct DatabasePlace {
    name: &'static str,
    url: String,
}

/// The rows that a new database was given.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Seeded {
    pub(crate) users: u64,
    pub(crate) trades: u64,
}

impl Ready {
    fn text(&self) -> String {
        let Self { version, url, .. } = self;
        let mut lines = vec![
            format!("Stanchion {version} is running."),
            String::new(),
            format!("  console   {url}/"),
            format!("  API       {url}/api/v1/trades"),
            format!("  OpenAPI   {url}/openapi.json"),
        ];
        lines.extend(self.databases.iter().map(|database| match self.databases.len() {
            1 => format!("  database  {}", database.url),
            _ => format!("  database  {} ({})", database.url, database.name),
        }));
        if let Some(Seeded { users, trades }) = self.seeded {
            lines.push(format!("            new, with {users} made-up users and {trades} made-up trades"));
        }
        lines.push(String::new());
        lines.push("Ctrl-C ends it.".to_owned());
        lines.join("\n")
    }
}

/// How often the service looks after what was left behind.
const UPKEEP: Duration = Duration::from_secs(30);

/// Delivers alerts, does the upkeep and holds this instance's symbols, if there are any, until the service is told to end;
/// what has begun then is finished.
async fn background(app: App, told: watch::Receiver<bool>) {
    let alerting = app.alerting();
    let desk = async {
        if app.config().trading.symbols.is_empty() {
            return;
        }
        if let Err(error) = app.trading_desk().run(end(told.clone())).await {
            tracing::error!(%error, "this instance trades no symbols");
        }
    };
    tokio::join!(alerting.run(end(told.clone())), app.upkeep_every(UPKEEP, end(told.clone())), desk);
}

/// Resolves when the service is told to end.
async fn end(mut told: watch::Receiver<bool>) {
    // Nobody is left to tell it only if the runtime ends.
    let _ = told.wait_for(|told| *told).await;
}

/// Says that the service is ready, and serves until it is asked to end.
pub(crate) async fn run(
    app: App,
    listener: TcpListener,
    seeded: Option<Seeded>,
    stop: Stop,
    output: &Output,
) -> Result<(), Failure> {
    let databases = app.config().distinct_databases();
    let ready = Ready {
        event: "ready",
        version: env!("CARGO_PKG_VERSION"),
        url: format!("http://{}", listener.local_addr()?),
        databases: databases.map(|(name, _, it)| DatabasePlace { name, url: it.url.to_string() }).collect(),
        seeded,
    };
    output.line(&ready, Ready::text)?;
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        stop.await;
        tell.send_replace(true);
    });
    let background = tokio::spawn(background(app.clone(), told.clone()));
    let served = stanchion_api_examples::serve(app, listener, end(told)).await.context("the service failed");
    if served.is_err() {
        background.abort();
    }
    // Aborted or done: it has nothing to say.
    let _ = background.await;
    served?;
    tracing::info!("stopped");
    Ok(())
}
