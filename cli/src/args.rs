//! What the command line says.

use std::path::PathBuf;

use clap::Parser;
use stanchion::config::{Config, ConfigError, DEFAULT_FILE};

use crate::commands::Command;

/// Runs services on SQLite, PostgreSQL or MySQL/MariaDB, and looks after their databases.
#[derive(Parser)]
#[command(
    name = "stanchion",
    version,
    propagate_version = true,
    arg_required_else_help = true,
    after_help = "Without a configuration everything is on SQLite at data/stanchion.db.\n\n\
                  Examples:\n  \
                  stanchion dev\n  \
                  stanchion config check\n  \
                  stanchion config show --config shop.yaml --json\n  \
                  DATABASE_URL=postgres://app:password@db/shop stanchion config check"
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(clap::Args)]
pub(crate) struct Global {
    /// Read the configuration from FILE instead of ./stanchion.yaml.
    #[arg(long, global = true, value_name = "FILE", value_parser = file)]
    pub(crate) config: Option<PathBuf>,

    /// Report in JSON: results on standard output, errors as {"error": ...} on standard error.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Global {
    /// The configuration: the file asked for, or ./stanchion.yaml if there is one, and the environment.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        let sources = match &self.config {
            Some(file) => Config::builder().file(file),
            None => Config::builder().file_if_there(DEFAULT_FILE),
        };
        sources.process_env().load()
    }
}

/// A path; a URL in its place would be quoted by the error that says there is no such file.
fn file(text: &str) -> Result<PathBuf, &'static str> {
    if text.contains("://") { Err("is a URL, not a file; the database is named in the file") } else { Ok(text.into()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Args;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
