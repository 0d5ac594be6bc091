use sea_orm::IntoActiveModel;
use uuid::Uuid;

use super::{live_at_level, order_by_client_id};
use crate::Error;
use crate::db::Tx;
use crate::domain::trading::insert::insert_new;
use crate::domain::trading::{Trading, check_fence};
use crate::entity::trading::trade_order::Model as TradeOrder;
use crate::entity::trading::{OrderStatus, OrderType, Side};
use crate::types::{AtColumn, Price, Quantity, Text, Timestamp, id_at};

/// Tries to place an order at a level whose order ends meanwhile, again and again.
const ATTEMPTS: usize = 3;

/// An order to be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// The exchange, in lower case: `binance`.
    pub exchange: Text<32>,
    /// The symbol in the exchange's own writing.
    pub symbol: Text<32>,
    /// The id that we give it, unique on the exchange: it makes placing idempotent.
    pub client_order_id: Text<64>,
    /// Bought or sold.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// The limit, above zero; none for an order at the market's price.
    pub price: Option<Price>,
    /// How many units, above zero.
    pub quantity: Quantity,
    /// The instance that places it; empty where there is but one.
    pub instance_id: Text<64>,
    /// The fence under which the instance holds the symbol: placing is refused if it does not any more. `None` for an order
    /// outside of the assignment of symbols (by hand, or a service of one instance).
    pub fence: Option<i64>,
}

impl Default for NewOrder {
    /// A limit order of nothing: to fill in.
    fn default() -> Self {
        Self {
            exchange: Text::default(),
            symbol: Text::default(),
            client_order_id: Text::default(),
            side: Side::Buy,
            order_type: OrderType::Limit,
            price: None,
            quantity: Quantity::ZERO,
            instance_id: Text::default(),
            fence: None,
        }
    }
}

/// An order that is placed now, if it was not before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The order: this one, or the one that was there.
    pub order: TradeOrder,
    /// Whether this call placed it.
    pub is_new: bool,
}

impl NewOrder {
    /// The row that it becomes, placed at `now`.
    pub(super) fn into_model(self, price_level: Option<Price>, now: Timestamp) -> Result<TradeOrder, Error> {
        let price = match (self.order_type, self.price) {
            (OrderType::Market, None) => None,
            (OrderType::Market, Some(_)) => {
                return Err(Error::Invalid("an order at the market's price has no limit".into()));
            }
            (_, Some(price)) => Some(price.positive().at("trade_orders.price")?),
            (order_type, None) => return Err(Error::Invalid(format!("a {order_type} order needs a price"))),
        };
        Ok(TradeOrder {
            id: id_at(now).at("trade_orders.id")?,
            exchange: self.exchange.non_blank().at("trade_orders.exchange")?,
            symbol: self.symbol.non_blank().at("trade_orders.symbol")?,
            client_order_id: self.client_order_id.non_blank().at("trade_orders.client_order_id")?,
            exchange_order_id: None,
            side: self.side,
            order_type: self.order_type,
            price,
            quantity: self.quantity.positive().at("trade_orders.quantity")?,
            filled_quantity: Quantity::ZERO,
            avg_fill_price: None,
            status: OrderStatus::New,
            instance_id: self.instance_id,
            fence: self.fence.unwrap_or(0),
            price_level,
            version: 1,
            created_at: now,
            updated_at: now,
        })
    }
}

/// Places an order at `now`, once: the same order under the same id again is the order that is there, whoever placed it. It
/// is then `new`; sending it to the exchange is the caller's work, after the commit.
///
/// One round trip, one more with a fence, and one where it is there already.
///
/// # Errors
/// [`Error::Conflict`] when another order has its id, or its fence is not the symbol's any more; [`Error::Value`] and
/// [`Error::Invalid`] for an order that makes no sense; those of the database.
pub async fn place(tx: &Tx, order: NewOrder, now: Timestamp) -> Result<Placed, Error> {
    let fence = order.fence;
    insert(tx, order.into_model(None, now)?, fence).await
}

/// Inserts the order, or finds the one that is in its place.
pub(super) async fn insert(tx: &Tx, row: TradeOrder, fence: Option<i64>) -> Result<Placed, Error> {
    if let Some(fence) = fence {
        check_fence(tx, &row.exchange, &row.symbol, &row.instance_id, fence).await?;
    }
    for _ in 0..ATTEMPTS {
        if insert_new(tx, row.clone().into_active_model()).await? {
            return Ok(Placed { order: row, is_new: true });
        }
        if let Some(order) = order_by_client_id(tx, &row.exchange, &row.client_order_id).await? {
            return same(order, &row);
        }
        if let Some(level) = row.price_level
            && let Some(order) = live_at_level(tx, &row.exchange, &row.symbol, row.side, level).await?
        {
            return Ok(Placed { order, is_new: false });
        }
    }
    Err(Error::Conflict(format!("the order at the level of {} changes all the time", row.client_order_id)))
}

/// The order that has the id of `row`, if it is the same order.
pub(super) fn same(order: TradeOrder, row: &TradeOrder) -> Result<Placed, Error> {
    let content = |order: &TradeOrder| {
        (order.symbol.clone(), order.side, order.order_type, order.price, order.quantity, order.price_level)
    };
    if content(&order) == content(row) {
        return Ok(Placed { order, is_new: false });
    }
    let (id, exchange) = (&row.client_order_id, &row.exchange);
    Err(Error::Conflict(format!("the id {id} is that of another order on {exchange}")))
}

impl Trading<'_> {
    /// Places an order, once: see [`place`]. Three round trips, four with a fence; one more where it is there already.
    ///
    /// # Errors
    /// As [`place`].
    ///
    /// # Cancellation
    /// Dropped before the commit it places nothing; placing it again is harmless in any case.
    pub async fn place_order(&self, order: NewOrder) -> Result<Placed, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| place(tx, order.clone(), now).await).await
    }

    /// One order. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn order(&self, id: Uuid) -> Result<TradeOrder, Error> {
        super::order(self.db.reader(), id).await
    }
}
