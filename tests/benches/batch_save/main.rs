//! Saving 100,000 trades into an empty table, by the bulk insert and through the domain service, with the engine's own
//! client program, and with SeaORM's `insert_many`.
//!
//! What is measured is rows a second, in one transaction, into the table with all its keys, checks and indexes (on
//! PostgreSQL partitioned), from the moment the values are in memory (ours, `insert_many`) or in a file (the clients). The
//! bulk insert does what the clients do, rows and nothing else, and makes the rows first: the checks, the ids. `save_trades`
//! maintains the statistics too, which nobody else does: it is shown, and not judged. `insert_many` is given finished rows.
//! The tables are emptied before every turn, and the trades counted after it.
//!
//! The clients read their fastest format; how each is run is in `client.rs`.

mod client;
mod insert_many;
mod table;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use stanchion::config::Domain;
use stanchion::db::bulk::{self, Rows};
use stanchion::entity::trading::trade::{Entity, Model as Trade};
use stanchion_tests::bench::{Arguments, Entrant, Goal, Report, Samples, first_trade_at, new_trades, take_turns};
use stanchion_tests::testbed::Backend;

use self::client::Client;
use self::table::Table;

/// Trades in a batch.
const TRADES: u32 = 100_000;
const ROUNDS: usize = 7;

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,

    /// Trades in a batch; the targets are for 100,000
    #[arg(long, default_value_t = TRADES)]
    trades: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.common.is_benchmark() {
        return Ok(());
    }
    let mut report = Report::new("batch_save", "rows a second", options.common.json);
    for backend in options.common.backends() {
        let samples = measure(backend, &options).await.with_context(|| backend.to_string())?;
        let (client, insert_many) = targets(backend);
        let [ours, service, peers @ ..] = samples.as_slice() else { continue };
        for peer in peers {
            report.compare(backend, ours, peer, if peer.name == insert_many::NAME { insert_many } else { client });
        }
        report.compare(backend, service, ours, Goal::None);
    }
    report.print();
    Ok(())
}

/// What ours has to reach of the client's rows a second, and of those of `insert_many`.
const fn targets(backend: Backend) -> (Goal, Goal) {
    match backend {
        Backend::Postgres => (Goal::AtLeast(0.9), Goal::AtLeast(2.0)),
        Backend::MariaDb => (Goal::AtLeast(0.7), Goal::AtLeast(1.5)),
        Backend::Sqlite => (Goal::AtLeast(0.8), Goal::AtLeast(1.0)),
    }
}

async fn measure(backend: Backend, options: &Options) -> anyhow::Result<Vec<Samples>> {
    let table = Table::new(backend).await?;
    let trades = new_trades(options.trades)?;
    let saved_at = first_trade_at()?;
    let rows = trades.iter().map(|trade| trade.clone().into_model(saved_at));
    let rows: Arc<[Trade]> = rows.collect::<Result<Vec<_>, _>>()?.into();
    let client = Client::new(&table, &rows)?;
    let plain = insert_many::connect(&table).await?;

    let (table, trades) = (&table, &trades);
    let mut entrants = vec![
        Entrant::new("stanchion, rows only", || async {
            let (app, batch) = (table.app.clone(), trades.clone());
            let save = async move {
                let rows = batch.into_iter().map(|trade| trade.into_model(saved_at)).collect::<Result<Vec<_>, _>>()?;
                let rows = Rows::of::<Entity>(rows);
                app.transaction(Domain::Trading, async |tx| bulk::insert(tx, &rows).await).await?;
                Ok(())
            };
            rate(table, save, trades.len()).await
        }),
        Entrant::new("stanchion, save_trades", || async {
            let (app, batch) = (table.app.clone(), trades.clone());
            rate(table, async move { Ok(app.trading().save_trades(batch).await.map(drop)?) }, trades.len()).await
        }),
        Entrant::new(insert_many::NAME, || async {
            rate(table, insert_many::save(plain.clone(), rows.to_vec()), rows.len()).await
        }),
    ];
    if let Some(client) = &client {
        entrants.push(Entrant::new(client.name, || async {
            table.empty().await?;
            let took = client.load()?;
            checked_rate(table, took, trades.len()).await
        }));
    }
    entrants.truncate(if options.common.ours { 2 } else { entrants.len() });
    take_turns(options.common.rounds.unwrap_or(ROUNDS), entrants).await
}

/// Rows a second of `save`, which puts `rows` rows into the table; it is run as a task, as a service's requests are.
async fn rate<F>(table: &Table, save: F, rows: usize) -> anyhow::Result<f64>
where
    F: Future<Output = anyhow::Result<()>> + Send + 'static,
{
    table.empty().await?;
    let began = Instant::now();
    tokio::spawn(save).await??;
    checked_rate(table, began.elapsed(), rows).await
}

async fn checked_rate(table: &Table, took: Duration, rows: usize) -> anyhow::Result<f64> {
    let found = table.count().await?;
    ensure!(found == rows as u64, "{found} rows of {rows} were saved");
    Ok(rows as f64 / took.as_secs_f64())
}
