use sea_orm::sea_query::{Expr, ExprTrait, LockType};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, UpdateMany};
use uuid::Uuid;

use crate::Error;
use crate::db::Tx;
use crate::domain::{State, Transition};
use crate::entity::ordering::OrderStatus;
use crate::entity::ordering::order::{Column, Entity, Model};
use crate::entity::ordering::order_status_history::{self as history, Entity as History};
use crate::types::{AtColumn, LongText, Timestamp};

impl State for OrderStatus {
    const ALL: &'static [Self] = Self::ALL;

    fn may_become(self, next: Self) -> bool {
        use OrderStatus::{Cancelled, Confirmed, Delivered, Paid, Pending, Refunded, Shipped};

        matches!(
            (self, next),
            (Pending, Confirmed | Cancelled)
                | (Confirmed, Paid | Cancelled)
                | (Paid, Shipped | Refunded)
                | (Shipped, Delivered | Refunded)
                | (Delivered, Refunded)
        )
    }
}

/// A change of an order's status, with the line of its history.
pub(super) struct Change {
    pub(super) order: Uuid,
    pub(super) from: OrderStatus,
    pub(super) to: OrderStatus,
    pub(super) remark: Option<LongText>,
    pub(super) now: Timestamp,
}

impl Change {
    /// Makes the change, and whatever else `update` sets. Two round trips; where it is refused, two as well.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] that names both states.
    pub(super) async fn apply(self, tx: &Tx, update: UpdateMany<Entity>) -> Result<(), Error> {
        let Self { order, from, to, remark, now } = self;
        let transition = Transition { what: "order", id: Column::Id, state: Column::Status, to };
        transition.apply(tx, order, touch(update, now).filter(Column::Status.eq(from))).await?;
        record(tx, order, Some(from), to, remark, now).await
    }
}

/// The order, locked for the rest of the transaction: what is decided by its status then holds. One round trip.
pub(super) async fn locked(tx: &Tx, order: Uuid) -> Result<Model, Error> {
    let select = Entity::find_by_id(order).lock(LockType::Update);
    select.one(tx).await?.ok_or_else(|| Error::not_found("order", order))
}

/// Counts a change of an order.
pub(super) fn touch(update: UpdateMany<Entity>, now: Timestamp) -> UpdateMany<Entity> {
    update.col_expr(Column::Version, Expr::col(Column::Version).add(1)).col_expr(Column::UpdatedAt, Expr::val(now))
}

/// A line of an order's history.
pub(super) fn step(
    order: Uuid,
    old: Option<OrderStatus>,
    new: OrderStatus,
    remark: Option<LongText>,
    now: Timestamp,
) -> Result<history::Model, Error> {
    let id = history::id(now, new).at("order_status_history.id")?;
    Ok(history::Model { id, order_id: order, old_status: old, new_status: new, remark, created_at: now })
}

/// Writes a line of an order's history. One round trip.
pub(super) async fn record(
    db: &impl ConnectionTrait,
    order: Uuid,
    old: Option<OrderStatus>,
    new: OrderStatus,
    remark: Option<LongText>,
    now: Timestamp,
) -> Result<(), Error> {
    let step = step(order, old, new, remark, now)?;
    History::insert(step.into_active_model()).exec_without_returning(db).await?;
    Ok(())
}
