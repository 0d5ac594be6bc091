//! Trading: trades as exchanges report them, orders on exchanges, and who trades which symbol.
//!
//! Saving a trade is idempotent: its id is made of what identifies it, so the same trade saved again, by whomever, is the
//! same row. The statistics of its day change in the same transaction, so they are always what the trades add up to. Prices
//! and quantities are exact from end to end. An order is placed once, and a level of a grid has one live order, however many
//! instances try at once: the database's keys see to that. A symbol has one holder; one that was taken over is refused by
//! its fence.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = format!("sqlite://{}/s.db", folder.path().display()).parse().unwrap();
//! # let config = stanchion::config::Config::new(stanchion::config::Database::new(url));
//! # stanchion::App::migrate(&config).await?;
//! # let app = stanchion::App::start(config).await?;
//! use std::time::Duration;
//!
//! use stanchion::domain::trading::{Fill, NewOrder};
//! use stanchion::entity::trading::OrderStatus;
//!
//! let trading = app.trading();
//! let (exchange, node) = ("binance".parse()?, "node-1".parse()?);
//! let held = trading.assign(&exchange, &["ETHUSDT".parse()?], &node, Duration::from_secs(30)).await?;
//! let draft = NewOrder {
//!     exchange,
//!     symbol: "ETHUSDT".parse()?,
//!     client_order_id: "grid-1850-1".parse()?,
//!     price: Some("1853.27".parse()?),
//!     quantity: "0.5".parse()?,
//!     instance_id: node,
//!     fence: Some(held[0].fence),
//!     ..NewOrder::default()
//! };
//! let placed = trading.place_at_level(draft.clone(), "10".parse()?).await?;
//! assert!(placed.is_new && placed.order.price_level == Some("1850".parse()?));
//! // Somebody else at the same level is told of the order that is there.
//! let rival = NewOrder { client_order_id: "grid-1850-2".parse()?, ..draft };
//! assert!(!trading.place_at_level(rival, "10".parse()?).await?.is_new);
//!
//! let fill = Fill { filled_quantity: "0.5".parse()?, filled_quote: "926.635".parse()? };
//! assert_eq!(trading.fill_order(placed.order.id, fill).await?.status, OrderStatus::Filled);
//! # app.close().await; Ok(()) }
//! ```

mod assignment;
mod desk;
mod insert;
mod instance;
mod order;
mod points;
mod query;
mod reconcile;
mod risk;
mod save;
mod scan;
mod statistics;
mod tally;

use futures::Stream;
use uuid::Uuid;

pub use assignment::{assign, assignments, check_fence, release, renew, share_of};
pub use desk::{Desk, Held, Symbols};
pub use instance::{NewInstance, heartbeat, instance, instances, register};
pub use order::{
    Ending, Fill, NewOrder, OrderFilter, Placed, acknowledge, end, fill, live_at_level, order, order_by_client_id,
    orders, place, place_at_level, price_level,
};
pub use points::{TradePoint, trade_points};
pub use query::{TradeFilter, TradeTotals, stream, totals, trade, trades};
pub use reconcile::{ReconciliationFilter, Snapshot, reconciliations};
pub use risk::{NewRiskCheck, RiskFilter, record_risk_check, risk_checks};
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
