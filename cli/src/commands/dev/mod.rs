//! `stanchion dev`: everything on SQLite files of its own, made ready by itself.

mod lock;
mod seed;

use std::net::SocketAddr;

use anyhow::anyhow;
use stanchion::App;
use stanchion::config::{Backend, Config};

use crate::args::Global;
use crate::output::{Failure, Output};
use crate::server::{self, Seeded};

/// Try it out: make a SQLite database, fill it, and serve the example API and a console on it.
#[derive(clap::Args)]
#[command(after_help = "The database is data/stanchion.db unless the configuration names another SQLite file. It is \
                        created and migrated; if it has neither users nor trades it gets made-up ones. Ctrl-C ends \
                        it.\n\n\
                        Examples:\n  \
                        stanchion dev\n  \
                        stanchion dev --addr 127.0.0.1:9000\n  \
                        DATABASE_URL=sqlite://scratch.db stanchion dev --no-seed")]
pub(crate) struct Args {
    /// Listen here instead of at http.addr, which is 127.0.0.1:8080 unless configured.
    #[arg(long, value_name = "IP:PORT", value_parser = server::address)]
    addr: Option<SocketAddr>,

    /// Leave an empty database empty.
    #[arg(long)]
    no_seed: bool,
}

pub(crate) async fn run(args: Args, global: &Global, output: &Output) -> Result<(), Failure> {
    let config = global.load()?;
    // Held until the process ends.
    let _locks = databases(&config)?;
    server::log(&config.telemetry, global.json)?;
    let mut stop = server::stop_signal()?;
    let listener = server::listen(args.addr.unwrap_or(config.http.addr)).await?;
    // Not to be left half-way: a signal waits for its end.
    App::migrate(&config).await?;
    let starting = async {
        let app = App::start(config).await?;
        let seeded = if args.no_seed { None } else { seed::if_empty(&app).await? };
        Ok::<(App, Option<Seeded>), Failure>((app, seeded))
    };
    let (app, seeded) = tokio::select! {
        started = starting => started?,
        () = &mut stop => return Ok(()),
    };
    server::run(app, listener, seeded, stop, output).await
}

/// Sees that every database is a SQLite file, and takes them for this process.
fn databases(config: &Config) -> Result<Vec<lock::Lock>, Failure> {
    let files = config.distinct_databases().map(|(name, _, database)| {
        let url = &database.url;
        url.sqlite_path().ok_or_else(|| match url.backend() {
            Backend::Sqlite => Failure::from(anyhow!("`stanchion dev` needs a SQLite file, and {url} is in memory"))
                .hint("name a file: DATABASE_URL=sqlite://data/stanchion.db"),
            engine => Failure::from(anyhow!("`stanchion dev` is for SQLite, and the database `{name}` is on {engine}"))
                .hint("for this configuration run `stanchion migrate up`, then `stanchion serve`"),
        })
    });
    let files = files.collect::<Result<Vec<_>, _>>()?;
    files.into_iter().map(lock::take).collect()
}
