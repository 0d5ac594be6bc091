//! Candles of the trades that are stored: built, saved, and reported with indicators, exact where they are exact.
//!
//! The program prints what [`report`] says, as JSON or as a table, or draws it with [`draw`].

mod plot;

use serde::Serialize;
use serde_json::{Map, Value, json};
use stanchion::config::Domain;
use stanchion::domain::market::{self, CandleBuild, CandleFilter, CandleSource, Indicator, Series};
use stanchion::entity::market::Period;
use stanchion::entity::market::candle::Model as Candle;
use stanchion::types::{TimeRange, Timestamp};
use stanchion::{App, Error};

pub use self::plot::draw;
use crate::import::{Fault, exchange_name, symbol_name};

/// Candles that are reported at most.
pub const MOST: u32 = 10_000;

/// Which candles to report.
#[derive(Clone, Debug)]
pub struct Request {
    /// Of which symbol.
    pub series: Series,
    /// Of which length.
    pub period: Period,
    /// In which range of time; an end within an interval takes the interval in.
    pub range: TimeRange,
    /// Computed from the first candle that is read: [`MOST`] at most.
    pub indicators: Vec<Indicator>,
    /// How many, the newest ones.
    pub limit: u32,
}

/// A symbol on an exchange, written as for an import: `xrp/eth` is `XRPETH`.
///
/// # Errors
/// [`Fault`] for a name that no column holds.
pub fn series(exchange: &str, symbol: &str) -> Result<Series, Fault> {
    let (exchange, symbol) = (exchange_name("--exchange", exchange)?, symbol_name("--symbol", symbol)?);
    // Both have been checked for what a series asks of them.
    Series::new(&exchange, &symbol).map_err(|error| Fault::at("symbol", "--symbol", error.to_string()))
}

/// What was built.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The exchange.
    pub exchange: String,
    /// The symbol.
    pub symbol: String,
    /// The length of a candle.
    pub interval: Period,
    /// Trades that were read, and are in candles now.
    pub trades: u64,
    /// Whether there are older candles in the range that are not shown.
    pub more: bool,
    /// The candles, oldest first.
    pub candles: Vec<Row>,
}

/// A candle, as it is printed.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// When its interval begins.
    pub open_time: Timestamp,
    /// The first price.
    pub open: String,
    /// The highest price.
    pub high: String,
    /// The lowest price.
    pub low: String,
    /// The last price.
    pub close: String,
    /// How many units changed hands.
    pub volume: String,
    /// What was paid for them.
    pub quote_volume: String,
    /// How many trades there were.
    pub trade_count: i64,
    /// Whether the interval is over.
    pub closed: bool,
    /// By name, a number, or numbers by line; null while there are too few candles.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub indicators: Map<String, Value>,
}

/// Builds the candles of the trades in the range, saves them, and reports the newest. Built again they are the same.
///
/// # Errors
/// Those of the databases, and of sums that a candle cannot hold.
pub async fn report(app: &App, request: &Request) -> Result<Report, Error> {
    let Request { series, period, range, indicators, limit } = request;
    let mut build = CandleBuild::of(series.clone(), *period);
    let mut filter = CandleFilter::of(series.clone(), *period).limit(1_000);
    if let Some(from) = range.from {
        build = build.from(from);
        // The candle that the range begins in is of it, too.
        filter = filter.from(period.interval_of(from)?);
    }
    if let Some(to) = range.to {
        (build, filter) = (build.to(to), filter.to(to));
    }
    let built = app.market().build_candles(CandleSource::Trades(app.trading()), &build).await?;

    let mut candles: Vec<Candle> = Vec::new();
    let mut more = loop {
        // A replica may not have them yet.
        let page = market::candles(app.db(Domain::Market).writer(), &filter).await?;
        candles.extend(page.items);
        match page.next {
            Some(_) if candles.len() >= MOST as usize => break true,
            Some(next) => filter = filter.after(Some(next)),
            None => break false,
        }
    };
    candles.reverse();
    let mut rows: Vec<Row> = candles.iter().map(row).collect();
    for indicator in indicators {
        let lines = indicator.lines();
        for (row, values) in rows.iter_mut().zip(indicator.over(&candles)?) {
            let value = match values.as_deref() {
                None => Value::Null,
                Some([value]) => json!(value),
                Some(values) => {
                    lines.iter().zip(values).map(|(line, value)| ((*line).to_owned(), json!(value))).collect()
                }
            };
            row.indicators.insert(indicator.to_string(), value);
        }
    }
    let hidden = rows.len().saturating_sub(*limit as usize);
    more |= hidden > 0;
    rows.drain(..hidden);
    Ok(Report {
        exchange: series.exchange().to_string(),
        symbol: series.symbol().to_string(),
        interval: *period,
        trades: built.trades,
        more,
        candles: rows,
    })
}

/// When the first trade of a symbol was, if there is one.
///
/// # Errors
/// Those of the database.
pub async fn first_trade(app: &App, series: &Series) -> Result<Option<Timestamp>, Error> {
    let (exchange, symbol) = (series.exchange(), series.symbol());
    let trades = app.trading().trade_points(exchange, symbol, TimeRange::default(), None, 1).await?;
    Ok(trades.first().map(|trade| trade.traded_at))
}

fn row(candle: &Candle) -> Row {
    let price = |price: stanchion::types::Price| price.get().normalize().to_string();
    Row {
        open_time: candle.open_time,
        open: price(candle.open),
        high: price(candle.high),
        low: price(candle.low),
        close: price(candle.close),
        volume: candle.volume.get().normalize().to_string(),
        quote_volume: candle.quote_volume.get().normalize().to_string(),
        trade_count: candle.trade_count,
        closed: candle.closed,
        indicators: Map::new(),
    }
}
