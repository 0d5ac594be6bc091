use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Ordering;
use super::status::{Change, locked, record, touch};
use crate::Error;
use crate::db::{Kind, Tx};
use crate::domain::{State, Transition};
use crate::entity::ordering::order::{self, Column as OrderColumn, Entity as Orders};
use crate::entity::ordering::order_payment::{Column, Entity, Model};
use crate::entity::ordering::{OrderStatus, PaymentStatus};
use crate::types::{AtColumn, Json, Money, Text, Timestamp, id_at};

/// A payment, as its gateway reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// The order that it is for.
    pub order_id: Uuid,
    /// The number that the gateway knows it by.
    pub payment_no: Text<50>,
    /// How it is paid: `wechat`, `alipay`, ...
    pub method: Text<20>,
    /// How much.
    pub amount: Money,
    /// The gateway's own id of it.
    #[serde(default)]
    pub transaction_id: Option<Text<100>>,
    /// What the gateway said.
    #[serde(default)]
    pub gateway_response: Option<Json>,
}

/// What became of money that has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    /// The order is paid by it.
    Accepted,
    /// It was known already: nothing has changed.
    Repeated,
    /// The order could not take it: it is cancelled, or paid already. The money is recorded and has to go back.
    RefundDue,
}

impl State for PaymentStatus {
    const ALL: &'static [Self] = Self::ALL;

    /// Money that comes after all is not refused for having failed before.
    fn may_become(self, next: Self) -> bool {
        use PaymentStatus::{Failed, Pending, Refunded, Success};

        matches!((self, next), (Pending, Success | Failed) | (Failed, Success) | (Success, Refunded))
    }
}

impl Payment {
    fn into_model(self, status: PaymentStatus, now: Timestamp) -> Result<Model, Error> {
        if self.amount < Money::ZERO {
            return Err(Error::Invalid("a payment is not below zero".into()));
        }
        Ok(Model {
            id: id_at(now).at("order_payments.id")?,
            order_id: self.order_id,
            payment_no: self.payment_no.non_blank().at("order_payments.payment_no")?,
            payment_method: self.method.non_blank().at("order_payments.payment_method")?,
            amount: self.amount,
            status,
            transaction_id: self.transaction_id,
            gateway_response: self.gateway_response,
            refund_due_at: None,
            created_at: now,
            updated_at: now,
        })
    }
}

impl Ordering<'_> {
    /// Notes that money has come. It is idempotent on the payment's number: a second report changes nothing, also at the
    /// same moment. Five round trips; up to nine where the order is not simply waiting for it.
    ///
    /// Money for an order that cannot take it is not lost: it is recorded, and has to go back
    /// ([`refunds_due`](Ordering::refunds_due)).
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown order; [`Error::Conflict`] when the amount is not the order's, or the number is
    /// that of another payment; [`Error::Invalid`] and [`Error::Value`].
    ///
    /// # Cancellation
    /// It is noted or not; the gateway's next report finds out.
    pub async fn pay(&self, payment: Payment) -> Result<Paid, Error> {
        let now = self.clock.now();
        let payment = payment.into_model(PaymentStatus::Success, now)?;
        self.ensure_partitions(now).await?;
        match self.db.transaction(async |tx| pay_at_once(tx, &payment, now).await).await {
            Ok(true) => return Ok(Paid::Accepted),
            Err(error) if error.database_kind() != Some(Kind::UniqueViolation) => return Err(error),
            _ => {}
        }
        self.db.transaction(async |tx| pay_by_hand(tx, &payment, now).await).await
    }

    /// Notes that a payment was begun, which [`Ordering::pay`] or [`Ordering::payment_failed`] decides. Five round trips.
    ///
    /// # Errors
    /// As [`Ordering::pay`]; [`Error::Conflict`] when the order does not wait for money.
    pub async fn payment_begun(&self, payment: Payment) -> Result<(), Error> {
        let now = self.clock.now();
        let payment = payment.into_model(PaymentStatus::Pending, now)?;
        self.db.transaction(async |tx| attempted(tx, &payment, now).await).await
    }

    /// Notes that the money of a payment will not come; the order goes on waiting. Six round trips.
    ///
    /// # Errors
    /// As [`Ordering::pay`]; [`Error::Conflict`] when the money has come, or the order does not wait for any.
    pub async fn payment_failed(&self, payment: Payment) -> Result<(), Error> {
        let now = self.clock.now();
        let payment = payment.into_model(PaymentStatus::Failed, now)?;
        self.db.transaction(async |tx| attempted(tx, &payment, now).await).await
    }

    /// Notes that money that was due has gone back. Five round trips. The same again changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an unknown payment; [`Error::Conflict`] for one that was not due.
    pub async fn payment_refunded(&self, payment_no: &str) -> Result<(), Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| gone_back(tx, payment_no, now).await).await
    }
}

/// The usual case: the order waits for this money, which is not known yet. Three round trips, one if it is not so.
async fn pay_at_once(tx: &Tx, payment: &Model, now: Timestamp) -> Result<bool, Error> {
    // The order first, here and everywhere: a reference locks its row, and two payments would lock each other out.
    let update = touch(paid(payment, now), now)
        .filter(OrderColumn::Id.eq(payment.order_id))
        .filter(OrderColumn::Status.eq(OrderStatus::Confirmed))
        .filter(OrderColumn::FinalAmount.eq(payment.amount))
        .col_expr(OrderColumn::Status, Expr::val(OrderStatus::Paid));
    if update.exec(tx).await?.rows_affected == 0 {
        return Ok(false);
    }
    Entity::insert(payment.clone().into_active_model()).exec_without_returning(tx).await?;
    record(tx, payment.order_id, Some(OrderStatus::Confirmed), OrderStatus::Paid, None, now).await?;
    Ok(true)
}

/// What a payment changes of its order.
fn paid(payment: &Model, now: Timestamp) -> sea_orm::UpdateMany<Orders> {
    Orders::update_many()
        .col_expr(OrderColumn::PaymentMethod, Expr::val(payment.payment_method.clone()))
        .col_expr(OrderColumn::PaymentStatus, Expr::val(PaymentStatus::Success))
        .col_expr(OrderColumn::PaidAt, Expr::val(now))
}

/// Every other case, looked at with the order locked.
async fn pay_by_hand(tx: &Tx, payment: &Model, now: Timestamp) -> Result<Paid, Error> {
    let order = locked(tx, payment.order_id).await?;
    let known = known(tx, payment).await?;
    if known.as_ref().is_some_and(|known| !known.status.may_become(PaymentStatus::Success)) {
        return Ok(Paid::Repeated);
    }
    let accepted = order.status == OrderStatus::Confirmed;
    if accepted {
        matches_order(payment, &order)?;
    }
    let refund_due_at = if accepted { None } else { Some(now) };
    match known {
        None => {
            let payment = Model { refund_due_at, ..payment.clone() };
            Entity::insert(payment.into_active_model()).exec_without_returning(tx).await?;
        }
        Some(known) => {
            let update = Entity::update_many()
                .col_expr(Column::TransactionId, Expr::val(payment.transaction_id.clone()))
                .col_expr(Column::GatewayResponse, Expr::val(payment.gateway_response.clone()))
                .col_expr(Column::RefundDueAt, Expr::val(refund_due_at))
                .col_expr(Column::UpdatedAt, Expr::val(now));
            become_(PaymentStatus::Success).apply(tx, known.id, update).await?;
        }
    }
    if !accepted {
        return Ok(Paid::RefundDue);
    }
    let (from, to) = (OrderStatus::Confirmed, OrderStatus::Paid);
    Change { order: order.id, from, to, remark: None, now }.apply(tx, paid(payment, now)).await?;
    Ok(Paid::Accepted)
}

/// An attempt that is only begun, or that has failed.
async fn attempted(tx: &Tx, payment: &Model, now: Timestamp) -> Result<(), Error> {
    let order = locked(tx, payment.order_id).await?;
    let failed = payment.status == PaymentStatus::Failed;
    match known(tx, payment).await? {
        Some(known) if known.status == payment.status => return Ok(()),
        Some(known) => {
            let update = Entity::update_many()
                .col_expr(Column::GatewayResponse, Expr::val(payment.gateway_response.clone()))
                .col_expr(Column::UpdatedAt, Expr::val(now));
            become_(payment.status).apply(tx, known.id, update).await?;
        }
        None => {
            if order.status != OrderStatus::Confirmed {
                let Model { order_id, .. } = payment;
                return Err(Error::Conflict(format!(
                    "the order {order_id} is {} and waits for no money",
                    order.status
                )));
            }
            matches_order(payment, &order)?;
            Entity::insert(payment.clone().into_active_model()).exec_without_returning(tx).await?;
        }
    }
    if failed && order.status == OrderStatus::Confirmed {
        let update = Orders::update_many().col_expr(OrderColumn::PaymentStatus, Expr::val(PaymentStatus::Failed));
        touch(update, now).filter(OrderColumn::Id.eq(order.id)).exec(tx).await?;
    }
    Ok(())
}

async fn gone_back(tx: &Tx, payment_no: &str, now: Timestamp) -> Result<(), Error> {
    let found = by_number(tx, payment_no).await?;
    let payment = found.ok_or_else(|| Error::not_found("payment", payment_no))?;
    // The order first: see above.
    let order = locked(tx, payment.order_id).await?;
    let update = Entity::update_many()
        .col_expr(Column::Status, Expr::val(PaymentStatus::Refunded))
        .col_expr(Column::RefundDueAt, Expr::val(None::<Timestamp>))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(payment.id))
        .filter(Column::Status.eq(PaymentStatus::Success))
        .filter(Column::RefundDueAt.is_not_null());
    if update.exec(tx).await?.rows_affected == 0 {
        return match by_number(tx, payment_no).await?.map(|payment| payment.status) {
            Some(PaymentStatus::Refunded) => Ok(()),
            Some(status) => Err(Error::Conflict(format!("the payment {payment_no} is {status}, and no refund is due"))),
            None => Err(Error::not_found("payment", payment_no)),
        };
    }
    if order.status == OrderStatus::Refunded {
        let update = Orders::update_many().col_expr(OrderColumn::PaymentStatus, Expr::val(PaymentStatus::Refunded));
        touch(update, now).filter(OrderColumn::Id.eq(order.id)).exec(tx).await?;
    }
    Ok(())
}

const fn become_(to: PaymentStatus) -> Transition<Column, PaymentStatus> {
    Transition { what: "payment", id: Column::Id, state: Column::Status, to }
}

async fn by_number(db: &impl ConnectionTrait, payment_no: &str) -> Result<Option<Model>, Error> {
    Ok(Entity::find().filter(Column::PaymentNo.eq(payment_no)).one(db).await?)
}

/// What is known of this payment: nothing, or the same.
async fn known(db: &impl ConnectionTrait, payment: &Model) -> Result<Option<Model>, Error> {
    let known = by_number(db, &payment.payment_no).await?;
    match &known {
        Some(known) if known.order_id != payment.order_id || known.amount != payment.amount => {
            let number = &payment.payment_no;
            Err(Error::Conflict(format!("the payment {number} is known, with another order or amount")))
        }
        _ => Ok(known),
    }
}

fn matches_order(payment: &Model, order: &order::Model) -> Result<(), Error> {
    let Model { order_id, amount, .. } = payment;
    let wanted = order.final_amount;
    if *amount == wanted {
        Ok(())
    } else {
        Err(Error::Conflict(format!("the order {order_id} costs {wanted}, and {amount} was paid")))
    }
}
