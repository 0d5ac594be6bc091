//! `stanchion serve`.

use std::net::SocketAddr;

use stanchion::App;

use crate::args::Global;
use crate::output::{Failure, Output};
use crate::server;

/// Serve the example API and the console on the databases of the configuration.
#[derive(clap::Args)]
#[command(
    after_help = "The databases must be migrated. Beside requests it delivers alerts, does the upkeep, and holds this\n\
                        instance's share of trading.symbols. Ctrl-C or SIGTERM ends it: requests that have begun are\n\
                        finished, and symbols are given back. The API authenticates nobody: put it behind something\n\
                        that does.\n\n\
                        Examples:\n  \
                        stanchion serve --config shop.yaml\n  \
                        stanchion serve --addr 127.0.0.1:9000"
)]
pub(crate) struct Args {
    /// Listen here instead of at http.addr.
    #[arg(long, value_name = "IP:PORT", value_parser = server::address)]
    addr: Option<SocketAddr>,
}

pub(crate) async fn run(args: Args, global: &Global, output: &Output) -> Result<(), Failure> {
    let config = global.load()?;
    server::log(&config.telemetry, global.json)?;
    let mut stop = server::stop_signal()?;
    let listener = server::listen(args.addr.unwrap_or(config.http.addr)).await?;
    let app = tokio::select! {
        started = App::start(config) => started?,
        () = &mut stop => return Ok(()),
    };
    server::run(app, listener, None, stop, output).await
}
