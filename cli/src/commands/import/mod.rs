//! `stanchion import trades FILE`.

mod interrupt;
mod progress;
mod trades;

use clap::Subcommand;

use crate::args::Global;
use crate::output::{Failure, Output};

/// Load exchange data from files.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Trades(trades::Args),
}

pub(crate) async fn run(args: Args, global: &Global, output: &Output) -> Result<(), Failure> {
    match args.what {
        What::Trades(args) => trades::run(args, global, output).await,
    }
}
