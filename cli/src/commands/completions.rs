//! `stanchion completions SHELL`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::output::{Failure, Output};

/// Print the script that completes this command's arguments in a shell.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
                        stanchion completions bash > ~/.local/share/bash-completion/completions/stanchion\n  \
                        stanchion completions fish > ~/.config/fish/completions/stanchion.fish")]
pub(crate) struct Args {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(args: &Args, output: &Output) -> Result<(), Failure> {
    let mut command = crate::args::Args::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    output.raw(&script)
}
