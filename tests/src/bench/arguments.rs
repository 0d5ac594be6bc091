use clap::Args;

use crate::testbed::Backend;

/// What every benchmark can be told after `--`.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Rounds that are counted; each entrant has one turn a round
    #[arg(long)]
    pub rounds: Option<usize>,

    /// These back ends alone, separated by commas: sqlite, postgres, mariadb
    #[arg(long, value_delimiter = ',', value_parser = backend, value_name = "BACKENDS")]
    pub backend: Vec<Backend>,

    /// A line of JSON a comparison, instead of the table
    #[arg(long)]
    pub json: bool,

    /// Ours alone, for a profiler: nothing is compared
    #[arg(long)]
    pub ours: bool,

    /// Says that it is `cargo bench` that runs it
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    /// Whether it is `cargo bench` that runs this process. `cargo test --all-targets` starts benchmarks too, and a
    /// measurement beside the tests would take long and mean nothing.
    #[must_use]
    pub const fn is_benchmark(&self) -> bool {
        self.bench
    }

    /// The back ends to run on: those asked for that have a server. What has none is said on standard error.
    #[must_use]
    pub fn backends(&self) -> Vec<Backend> {
        let wanted = |backend: &Backend| self.backend.is_empty() || self.backend.contains(backend);
        let (found, missing): (Vec<_>, Vec<_>) =
            Backend::ALL.into_iter().filter(wanted).partition(|backend| backend.available());
        for backend in missing {
            eprintln!(
                "{backend}: no server; run it as `cargo run -p stanchion-tests --bin testbed -- cargo bench ...`"
            );
        }
        found
    }
}

fn backend(name: &str) -> Result<Backend, String> {
    Backend::ALL.into_iter().find(|backend| backend.to_string() == name).ok_or_else(|| format!("no back end: {name}"))
}
