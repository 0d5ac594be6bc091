//! Trading: trades as exchanges report them.
//!
//! Saving a trade is idempotent: its id is made of what identifies it, so the same trade saved again, by whomever, is the
//! same row. Prices and quantities are exact from end to end.

mod query;
mod save;

use uuid::Uuid;

pub use query::{TradeFilter, TradeTotals, totals, trade, trades};
pub use save::{NewTrade, TRADES, save_trades};

use super::partitions::Partitions;
use crate::Error;
use crate::clock::Clock;
use crate::db::bulk::{self, Rows, Saved};
use crate::db::{Db, Page};
use crate::entity::trading::trade::{Entity as TradeEntity, Model as Trade};

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

    /// Saves trades in one transaction: all that are new, or none if one is refused. Those that are there already are
    /// counted and left alone. Tens of thousands at once are a good batch; see [`db::bulk`](crate::db::bulk).
    ///
    /// # Errors
    /// [`Error::Value`] for a trade that cannot be stored (before 1970; a product of price and quantity that is too large
    /// or too precise), naming the column; those of the database.
    ///
    /// # Cancellation
    /// A dropped future saves nothing, or everything if the commit had begun.
    pub async fn save_trades(&self, trades: impl IntoIterator<Item = NewTrade>) -> Result<Saved, Error> {
        let now = self.clock.now();
        let trades = trades.into_iter().map(|trade| trade.into_model(now)).collect::<Result<Vec<_>, _>>()?;
        self.partitions.ensure(self.db, TRADES, trades.iter().map(|trade| trade.traded_at)).await?;
        let rows = Rows::of::<TradeEntity>(trades);
        let saved = self.db.transaction(async |tx| bulk::insert(tx, &rows).await).await;
        saved.inspect_err(|_| self.partitions.forget())
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

    /// What the trades of a filter add up to, exactly. Three round trips.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn totals(&self, filter: &TradeFilter) -> Result<TradeTotals, Error> {
        totals(self.db.reader(), filter).await
    }
}
