use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::Ordering;
use super::effect::{Effect, Subject, note};
use super::status::{Change, locked};
use crate::Error;
use crate::db::Tx;
use crate::entity::ordering::order::{Column, Entity};
use crate::entity::ordering::order_payment::{Column as PaymentColumn, Entity as Payment};
use crate::entity::ordering::{OrderStatus, PaymentStatus};
use crate::types::{LongText, Timestamp};

impl Ordering<'_> {
    /// Cancels an order that is not paid; its stock and its coupon come back, exactly once. Six round trips, and those of
    /// what comes back.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is not `pending` or `confirmed`, naming both states. Stock and
    /// coupon that cannot come back now do later: the sweeper sees to it.
    ///
    /// # Cancellation
    /// The order is cancelled or not; what comes back then, the sweeper sees to.
    pub async fn cancel(&self, order: Uuid, reason: Option<LongText>) -> Result<(), Error> {
        let now = self.clock.now();
        self.ensure_partitions(now).await?;
        let (subject, message) = self.db.transaction(async |tx| cancel(tx, order, reason.clone(), now).await).await?;
        self.carry_out(Effect::Release, subject, message).await;
        Ok(())
    }

    /// Sends a paid order; its stock leaves. Five round trips, and those of the stock.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is not `paid`, naming both states.
    ///
    /// # Cancellation
    /// As [`Ordering::cancel`].
    pub async fn ship(&self, order: Uuid, remark: Option<LongText>) -> Result<(), Error> {
        let now = self.clock.now();
        self.ensure_partitions(now).await?;
        let message = self.db.transaction(async |tx| ship(tx, order, remark.clone(), now).await).await?;
        self.carry_out(Effect::Commit, Subject { order_id: order, coupon_id: None }, message).await;
        Ok(())
    }

    /// Notes that a shipped order has arrived. Four round trips.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is not `shipped`, naming both states.
    pub async fn deliver(&self, order: Uuid, remark: Option<LongText>) -> Result<(), Error> {
        let now = self.clock.now();
        self.ensure_partitions(now).await?;
        self.db.transaction(async |tx| deliver(tx, order, remark.clone(), now).await).await
    }

    /// Takes back an order that is paid, wherever it is: its money has to go back
    /// ([`refunds_due`](Ordering::refunds_due)), its coupon can be used again, and its stock becomes free, or comes back
    /// in if it had left. Seven round trips, and those of what comes back.
    ///
    /// Goods that came back broken are then written off by inventory; parts of an order are not refunded.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is not `paid`, `shipped` or `delivered`, naming both states.
    ///
    /// # Cancellation
    /// As [`Ordering::cancel`].
    pub async fn refund(&self, order: Uuid, reason: Option<LongText>) -> Result<(), Error> {
        let now = self.clock.now();
        self.ensure_partitions(now).await?;
        let refunded = self.db.transaction(async |tx| refund(tx, order, reason.clone(), now).await).await;
        let (effect, subject, message) = refunded?;
        self.carry_out(effect, subject, message).await;
        Ok(())
    }
}

async fn cancel(tx: &Tx, id: Uuid, remark: Option<LongText>, now: Timestamp) -> Result<(Subject, Uuid), Error> {
    let order = locked(tx, id).await?;
    let change = Change { order: id, from: order.status, to: OrderStatus::Cancelled, remark, now };
    change.apply(tx, Entity::update_many()).await?;
    let subject = Subject { order_id: id, coupon_id: order.coupon_id };
    Ok((subject, note(tx, Effect::Release, subject, now).await?))
}

async fn ship(tx: &Tx, id: Uuid, remark: Option<LongText>, now: Timestamp) -> Result<Uuid, Error> {
    let change = Change { order: id, from: OrderStatus::Paid, to: OrderStatus::Shipped, remark, now };
    change.apply(tx, Entity::update_many().col_expr(Column::ShippedAt, Expr::val(now))).await?;
    note(tx, Effect::Commit, Subject { order_id: id, coupon_id: None }, now).await
}

async fn deliver(tx: &Tx, id: Uuid, remark: Option<LongText>, now: Timestamp) -> Result<(), Error> {
    let change = Change { order: id, from: OrderStatus::Shipped, to: OrderStatus::Delivered, remark, now };
    change.apply(tx, Entity::update_many().col_expr(Column::DeliveredAt, Expr::val(now))).await
}

async fn refund(tx: &Tx, id: Uuid, remark: Option<LongText>, now: Timestamp) -> Result<(Effect, Subject, Uuid), Error> {
    let order = locked(tx, id).await?;
    let change = Change { order: id, from: order.status, to: OrderStatus::Refunded, remark, now };
    change.apply(tx, Entity::update_many()).await?;
    let due = Payment::update_many()
        .col_expr(PaymentColumn::RefundDueAt, Expr::val(now))
        .col_expr(PaymentColumn::UpdatedAt, Expr::val(now))
        .filter(PaymentColumn::OrderId.eq(id))
        .filter(PaymentColumn::Status.eq(PaymentStatus::Success))
        .filter(PaymentColumn::RefundDueAt.is_null());
    due.exec(tx).await?;
    let effect = if order.status == OrderStatus::Paid { Effect::Release } else { Effect::Restock };
    let subject = Subject { order_id: id, coupon_id: order.coupon_id };
    Ok((effect, subject, note(tx, effect, subject, now).await?))
}
