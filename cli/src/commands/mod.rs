//! The commands, one file each: its arguments, its help and what it does.
//!
//! They read the configuration through [`Global`], report through [`Output`], and leave everything else to the library.
//! A new one is a module, a variant of [`Command`] and a line in [`Command::run`].

mod candles;
mod completions;
mod config;
mod dev;
mod import;
mod insights;
mod locks;
mod migrate;
mod serve;

use clap::Subcommand;

use crate::args::Global;
use crate::output::{Failure, Output};

/// What `stanchion` can be told to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    Dev(dev::Args),
    Serve(serve::Args),
    Config(config::Args),
    Import(import::Args),
    Candles(candles::Args),
    Insights(insights::Args),
    Locks(locks::Args),
    Migrate(migrate::Args),
    Completions(completions::Args),
}

impl Command {
    pub(crate) async fn run(self, global: &Global, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Dev(args) => dev::run(args, global, output).await,
            Self::Serve(args) => serve::run(args, global, output).await,
            Self::Config(args) => config::run(args, global, output),
            Self::Import(args) => import::run(args, global, output).await,
            Self::Candles(args) => candles::run(args, global, output).await,
            Self::Insights(args) => insights::run(args, global, output).await,
            Self::Locks(args) => locks::run(args, global, output).await,
            Self::Migrate(args) => migrate::run(args, global, output).await,
            Self::Completions(args) => completions::run(&args, output),
        }
    }
}
