//! Reading a page of 100 from 1,000,000 log entries, by every filter that is offered.
//!
//! What is measured is the time from the call to the page in hand, without any cache, one page after the other, each for other
//! values: the filters take turns. There is no peer; the target is a time. The entries are those of 90 days, in the order of
//! time, of 10,000 users and a dozen services; most are of the level `info`. The engine's statistics are brought up to date
//! after loading, as its own housekeeping does.

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use serde_json::json;
use stanchion::config::{Config, Database};
use stanchion::domain::journal::{LogFilter, NewLogEntry};
use stanchion::entity::journal::{LogCategory, LogLevel};
use stanchion::sea_orm::ConnectionTrait;
use stanchion::types::{Timestamp, ValueError};
use stanchion::{App, config};
use stanchion_tests::bench::Arguments;
use stanchion_tests::testbed::{Backend, TestDatabase};
use uuid::Uuid;

/// Pages by each filter.
const ROUNDS: usize = 101;
/// Entries that are recorded at once.
const BATCH: u32 = 20_000;
/// What the median has to be at most, in milliseconds.
const TARGET: f64 = 20.0;
/// 2025-12-01T00:00:00Z.
const FIRST_MILLIS: i64 = 1_764_547_200_000;
const DAYS: i64 = 90;
const DAY: Duration = Duration::from_secs(86_400);
const USERS: u32 = 10_000;
const ACTIONS: u32 = 200;

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,

    /// Entries in the table; the target is for 1,000,000
    #[arg(long, default_value_t = 1_000_000)]
    rows: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.common.is_benchmark() {
        return Ok(());
    }
    if !options.common.json {
        println!("log_query: milliseconds a page of 100, of {} entries", options.rows);
        println!("{:<10}{:<38}{:>10}{:>10}  target", "back end", "filter", "median", "p95");
    }
    for backend in options.common.backends() {
        measure(backend, &options).await.with_context(|| backend.to_string())?;
    }
    Ok(())
}

async fn measure(backend: Backend, options: &Options) -> anyhow::Result<()> {
    let database = TestDatabase::migrated(backend).await.context("no server")?;
    let app = App::start(Config::new(Database::new(database.url().parse()?))).await?;
    load(&app, options.rows).await?;
    let analyze = if backend == Backend::MariaDb { "ANALYZE TABLE log_entries" } else { "ANALYZE log_entries" };
    app.db(config::Domain::Journal).writer().execute_unprepared(analyze).await?;

    let filters = filters(options.rows);
    let rounds = options.common.rounds.unwrap_or(ROUNDS);
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); filters.len()];
    // The first round is not counted.
    for round in 0..=rounds {
        for ((_, filter), times) in filters.iter().zip(&mut times) {
            let filter = filter(mixed(round as u32))?;
            let began = Instant::now();
            black_box(app.journal().entries(&filter).await?);
            if round > 0 {
                times.push(began.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    for ((name, _), mut times) in filters.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
        let (median, p95) = (at(0.5), at(0.95));
        let met = median <= TARGET;
        if options.common.json {
            let line = json!({
                "bench": "log_query", "backend": backend.to_string(), "filter": name, "rows": options.rows,
                "unit": "milliseconds a page", "median": median, "p95": p95, "target": TARGET, "met": met,
            });
            println!("{line}");
        } else {
            let verdict = if met { "met" } else { "MISSED" };
            println!("{:<10}{name:<38}{median:>10.2}{p95:>10.2}  <= {TARGET} ms  {verdict}", backend.to_string());
        }
    }
    app.close().await;
    Ok(())
}

type Filter = Box<dyn Fn(u32) -> anyhow::Result<LogFilter>>;

/// Every filter that is offered, made for some value, and what goes together often.
fn filters(rows: u32) -> Vec<(&'static str, Filter)> {
    fn filter(make: impl Fn(u32) -> anyhow::Result<LogFilter> + 'static) -> Filter {
        Box::new(make)
    }
    let day = |value: u32| -> anyhow::Result<(Timestamp, Timestamp)> {
        let from = Timestamp::from_millis(FIRST_MILLIS)?.plus(DAY * (value % (DAYS as u32 - 1)))?;
        Ok((from, from.plus(DAY)?))
    };
    vec![
        ("none", filter(|_| Ok(LogFilter::new()))),
        ("user", filter(|value| Ok(LogFilter::new().user(user(value))))),
        ("level info", filter(|_| Ok(LogFilter::new().level(LogLevel::Info)))),
        ("level error", filter(|_| Ok(LogFilter::new().level(LogLevel::Error)))),
        ("service", filter(|value| Ok(LogFilter::new().service(service(value))))),
        ("service that there is none of", filter(|_| Ok(LogFilter::new().service("none")))),
        ("category", filter(|value| Ok(LogFilter::new().category(category(value))))),
        ("action", filter(|value| Ok(LogFilter::new().action(action(value))))),
        ("request", filter(move |value| Ok(LogFilter::new().request(request(value % rows))))),
        ("a day", filter(move |value| day(value).map(|(from, to)| LogFilter::new().from(from).to(to)))),
        (
            "text in a day, found",
            filter(move |value| day(value).map(|(from, to)| LogFilter::new().text("took").from(from).to(to))),
        ),
        (
            "text in a day, not found",
            filter(move |value| day(value).map(|(from, to)| LogFilter::new().text("no such words").from(from).to(to))),
        ),
        ("text in a request", filter(move |value| Ok(LogFilter::new().text("took").request(request(value % rows))))),
        (
            "service and level error",
            filter(|value| Ok(LogFilter::new().service(service(value)).level(LogLevel::Error))),
        ),
        ("user and level info", filter(|value| Ok(LogFilter::new().user(user(value)).level(LogLevel::Info)))),
        (
            "action, category and a day",
            filter(move |value| {
                let (from, to) = day(value)?;
                Ok(LogFilter::new().action(action(value)).category(category(value)).from(from).to(to))
            }),
        ),
    ]
}

async fn load(app: &App, rows: u32) -> anyhow::Result<()> {
    for start in (0..rows).step_by(BATCH as usize) {
        let entries = (start..rows.min(start + BATCH)).map(|number| entry(number, rows));
        app.journal().record(entries.collect::<Result<Vec<_>, _>>()?).await?;
    }
    Ok(())
}

/// Entry number `number` of a made-up shop: always the same one.
fn entry(number: u32, rows: u32) -> Result<NewLogEntry, ValueError> {
    let value = mixed(number);
    let millis = i64::from(number) * DAYS * 86_400_000 / i64::from(rows);
    Ok(NewLogEntry {
        ts: Timestamp::from_millis(FIRST_MILLIS + millis)?,
        level: match value % 100 {
            0 => LogLevel::Error,
            1..5 => LogLevel::Warn,
            5..25 => LogLevel::Debug,
            _ => LogLevel::Info,
        },
        service: service(value >> 3).parse()?,
        category: category(value >> 5),
        action: Some(action(value >> 7).parse()?),
        request_id: Some(request(number).parse()?),
        user_id: Some(user(value >> 9)),
        message: format!("request {number} of {} took {} ms", service(value >> 3), value % 1_000).parse()?,
        duration_ms: Some(i64::from(value % 1_000)),
        ..NewLogEntry::default()
    })
}

fn user(value: u32) -> Uuid {
    Uuid::from_u128(u128::from(value % USERS) << 64)
}

fn service(value: u32) -> String {
    format!("service-{}", value % 12)
}

fn category(value: u32) -> LogCategory {
    LogCategory::ALL[value as usize % LogCategory::ALL.len()]
}

fn action(value: u32) -> String {
    format!("action-{}", value % ACTIONS)
}

/// Five entries belong to a request.
fn request(number: u32) -> String {
    format!("request-{}", number / 5)
}

/// The same disorder in every run.
const fn mixed(number: u32) -> u32 {
    let mixed = number.wrapping_mul(2_654_435_761);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85eb_ca6b);
    mixed ^ (mixed >> 13)
}
