use std::time::Duration;

use serde::{Serialize, Serializer};
use stanchion::App;
use stanchion::domain::trading::TradeFilter;

use super::formats::Format;
use super::tally::Tally;

/// What an import did. Records are counted once their batch is saved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// What was read.
    pub input: String,
    /// Its format; [`Format::Auto`] where no record told it.
    #[serde(serialize_with = "as_text")]
    pub format: Format,
    /// How it ended.
    pub end: End,
    /// Records of the batches that were saved, bad ones included.
    pub read: u64,
    /// Trades that were not there before.
    pub new: u64,
    /// Trades that were there already, or twice in the input.
    pub already_there: u64,
    /// Records that were bad, and skipped.
    pub bad: u64,
    /// How long it took, without the totals of the database.
    #[serde(serialize_with = "in_seconds")]
    pub seconds: Duration,
    /// Records a second.
    pub rows_per_second: u64,
    /// What the trades of each symbol add up to.
    pub symbols: Vec<SymbolReport>,
}

/// How an import ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Everything was read and saved, but for what was skipped.
    Complete,
    /// It was told to stop, and did after a whole batch.
    Interrupted,
    /// It stopped at an error, after a whole batch.
    Failed,
}

/// What the trades of a symbol add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SymbolReport {
    /// The exchange.
    pub exchange: String,
    /// The symbol.
    pub symbol: String,
    /// The records of the input, each counted as often as it is there.
    #[serde(flatten)]
    pub input: Sums,
    /// All of the symbol's trades in the database afterwards; `None` if they could not be summed.
    pub database: Option<Sums>,
}

/// Exact sums.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// How many trades.
    pub count: u64,
    /// Their quantity.
    pub quantity: String,
    /// Their price x quantity.
    pub quote_quantity: String,
}

impl Report {
    pub(super) fn new(input: String) -> Self {
        Self {
            input,
            format: Format::Auto,
            end: End::Failed,
            read: 0,
            new: 0,
            already_there: 0,
            bad: 0,
            seconds: Duration::ZERO,
            rows_per_second: 0,
            symbols: Vec::new(),
        }
    }

    pub(super) fn took(&mut self, elapsed: Duration) {
        self.seconds = elapsed;
        let millis = elapsed.as_millis().max(1);
        self.rows_per_second = u64::try_from(u128::from(self.read) * 1_000 / millis).unwrap_or(u64::MAX);
    }
}

/// The sums of the input, beside those of the database if it is to be asked.
pub(super) async fn symbols(tally: &Tally, app: Option<&App>) -> Vec<SymbolReport> {
    let mut symbols = Vec::new();
    for (exchange, symbol, sums) in tally.iter() {
        let database = match app {
            Some(app) => totals(app, exchange, symbol).await,
            None => None,
        };
        let input = Sums { count: sums.count, quantity: sums.quantity(), quote_quantity: sums.quote_quantity() };
        symbols.push(SymbolReport { exchange: exchange.to_owned(), symbol: symbol.to_owned(), input, database });
    }
    symbols
}

async fn totals(app: &App, exchange: &str, symbol: &str) -> Option<Sums> {
    let filter = TradeFilter::symbol(symbol).exchange(exchange);
    match app.trading().totals(&filter).await {
        Ok(totals) => Some(Sums {
            count: totals.count,
            quantity: totals.quantity.normalize().to_string(),
            quote_quantity: totals.quote_quantity.normalize().to_string(),
        }),
        Err(error) => {
            // The trades are saved; a sum that takes too long is no reason to say that they are not.
            tracing::warn!(%error, exchange, symbol, "the trades in the database could not be summed");
            None
        }
    }
}

fn as_text<S: Serializer>(format: &Format, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(format.name())
}

fn in_seconds<S: Serializer>(elapsed: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((elapsed.as_secs_f64() * 1_000.0).round() / 1_000.0)
}
