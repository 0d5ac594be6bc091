use futures::stream::{self, Stream, TryStreamExt};
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryTrait, Select};
use uuid::Uuid;

use crate::Error;
use crate::db::page::{MAX_LIMIT, PageRequest};
use crate::db::{ById, Page, sum};
use crate::entity::trading::Side;
use crate::entity::trading::trade::{Column, Entity, Model};
use crate::types::{TimeRange, Timestamp, id_bounds};

/// Which trades, in which order, and how many.
///
/// Newest first unless said otherwise; trades of the same millisecond are in the order of their ids.
///
/// ```
/// use stanchion::db::Order;
/// use stanchion::domain::trading::TradeFilter;
/// use stanchion::entity::trading::Side;
///
/// let filter = TradeFilter::symbol("ETHUSDT").side(Side::Buy).order(Order::Asc).limit(100);
/// # drop(filter);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TradeFilter {
    criteria: Criteria,
    page: PageRequest,
}

/// What a trade has to be like: what makes two lists the same list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    exchange: Option<String>,
    symbol: Option<String>,
    side: Option<Side>,
    order_id: Option<Uuid>,
    traded: TimeRange,
}

crate::domain::paged!(TradeFilter);

impl TradeFilter {
    /// All trades.
    pub fn new() -> Self {
        Self::default()
    }

    /// The trades of a symbol.
    pub fn symbol(symbol: impl Into<String>) -> Self {
        Self::new().with_symbol(symbol)
    }

    /// Of this symbol.
    #[must_use]
    pub fn with_symbol(mut self, symbol: impl Into<String>) -> Self {
        self.criteria.symbol = Some(symbol.into());
        self
    }

    /// On this exchange.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.criteria.exchange = Some(exchange.into());
        self
    }

    /// Of this side.
    #[must_use]
    pub const fn side(mut self, side: Side) -> Self {
        self.criteria.side = Some(side);
        self
    }

    /// Of this order of ours.
    #[must_use]
    pub const fn order_id(mut self, order_id: Uuid) -> Self {
        self.criteria.order_id = Some(order_id);
        self
    }

    /// Traded at this instant or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.criteria.traded.from = Some(from);
        self
    }

    /// Traded before this instant.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.criteria.traded.to = Some(to);
        self
    }

    /// Traded in this range.
    #[must_use]
    pub const fn traded(mut self, range: TimeRange) -> Self {
        self.criteria.traded = range;
        self
    }

    pub(super) fn select(&self) -> Select<Entity> {
        let Criteria { exchange, symbol, side, order_id, traded } = &self.criteria;
        // The id carries the time: its bounds let an index and the partitions narrow the range down.
        let (low, high) = id_bounds(*traded);
        Entity::find()
            .apply_if(exchange.as_deref(), |select, exchange| select.filter(Column::Exchange.eq(exchange)))
            .apply_if(symbol.as_deref(), |select, symbol| select.filter(Column::Symbol.eq(symbol)))
            .apply_if(*side, |select, side| select.filter(Column::Side.eq(side)))
            .apply_if(*order_id, |select, order| select.filter(Column::OrderId.eq(order)))
            .apply_if(low, |select, low| select.filter(Column::Id.gte(low)))
            .apply_if(high, |select, high| select.filter(Column::Id.lt(high)))
            .apply_if(traded.from, |select, from| select.filter(Column::TradedAt.gte(from)))
            .apply_if(traded.to, |select, to| select.filter(Column::TradedAt.lt(to)))
    }
}

/// What the trades of a filter add up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TradeTotals {
    /// How many they are.
    pub count: u64,
    /// The sum of their quantities.
    pub quantity: Decimal,
    /// The sum of what was paid: of price x quantity.
    pub quote_quantity: Decimal,
}

static BY_ID: ById<Entity> = ById::new();

/// One trade. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn trade(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, Error> {
    BY_ID.one(db, id).await?.ok_or_else(|| Error::not_found("trade", id))
}

/// A page of trades. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn trades(db: &impl ConnectionTrait, filter: &TradeFilter) -> Result<Page<Model>, Error> {
    filter.page.read(db, filter.select(), [Column::Id], &filter.criteria).await
}

/// All trades of a filter from its cursor on, whatever its limit, in its order.
///
/// They are read by pages of [`MAX_LIMIT`], each when the one before is used up: memory is bounded by a page, and no
/// connection is held between two of them, however slow the reader is. The price is that it is not one snapshot: trades that
/// are saved meanwhile appear where they lie ahead. None is missed or repeated that was there from the beginning. One
/// round trip a page.
///
/// # Errors
/// An item is [`Error::Cursor`] for a cursor of another filter, or the database's error, and then the last one.
pub fn stream<'c, C: ConnectionTrait>(
    db: &'c C,
    filter: &TradeFilter,
) -> impl Stream<Item = Result<Model, Error>> + Send + use<'c, C> {
    let first = filter.clone().limit(MAX_LIMIT);
    stream::try_unfold(Some(first), async move |next| {
        let Some(filter) = next else { return Ok(None) };
        let page = trades(db, &filter).await?;
        let following = page.next.map(|cursor| filter.after(Some(cursor)));
        Ok::<_, Error>(Some((stream::iter(page.items.into_iter().map(Ok)), following)))
    })
    .try_flatten()
}

/// What the trades of a filter add up to, whatever its limit. Three round trips.
///
/// # Errors
/// Those of the database.
pub async fn totals(db: &impl ConnectionTrait, filter: &TradeFilter) -> Result<TradeTotals, Error> {
    Ok(TradeTotals {
        count: filter.select().count(db).await?,
        quantity: sum::sum(db, filter.select(), Column::Quantity).await?,
        quote_quantity: sum::sum(db, filter.select(), Column::QuoteQuantity).await?,
    })
}
