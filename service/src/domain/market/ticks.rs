use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait};

use super::Series;
use crate::Error;
use crate::db::bulk::{self, Rows, Saved};
use crate::db::page::PageRequest;
use crate::db::{Page, Tx};
use crate::entity::market::tick::{Column, Entity, Model};
use crate::entity::trading::Side;
use crate::types::{AtColumn, Price, Problem, Quantity, QuoteAmount, Text, TimeRange, Timestamp, ValueError};

/// A tick to be saved: one price of a symbol.
///
/// ```
/// use stanchion::domain::market::NewTick;
/// use stanchion::types::Timestamp;
///
/// let tick = NewTick {
///     exchange: "binance".parse()?,
///     symbol: "XRPETH".parse()?,
///     ts: Timestamp::from_millis(1_570_752_011_620)?,
///     seq: 13_519_807,
///     price: "0.00141342".parse()?,
///     quantity: "23".parse()?,
///     side: None,
/// };
/// # drop(tick);
/// # Ok::<(), stanchion::types::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTick {
    /// The exchange, in lower case.
    pub exchange: Text<32>,
    /// The symbol in the exchange's own writing.
    pub symbol: Text<32>,
    /// When the exchange saw it.
    pub ts: Timestamp,
    /// The exchange's sequence number: what orders ticks of the same instant, and tells them apart.
    pub seq: i64,
    /// The price of one unit, above zero.
    pub price: Price,
    /// How many units: zero or more.
    pub quantity: Quantity,
    /// The taker's side, where the exchange tells it.
    pub side: Option<Side>,
}

impl NewTick {
    /// The row that it becomes, saved at `now`.
    ///
    /// # Errors
    /// What is wrong with it, naming the column: a blank exchange or symbol, a price that is not above zero, a quantity below
    /// zero, or a product of the two that a candle could not hold exactly.
    pub fn into_model(self, now: Timestamp) -> Result<Model, ValueError> {
        let price = self.price.positive().at("ticks.price")?;
        if self.quantity < Quantity::ZERO {
            return Err(ValueError::at("ticks.quantity", Problem::Malformed { expected: "zero or more" }));
        }
        // What cannot be multiplied exactly now could not be summed exactly later.
        QuoteAmount::product(price.get(), self.quantity.get()).at("ticks.price x ticks.quantity")?;
        Ok(Model {
            exchange: self.exchange.non_blank().at("ticks.exchange")?,
            symbol: self.symbol.non_blank().at("ticks.symbol")?,
            ts: self.ts,
            seq: self.seq,
            price,
            quantity: self.quantity,
            side: self.side,
            created_at: now,
        })
    }
}

/// Saves ticks in the caller's transaction; those whose key is there already change nothing and are counted.
///
/// # Errors
/// Those of [`bulk::insert`].
pub async fn save_ticks(tx: &Tx, ticks: impl IntoIterator<Item = Model>) -> Result<Saved, Error> {
    bulk::insert(tx, &Rows::of::<Entity>(ticks)).await
}

/// Which ticks of a series, in which order, and how many. Newest first unless said otherwise; ticks of the same instant are
/// in the order of their sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TickFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Criteria {
    series: Series,
    seen: TimeRange,
}

crate::domain::paged!(TickFilter);

impl TickFilter {
    /// All ticks of a series.
    pub fn of(series: Series) -> Self {
        Self { criteria: Criteria { series, seen: TimeRange::default() }, page: PageRequest::default() }
    }

    /// Seen at this instant or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.criteria.seen.from = Some(from);
        self
    }

    /// Seen before this instant.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.criteria.seen.to = Some(to);
        self
    }
}

/// A page of ticks. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn ticks(db: &impl ConnectionTrait, filter: &TickFilter) -> Result<Page<Model>, Error> {
    let Criteria { series, seen } = &filter.criteria;
    let select = Entity::find()
        .filter(Column::Exchange.eq(series.exchange().as_str()))
        .filter(Column::Symbol.eq(series.symbol().as_str()))
        .apply_if(seen.from, |select, from| select.filter(Column::Ts.gte(from)))
        .apply_if(seen.to, |select, to| select.filter(Column::Ts.lt(to)));
    filter.page.read(db, select, [Column::Ts, Column::Seq], &filter.criteria).await
}
