//! The command `stanchion`: runs a service, looks after its databases and reports on them.
//!
//! `args` is what the command line says, `commands` does it, one file a command, and `output` alone prints. The exit
//! status is 0 for done, 1 for failed, 2 for a command line that cannot be meant, and 130 for an import ended by ctrl-c.

mod args;
mod commands;
mod output;
mod server;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use output::{Failure, Output};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return output::usage(error),
    };
    let output = Output::new(args.global.json);
    match run(args, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output.failure(&failure),
    }
}

fn run(args: Args, output: &Output) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(args.command.run(&args.global, output))
}
