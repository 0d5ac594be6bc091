//! `stanchion locks`.

use serde::Serialize;
use stanchion::App;
use stanchion::config::{Backend, LockKind};
use stanchion::lock::HeldLock;

use crate::args::Global;
use crate::output::{self, Failure, Output};

/// List the locks that are held, by all instances.
#[derive(clap::Args)]
#[command(
    after_help = "Where they are kept is what distributed_lock says; nothing else has to be up. What is left of a lease is an \
                        estimate, and `-` for locks that are held as long as a session lives. PostgreSQL's sessions know \
                        locks by digests of their names.\n\n\
                        Examples:\n  \
                        stanchion locks\n  \
                        stanchion locks --limit 20 --json"
)]
pub(crate) struct Args {
    /// List the first N alone, by name.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
}

/// What is reported.
#[derive(Serialize)]
struct Report {
    store: &'static str,
    /// Whether the store tells what others hold.
    listed: bool,
    locks: Vec<Lock>,
}

#[derive(Serialize)]
struct Lock {
    name: String,
    holder: String,
    remaining_ms: Option<u64>,
}

pub(crate) async fn run(args: Args, global: &Global, output: &Output) -> Result<(), Failure> {
    let config = global.load()?;
    let store = config.distributed_lock.store();
    let listed = match store {
        LockKind::InProcess => false,
        LockKind::Session => config.database.backend() != Backend::MySql,
        _ => true,
    };
    let mut report = Report { store: store.name(), listed, locks: Vec::new() };
    if listed {
        let locks = App::locks_alone(&config).await?;
        report.locks = locks.held(args.limit as usize).await?.into_iter().map(Lock::from).collect();
    }
    output.report(&report, |report| Ok(report.text()))
}

impl Report {
    fn text(&self) -> String {
        match (self.listed, self.locks.is_empty()) {
            (false, _) if self.store == LockKind::InProcess.name() => {
                "Locks are in the processes that hold them, and cannot be listed from here (distributed_lock.enabled is \
                 false, or its type in_process)."
                    .to_owned()
            }
            (false, _) => "MySQL does not tell what its sessions have locked.".to_owned(),
            (true, true) => format!("No lock is held ({}).", self.store),
            (true, false) => output::table(
                &["NAME", "HOLDER", "REMAINING", "STORE"],
                self.locks.iter().map(|lock| {
                    let remaining = lock.remaining_ms.map_or_else(|| "-".to_owned(), seconds);
                    [lock.name.clone(), lock.holder.clone(), remaining, self.store.to_owned()]
                }),
            ),
        }
    }
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03} s", millis / 1_000, millis % 1_000)
}

impl From<HeldLock> for Lock {
    fn from(lock: HeldLock) -> Self {
        let remaining_ms = lock.remaining.map(|left| u64::try_from(left.as_millis()).unwrap_or(u64::MAX));
        Self { name: lock.name, holder: lock.holder, remaining_ms }
    }
}
