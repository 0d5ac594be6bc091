//! Market data: ticks, candles, indicators and metrics, each a series of points in time.
//!
//! Ticks are saved in batches, once each, whatever comes late or twice. Candles are built from ticks, from trades or from
//! shorter candles, and are the same from each of them and on every engine: open and close are the first and last price by
//! time and then sequence, sums are exact, intervals begin at multiples of their length in UTC, and where nothing was
//! traded there is none. A late tick is put right by building its interval again. Indicators are measurements over candles,
//! in floating point. Old rows are deleted by bounded ranges of the primary key.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = format!("sqlite://{}/s.db", folder.path().display());
//! # let config = stanchion::config::Config::new(stanchion::config::Database::new(url.parse().unwrap()));
//! # stanchion::App::migrate(&config).await?;
//! # let app = stanchion::App::start(config).await?;
//! use stanchion::domain::market::{CandleBuild, CandleFilter, CandleSource, Indicator, NewTick, Series};
//! use stanchion::entity::market::Period;
//! use stanchion::types::Timestamp;
//!
//! let tick = |seq: i64, price: &str| -> Result<NewTick, stanchion::Error> {
//!     Ok(NewTick {
//!         exchange: "binance".parse()?,
//!         symbol: "XRPETH".parse()?,
//!         ts: Timestamp::from_millis(1_570_752_000_000 + seq * 20_000)?,
//!         seq,
//!         price: price.parse()?,
//!         quantity: "2".parse()?,
//!         side: None,
//!     })
//! };
//! let market = app.market();
//! market.save_ticks([tick(0, "1.5")?, tick(1, "1.7")?, tick(2, "1.6")?, tick(3, "1.4")?]).await?;
//!
//! let series = Series::new("binance", "XRPETH")?;
//! market.build_candles(CandleSource::Ticks, &CandleBuild::of(series.clone(), Period::M1)).await?;
//! let candles = market.candles(&CandleFilter::of(series, Period::M1)).await?.items;
//! assert_eq!(candles.len(), 2);
//! let [open, high, low, close] = [candles[1].open, candles[1].high, candles[1].low, candles[1].close];
//! assert_eq!([open, high, low, close], ["1.5".parse()?, "1.7".parse()?, "1.5".parse()?, "1.6".parse()?]);
//! assert_eq!(candles[1].quote_volume, "9.6".parse()?);
//! let averages = Indicator::Sma { period: 2 }.over(&candles)?;
//! assert_eq!(averages, [None, Some(vec![1.5])]);
//! # app.close().await; Ok(()) }
//! ```

mod aggregate;
mod build;
mod candles;
mod fold;
mod indicators;
mod metrics;
mod retention;
mod series;
mod source;
mod ticks;

pub use build::{Built, CandleBuild, build_candles, save_candles};
pub use candles::{CandleFilter, MAX_INTERVALS, candles, candles_between};
pub use indicators::Indicator;
pub use metrics::{MAX_LABELS, MetricFilter, NewMetric, metrics, record_metrics};
pub use retention::MAX_BATCH;
pub use series::Series;
pub use source::CandleSource;
pub use ticks::{NewTick, TickFilter, save_ticks, ticks};

use crate::Error;
use crate::clock::Clock;
use crate::db::bulk::{self, Rows, Saved};
use crate::db::{Db, Page};
use crate::entity::market::Period;
use crate::entity::market::candle::Model as Candle;
use crate::entity::market::tick::{Entity as TickEntity, Model as Tick};
use crate::entity::market::trading_metric::{Entity as MetricEntity, Model as Metric};
use crate::types::Timestamp;

/// The market service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Market<'a> {
    db: &'a Db,
    clock: &'a dyn Clock,
}

impl<'a> Market<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock) -> Self {
        Self { db, clock }
    }

    /// Saves ticks in one transaction: all that are new, or none if one is refused. Those that are there already change
    /// nothing and are counted. Tens of thousands at once are a good batch; see [`db::bulk`](crate::db::bulk). Six round
    /// trips on PostgreSQL when all are new.
    ///
    /// # Errors
    /// [`Error::Value`] for a tick that cannot be stored, naming the column; those of the database.
    ///
    /// # Cancellation
    /// A dropped future saves nothing, or everything if the commit had begun.
    pub async fn save_ticks(&self, ticks: impl IntoIterator<Item = NewTick>) -> Result<Saved, Error> {
        let now = self.clock.now();
        let ticks = ticks.into_iter().map(|tick| tick.into_model(now)).collect::<Result<Vec<_>, _>>()?;
        let rows = Rows::of::<TickEntity>(ticks);
        self.db.transaction(async |tx| bulk::insert(tx, &rows).await).await
    }

    /// A page of ticks. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn ticks(&self, filter: &TickFilter) -> Result<Page<Tick>, Error> {
        ticks(self.db.reader(), filter).await
    }

    /// Builds candles and saves them, step by step, each step in a transaction of its own: see [`build_candles()`], and two
    /// round trips more a step. Built again they are the same; after a late tick, build its interval again.
    ///
    /// # Errors
    /// As [`build_candles()`].
    ///
    /// # Cancellation
    /// A dropped future leaves whole candles; building again goes over all of them.
    pub async fn build_candles(&self, source: CandleSource<'_>, build: &CandleBuild) -> Result<Built, Error> {
        build::build_stepwise(self.db, source, build, self.clock.now()).await
    }

    /// A page of candles. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn candles(&self, filter: &CandleFilter) -> Result<Page<Candle>, Error> {
        candles(self.db.reader(), filter).await
    }

    /// All candles of a range of at most [`MAX_INTERVALS`], oldest first. One round trip.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the range is longer, and those of the database.
    pub async fn candles_between(
        &self,
        series: &Series,
        period: Period,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Candle>, Error> {
        candles_between(self.db.reader(), series, period, from, to).await
    }

    /// Records points of metrics in one transaction: all or none. A point of a series at an instant that has one changes
    /// nothing and is counted.
    ///
    /// # Errors
    /// [`Error::Value`] for a point that cannot be stored, naming the column; those of the database.
    pub async fn record_metrics(&self, metrics: impl IntoIterator<Item = NewMetric>) -> Result<Saved, Error> {
        let now = self.clock.now();
        let metrics = metrics.into_iter().map(|metric| metric.into_model(now)).collect::<Result<Vec<_>, _>>()?;
        let rows = Rows::of::<MetricEntity>(metrics);
        self.db.transaction(async |tx| bulk::insert(tx, &rows).await).await
    }

    /// A page of a metric's points. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn metrics(&self, filter: &MetricFilter) -> Result<Page<Metric>, Error> {
        metrics(self.db.reader(), filter).await
    }

    /// Deletes the ticks that were seen before an instant, and returns how many: at most `batch` in a transaction (and never
    /// more than [`MAX_BATCH`]), one series after the other. Four round trips a batch, and up to two a series.
    ///
    /// # Errors
    /// Those of the database; what was deleted before stays deleted.
    ///
    /// # Cancellation
    /// A dropped future leaves whole batches deleted; calling it again goes on.
    pub async fn delete_ticks_before(&self, before: Timestamp, batch: u32) -> Result<u64, Error> {
        retention::delete_ticks(self.db, before, batch).await
    }

    /// Deletes the candles of a period whose interval begins before an instant, as [`Market::delete_ticks_before`] does.
    ///
    /// # Errors
    /// As [`Market::delete_ticks_before`].
    pub async fn delete_candles_before(&self, period: Period, before: Timestamp, batch: u32) -> Result<u64, Error> {
        retention::delete_candles(self.db, period, before, batch).await
    }

    /// Deletes the points of metrics that were taken before an instant, as [`Market::delete_ticks_before`] does.
    ///
    /// # Errors
    /// As [`Market::delete_ticks_before`].
    pub async fn delete_metrics_before(&self, before: Timestamp, batch: u32) -> Result<u64, Error> {
        retention::delete_metrics(self.db, before, batch).await
    }
}
