//! Trading: trades as exchanges report them.
//!
//! Saving a trade is idempotent: its id is made of what identifies it, so the same trade saved again, by whomever, is the
//! same row. Prices and quantities are exact from end to end.

mod insert;
mod points;
mod query;
mod save;
mod scan;
mod statistics;
mod tally;

use futures::Stream;
use uuid::Uuid;

pub use points::{TradePoint, trade_points};
pub use query::{TradeFilter, TradeTotals, stream, totals, trade, trades};
pub use save::{NewTrade, SavedTrade, TRADES, TradeBatch, save_trade, save_trades};
pub use statistics::{StatisticsFilter, rebuild_day, statistics};

use super::partitions::Partitions;
use crate::Error;
use crate::clock::Clock;
use crate::db::{Db, Page};
use crate::entity::trading::trade::Model as Trade;
use crate::types::TimeRange;

/// The trading service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Trading<'a> {
    db: &'a Db,
    clock: &'a dyn Clock,
    partitions: &'a Partitions,
}

impl<'a> Trading<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock, partitions: &'a Partitions) -> Self {
        Self { db, clock, partitions }
    }

    /// One trade. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn trade(&self, id: Uuid) -> Result<Trade, Error> {
        trade(self.db.reader(), id).await
    }

    /// A page of trades. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn trades(&self, filter: &TradeFilter) -> Result<Page<Trade>, Error> {
        trades(self.db.reader(), filter).await
    }

    /// All trades of a filter, whatever its limit, read page by page: see [`stream`].
    ///
    /// # Errors
    /// An item is [`Error::Cursor`] for a cursor of another filter, or the database's error, and then the last one.
    pub fn stream(&self, filter: &TradeFilter) -> impl Stream<Item = Result<Trade, Error>> + Send + use<'a> {
        stream(self.db.reader(), filter)
    }

    /// What the trades of a filter add up to, exactly. Three round trips.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn totals(&self, filter: &TradeFilter) -> Result<TradeTotals, Error> {
        totals(self.db.reader(), filter).await
    }

    /// What a chart needs of the trades of a symbol: see [`trade_points`]. From the primary, so that trades that were just
    /// saved are there. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn trade_points(
        &self,
        exchange: &str,
        symbol: &str,
        traded: TimeRange,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<TradePoint>, Error> {
        trade_points(self.db.writer(), exchange, symbol, traded, after, limit).await
    }
}
