use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};

use super::place::{insert, same};
use super::{NewOrder, Placed};
use crate::Error;
use crate::db::Tx;
use crate::domain::trading::Trading;
use crate::entity::trading::trade_order::{Column, Entity, Model as TradeOrder};
use crate::entity::trading::{OrderStatus, Side};
use crate::types::{AtColumn, Price, Timestamp};

/// The states of an order that occupies its level.
pub(super) const LIVE: [OrderStatus; 3] = [OrderStatus::New, OrderStatus::Submitted, OrderStatus::PartiallyFilled];

/// The level of a grid that a price is on: `floor(price / step) * step`, exactly.
///
/// ```
/// use stanchion::domain::trading::price_level;
///
/// let level = price_level("1853.27".parse()?, "2.5".parse()?)?;
/// assert_eq!(level, "1852.5".parse()?);
/// # Ok::<(), stanchion::Error>(())
/// ```
///
/// # Errors
/// [`Error::Value`] for a price or step that is not above zero.
pub fn price_level(price: Price, step: Price) -> Result<Price, Error> {
    // Both have twelve digits after the point: without it they are whole numbers, and there is nothing to round.
    let price = price.positive().at("trade_orders.price")?.get().mantissa();
    let step = step.positive().at("trade_orders.price_level")?.get().mantissa();
    Ok(Price::new(Decimal::from_i128_with_scale(price - price % step, Price::ZERO.get().scale()))?)
}

/// The live order of a level, if it has one. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn live_at_level(
    db: &impl ConnectionTrait,
    exchange: &str,
    symbol: &str,
    side: Side,
    level: Price,
) -> Result<Option<TradeOrder>, Error> {
    let select = Entity::find()
        .filter(Column::Symbol.eq(symbol))
        .filter(Column::Status.is_in(LIVE))
        .filter(Column::Exchange.eq(exchange))
        .filter(Column::Side.eq(side))
        .filter(Column::PriceLevel.eq(level));
    Ok(select.one(db).await?)
}

/// Places an order at the level of its price on a grid of this step, if no order of its side is live there; otherwise it
/// answers with the one that is. However many try at once, the database lets one through.
///
/// Two orders whose price is on the same level are rivals whatever their prices are. A level is free again when its order is
/// filled, cancelled, rejected or expired. The fence is checked in any case. One round trip, one more with a fence, and one
/// or two where there is an order.
///
/// # Errors
/// As [`place`](super::place), and [`Error::Invalid`] for an order without a price.
pub async fn place_at_level(tx: &Tx, order: NewOrder, step: Price, now: Timestamp) -> Result<Placed, Error> {
    let fence = order.fence;
    insert(tx, at_level(order, step, now)?, fence).await
}

fn at_level(order: NewOrder, step: Price, now: Timestamp) -> Result<TradeOrder, Error> {
    let Some(price) = order.price else {
        return Err(Error::Invalid("an order without a price has no level".into()));
    };
    let level = price_level(price, step)?;
    order.into_model(Some(level), now)
}

impl Trading<'_> {
    /// Places an order at the level of its price, if no order of its side is live there: see [`place_at_level`]. One round
    /// trip where there is one: the fence is not looked at then, because nothing is written. Four where there is none, five
    /// with a fence.
    ///
    /// # Errors
    /// As [`place_at_level`].
    ///
    /// # Cancellation
    /// Dropped before the commit it places nothing; placing it again is harmless in any case.
    pub async fn place_at_level(&self, order: NewOrder, step: Price) -> Result<Placed, Error> {
        let now = self.clock.now();
        let row = at_level(order.clone(), step, now)?;
        let level = row.price_level.unwrap_or_default();
        if let Some(live) = live_at_level(self.db.writer(), &row.exchange, &row.symbol, row.side, level).await? {
            if live.client_order_id == row.client_order_id {
                return same(live, &row);
            }
            return Ok(Placed { order: live, is_new: false });
        }
        self.db.transaction(async |tx| insert(tx, row.clone(), order.fence).await).await
    }
}
