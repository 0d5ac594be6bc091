use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, UpdateMany};
use uuid::Uuid;

use super::order;
use crate::Error;
use crate::domain::trading::Trading;
use crate::domain::{State, Transition};
use crate::entity::trading::OrderStatus::{
    self, Cancelled, Expired, Filled, New, PartiallyFilled, Rejected, Submitted,
};
use crate::entity::trading::trade_order::{Column, Entity, Model as TradeOrder};
use crate::types::{AtColumn, Price, Problem, Quantity, QuoteAmount, Text, Timestamp, ValueError};

impl State for OrderStatus {
    const ALL: &'static [Self] = OrderStatus::ALL;

    fn may_become(self, next: Self) -> bool {
        match self {
            New => matches!(next, Submitted | PartiallyFilled | Filled | Cancelled | Rejected | Expired),
            Submitted => matches!(next, PartiallyFilled | Filled | Cancelled | Rejected | Expired),
            PartiallyFilled => matches!(next, PartiallyFilled | Filled | Cancelled | Expired),
            Filled | Cancelled | Rejected | Expired => false,
        }
    }
}

/// What is filled of an order so far, as exchanges report it: all of it together, not the last part alone. So a report that
/// comes twice says nothing new, one that comes late says less than is known, and one that is lost is made up for by the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// How many units are filled, above zero.
    pub filled_quantity: Quantity,
    /// What was paid for them, above zero.
    pub filled_quote: QuoteAmount,
}

impl Fill {
    /// The mean price of a unit: the exact quotient, rounded once to twelve digits, halves to the even neighbour.
    ///
    /// # Errors
    /// [`Error::Value`] for amounts that are not above zero, or a price with more digits than its column.
    pub fn average(&self) -> Result<Price, Error> {
        let quantity = self.filled_quantity.positive().at("trade_orders.filled_quantity")?.get();
        let quote = self.filled_quote.positive().at("trade_orders.avg_fill_price")?.get();
        let scale = Price::ZERO.get().scale();
        // As whole numbers: at most 28 digits and eight more, which 128 bits hold.
        let shift = 10_i128.pow(scale + quantity.scale() - quote.scale());
        let (dividend, divisor) = (quote.mantissa() * shift, quantity.mantissa());
        let (quotient, twice_rest) = (dividend / divisor, dividend % divisor * 2);
        let up = twice_rest > divisor || twice_rest == divisor && quotient % 2 == 1;
        let too_large = ValueError::at("trade_orders.avg_fill_price", Problem::TooLarge { integer_digits: 16 });
        let average = Decimal::try_from_i128_with_scale(quotient + i128::from(up), scale).map_err(|_| too_large)?;
        Ok(Price::new(average).at("trade_orders.avg_fill_price")?)
    }
}

/// How an order ends without being filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The exchange has cancelled it.
    Cancelled,
    /// The exchange has refused it.
    Rejected,
    /// Its time in force is over.
    Expired,
}

impl From<Ending> for OrderStatus {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Cancelled => Cancelled,
            Ending::Rejected => Rejected,
            Ending::Expired => Expired,
        }
    }
}

/// Notes that the exchange has accepted an order under an id of its own: a `new` one is `submitted` then. One that was filled
/// before this news came keeps its state and gets the id; told again, nothing changes. Two round trips.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] for an order that has ended otherwise, naming both states, or has another id of
/// the exchange; [`Error::Value`] for a blank id; those of the database.
pub async fn acknowledge(
    db: &impl ConnectionTrait,
    id: Uuid,
    exchange_order_id: Text<64>,
    now: Timestamp,
) -> Result<TradeOrder, Error> {
    let exchange_order_id = exchange_order_id.non_blank().at("trade_orders.exchange_order_id")?;
    let status: Expr =
        Expr::case(Column::Status.eq(New), Expr::val(Submitted)).finally(Expr::col(Column::Status)).into();
    let done = changed(now)
        .col_expr(Column::Status, status)
        .col_expr(Column::ExchangeOrderId, Expr::val(exchange_order_id.clone()))
        .filter(Column::Id.eq(id))
        .filter(Column::ExchangeOrderId.is_null())
        .filter(Column::Status.is_in([New, PartiallyFilled, Filled]))
        .exec(db)
        .await?;
    let order = order(db, id).await?;
    if done.rows_affected == 1 || order.exchange_order_id.as_ref() == Some(&exchange_order_id) {
        return Ok(order);
    }
    if order.exchange_order_id.is_some() {
        return Err(Error::Conflict(format!("the order {id} is known to the exchange by another id")));
    }
    Err(refused(&order, Submitted))
}

/// Notes what is filled of an order. A report that says no more than is known changes nothing, whatever has become of the
/// order. Two round trips.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] for more than was ordered, and for an order that has ended, naming both states;
/// [`Error::Value`] for amounts that are not above zero; those of the database.
pub async fn fill(db: &impl ConnectionTrait, id: Uuid, fill: Fill, now: Timestamp) -> Result<TradeOrder, Error> {
    let (average, filled) = (fill.average()?, fill.filled_quantity);
    let is_all = Expr::col(Column::Quantity).eq(filled);
    let status: Expr = Expr::case(is_all, Expr::val(Filled)).finally(Expr::val(PartiallyFilled)).into();
    let done = changed(now)
        .col_expr(Column::Status, status)
        .col_expr(Column::FilledQuantity, Expr::val(filled))
        .col_expr(Column::AvgFillPrice, Expr::val(average))
        .filter(Column::Id.eq(id))
        .filter(Column::Status.is_in(before(Filled)))
        .filter(Column::FilledQuantity.lt(filled))
        .filter(Column::Quantity.gte(filled))
        .exec(db)
        .await?;
    let order = order(db, id).await?;
    if done.rows_affected == 1 || filled <= order.filled_quantity {
        return Ok(order);
    }
    if filled > order.quantity {
        let quantity = order.quantity;
        return Err(Error::Conflict(format!("the order {id} is of {quantity} units; {filled} cannot be filled of it")));
    }
    Err(refused(&order, if filled == order.quantity { Filled } else { PartiallyFilled }))
}

/// Notes that an order has ended before it was filled; told again, nothing changes. What was filled of it stays, and should
/// have been told before: afterwards it is refused. Two round trips, three where it had ended.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] for an order that has ended otherwise, naming both states; those of the
/// database.
pub async fn end(db: &impl ConnectionTrait, id: Uuid, ending: Ending, now: Timestamp) -> Result<TradeOrder, Error> {
    let to = OrderStatus::from(ending);
    let transition = Transition { what: "order", id: Column::Id, state: Column::Status, to };
    let refusal = transition.apply(db, id, changed(now)).await.err();
    match refusal {
        None | Some(Error::Conflict(_)) => {}
        Some(error) => return Err(error),
    }
    let order = order(db, id).await?;
    match refusal {
        Some(error) if order.status != to => Err(error),
        _ => Ok(order),
    }
}

/// An update that says that the row has changed.
fn changed(now: Timestamp) -> UpdateMany<Entity> {
    Entity::update_many()
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .col_expr(Column::UpdatedAt, Expr::val(now))
}

/// The states that may become `to`.
fn before(to: OrderStatus) -> impl Iterator<Item = OrderStatus> {
    OrderStatus::ALL.iter().copied().filter(move |from| from.may_become(to))
}

fn refused(order: &TradeOrder, to: OrderStatus) -> Error {
    Error::Conflict(format!("the order {} is {} and cannot become {to}", order.id, order.status))
}

impl Trading<'_> {
    /// Notes that the exchange has accepted an order: see [`acknowledge`]. Two round trips.
    ///
    /// # Errors
    /// As [`acknowledge`].
    pub async fn acknowledge_order(&self, id: Uuid, exchange_order_id: Text<64>) -> Result<TradeOrder, Error> {
        acknowledge(self.db.writer(), id, exchange_order_id, self.clock.now()).await
    }

    /// Notes what is filled of an order: see [`fill`]. Two round trips.
    ///
    /// # Errors
    /// As [`fill`].
    pub async fn fill_order(&self, id: Uuid, report: Fill) -> Result<TradeOrder, Error> {
        fill(self.db.writer(), id, report, self.clock.now()).await
    }

    /// Notes that an order has ended before it was filled: see [`end`]. Two round trips, three where it had ended.
    ///
    /// # Errors
    /// As [`end`].
    pub async fn end_order(&self, id: Uuid, ending: Ending) -> Result<TradeOrder, Error> {
        end(self.db.writer(), id, ending, self.clock.now()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_average_is_rounded_once_and_halves_to_the_even_neighbour() {
        let average = |quantity: &str, quote: &str| {
            let fill = Fill { filled_quantity: quantity.parse().unwrap(), filled_quote: quote.parse().unwrap() };
            fill.average().map(|average| average.to_string())
        };
        assert_eq!(average("3", "1").unwrap(), "0.333333333333");
        assert_eq!(average("3", "2").unwrap(), "0.666666666667");
        assert_eq!(average("2", "0.000000000001").unwrap(), "0.000000000000");
        assert_eq!(average("2", "0.000000000003").unwrap(), "0.000000000002");
        // One digit more than a half, which a first rounding to 28 digits would hide.
        assert_eq!(average("20000", "0.0000000100000001").unwrap(), "0.000000000001");
        let largest = average("9999999999999999.999999999999", "999999999999.9999999999999999").unwrap();
        assert_eq!(largest, "0.000100000000");
        assert!(average("0.000000000001", "999999999999").unwrap_err().is_invalid());
        assert!(average("0", "1").unwrap_err().is_invalid() && average("1", "-1").unwrap_err().is_invalid());
    }
}
