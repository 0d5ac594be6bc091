//! The first page of a list of trades, and the page that begins after row 5,000,000 of it.
//!
//! What is measured is the time of [`trades`](stanchion::domain::trading::Trading::trades) from the call to the page of 100
//! trades in hand. The rows are put into the table without their statistics; the deep page's cursor is found before by
//! walking there in pages of 1,000. A list by OFFSET would read all rows before its page; by key, it must cost what the first
//! page does.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use stanchion::App;
use stanchion::config::{Config, Database, Domain};
use stanchion::db::bulk::{self, Rows};
use stanchion::db::{Cursor, Order};
use stanchion::domain::trading::{TRADES, TradeFilter};
use stanchion::entity::trading::trade::Entity;
use stanchion::migration::partitions::{self, Month};
use stanchion_tests::bench::{Arguments, Entrant, Goal, Report, Samples, first_trade_at, new_trade, take_turns};
use stanchion_tests::testbed::{Backend, TestDatabase};

/// The row after which the deep page begins; the target is for this one.
const ROWS: u32 = 5_000_000;
/// Rows of a page.
const PAGE: u32 = 100;
/// Rows that are inserted at a time.
const BATCH: u32 = 100_000;
/// Pages that are read in a turn.
const READS: u32 = 20;
const ROUNDS: usize = 100;

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,

    /// The row after which the deep page begins; the target is for 5,000,000
    #[arg(long, default_value_t = ROWS)]
    rows: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.common.is_benchmark() {
        return Ok(());
    }
    let mut report = Report::new("keyset_page", "microseconds a page", options.common.json);
    for backend in options.common.backends() {
        let samples = measure(backend, &options).await.with_context(|| backend.to_string())?;
        let [deep, first] = samples.as_slice() else { continue };
        report.compare(backend, deep, first, Goal::AtMost(1.2));
    }
    report.print();
    Ok(())
}

async fn measure(backend: Backend, options: &Options) -> anyhow::Result<Vec<Samples>> {
    let database = TestDatabase::migrated(backend).await.context("no server")?;
    let app = App::start(Config::new(Database::new(database.url().parse()?))).await?;
    fill(&app, options.rows + PAGE).await?;
    let filter = TradeFilter::symbol("XRPETH").order(Order::Asc);
    let deep = Some(cursor_after(&app, &filter, options.rows).await?);
    let (app, filter) = (&app, &filter.limit(PAGE));
    let mut entrants = vec![
        Entrant::new(format!("the page after row {}", options.rows), || pages(app, filter.clone().after(deep))),
        Entrant::new("the first page", || pages(app, filter.clone())),
    ];
    entrants.truncate(if options.common.ours { 1 } else { entrants.len() });
    let samples = take_turns(options.common.rounds.unwrap_or(ROUNDS), entrants).await?;
    app.close().await;
    Ok(samples)
}

/// Puts so many trades into the table.
async fn fill(app: &App, rows: u32) -> anyhow::Result<()> {
    let db = app.db(Domain::Trading);
    let saved_at = first_trade_at()?;
    let last = Month::of(new_trade(rows)?.traded_at);
    partitions::ensure(db.writer(), TRADES, Month::of(saved_at).through(last)).await?;
    for from in (0..rows).step_by(BATCH as usize) {
        let batch = from..rows.min(from + BATCH);
        let trades = batch.map(|number| new_trade(number)?.into_model(saved_at)).collect::<Result<Vec<_>, _>>()?;
        let batch = Rows::of::<Entity>(trades);
        db.transaction(async |tx| bulk::insert(tx, &batch).await).await?;
    }
    Ok(())
}

/// The cursor of the page after so many rows.
async fn cursor_after(app: &App, filter: &TradeFilter, rows: u32) -> anyhow::Result<Cursor> {
    let (mut seen, mut cursor) = (0, None);
    while seen < rows {
        let limit = (rows - seen).min(stanchion::db::page::MAX_LIMIT);
        cursor = app.trading().trades(&filter.clone().limit(limit).after(cursor)).await?.next;
        ensure!(cursor.is_some(), "the list ends after {seen} rows");
        seen += limit;
    }
    cursor.context("a page after no row is the first page")
}

/// Reads the page some times; microseconds a page.
async fn pages(app: &App, filter: TradeFilter) -> anyhow::Result<f64> {
    let began = Instant::now();
    for _ in 0..READS {
        let page = app.trading().trades(&filter).await?;
        ensure!(page.items.len() == PAGE as usize, "a page of {} rows", page.items.len());
        black_box(page);
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(READS))
}
