//! Market data: ticks saved, a day of one-minute candles built from them, and that day read.
//!
//! There is no peer; ours is compared with the target, which holds on PostgreSQL for 1,000,000 ticks of one symbol and day.
//! Saving is [`save_ticks`](stanchion::domain::market::Market::save_ticks) in batches, checks and commits included, into
//! an empty table, from ticks in memory. Building replaces what the build before has saved. Reading is one call that
//! returns the day's candles, 1,440 of them, as values.

use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use sea_orm::ConnectionTrait;
use stanchion::App;
use stanchion::config::{Config, Database, Domain};
use stanchion::domain::market::{CandleBuild, CandleSource, NewTick, Series};
use stanchion::entity::market::Period;
use stanchion::types::{Timestamp, ValueError};
use stanchion_tests::bench::{Arguments, Goal, Report, Samples};
use stanchion_tests::testbed::{Backend, TestDatabase};

const ROWS: u32 = 1_000_000;
/// On the other engines, for which there is no target.
const ROWS_ELSEWHERE: u32 = 200_000;
const ROUNDS: usize = 5;
/// Times that the day is read in a round; the median counts.
const READS: usize = 100;
/// 2019-10-11.
const DAY: i64 = 1_570_752_000_000_000;

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,

    /// Ticks, spread over a day [default: 1000000 on PostgreSQL, where the target is for so many, else 200000]
    #[arg(long)]
    rows: Option<u32>,

    /// Ticks that are saved in a transaction
    #[arg(long, default_value_t = 50_000)]
    batch: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.common.is_benchmark() {
        return Ok(());
    }
    let report = |name, unit| Report::new(name, unit, options.common.json);
    let mut save = report("market: save ticks", "rows a second");
    let mut build = report("market: build candles", "ms");
    let mut read = report("market: read a day", "ms");
    for backend in options.common.backends() {
        let figures = measure(backend, &options).await.with_context(|| backend.to_string())?;
        let rounds = figures.saved.values.len();
        let is_judged = backend == Backend::Postgres;
        let goal = |goal| if is_judged { goal } else { Goal::None };
        let target = |name: &str, value| Samples { name: name.to_owned(), values: vec![value; rounds] };
        save.compare(backend, &figures.saved, &target("100,000/s", 1e5), goal(Goal::AtLeast(1.0)));
        build.compare(backend, &figures.built, &target("1 s", 1e3), goal(Goal::AtMost(1.0)));
        read.compare(backend, &figures.read, &target("5 ms", 5.0), goal(Goal::AtMost(1.0)));
    }
    [save, build, read].iter().for_each(Report::print);
    Ok(())
}

struct Figures {
    saved: Samples,
    built: Samples,
    read: Samples,
}

async fn measure(backend: Backend, options: &Options) -> anyhow::Result<Figures> {
    let database = TestDatabase::migrated(backend).await.context("no server")?;
    let app = App::start(Config::new(Database::new(database.url().parse()?))).await?;
    let rows = options.rows.unwrap_or(if backend == Backend::Postgres { ROWS } else { ROWS_ELSEWHERE }).max(1);
    let samples = || Samples { name: "stanchion".to_owned(), values: Vec::new() };
    let mut figures = Figures { saved: samples(), built: samples(), read: samples() };
    // The first round opens connections and fills caches, and is not counted.
    for round in 0..=options.common.rounds.unwrap_or(ROUNDS) {
        let [saved, built, read] = play(&app, backend, rows, options.batch.max(1)).await?;
        if round > 0 {
            figures.saved.values.push(saved);
            figures.built.values.push(built);
            figures.read.values.push(read);
        }
    }
    app.close().await;
    Ok(figures)
}

/// One round: rows a second, and milliseconds.
async fn play(app: &App, backend: Backend, rows: u32, batch: u32) -> anyhow::Result<[f64; 3]> {
    empty(app, backend).await?;
    let batches = (0..rows).step_by(batch as usize).map(|first| ticks(rows, first..rows.min(first + batch)));
    let batches = batches.collect::<Result<Vec<_>, ValueError>>()?;
    let began = Instant::now();
    for batch in batches {
        app.market().save_ticks(batch).await?;
    }
    let saved = f64::from(rows) / began.elapsed().as_secs_f64();

    let series = Series::new("binance", "XRPETH")?;
    let day = (Timestamp::from_micros(DAY)?, Timestamp::from_micros(DAY + Period::D1.micros())?);
    let build = CandleBuild::of(series.clone(), Period::M1).from(day.0).to(day.1);
    let began = Instant::now();
    let built = app.market().build_candles(CandleSource::Ticks, &build).await?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    ensure!(built.trades == u64::from(rows), "{} ticks of {rows} are in candles", built.trades);

    let mut reads = Vec::with_capacity(READS);
    for _ in 0..READS {
        let began = Instant::now();
        let candles = app.market().candles_between(&series, Period::M1, day.0, day.1).await?;
        reads.push(began.elapsed().as_secs_f64() * 1e3);
        ensure!(candles.len() as u64 == built.candles, "{} candles of {} were read", candles.len(), built.candles);
    }
    reads.sort_by(f64::total_cmp);
    Ok([saved, took, reads[READS / 2]])
}

/// Leaves nothing of the round before, nor work that it has put off.
async fn empty(app: &App, backend: Backend) -> anyhow::Result<()> {
    let statements: &[&str] = match backend {
        Backend::Sqlite => &["DELETE FROM ticks", "DELETE FROM candles", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"],
        Backend::Postgres => &["TRUNCATE ticks, candles", "CHECKPOINT"],
        Backend::MariaDb => &["TRUNCATE TABLE ticks", "TRUNCATE TABLE candles"],
    };
    for statement in statements {
        app.db(Domain::Market).writer().execute_unprepared(statement).await?;
    }
    Ok(())
}

/// These of `rows` ticks that are spread over the day, with prices and quantities of as many digits as an exchange's.
fn ticks(rows: u32, numbers: std::ops::Range<u32>) -> Result<Vec<NewTick>, ValueError> {
    let tick = |number: u32| {
        let mixed = number.wrapping_mul(2_654_435_761);
        Ok(NewTick {
            exchange: "binance".parse()?,
            symbol: "XRPETH".parse()?,
            ts: Timestamp::from_micros(DAY + Period::D1.micros() / i64::from(rows) * i64::from(number))?,
            seq: i64::from(number),
            price: format!("0.00{:06}", 130_000 + mixed % 20_000).parse()?,
            quantity: format!("{}.{:02}", 1 + (mixed >> 8) % 5_000, (mixed >> 20) % 100).parse()?,
            side: None,
        })
    };
    numbers.map(tick).collect()
}
