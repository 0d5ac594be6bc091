use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::movement::{MovementKey, PointsMove, PointsMovement, move_points, points_movement};
use super::{Mall, purchase};
use crate::Error;
use crate::db::Tx;
use crate::entity::mall::PurchaseStatus;
use crate::entity::mall::purchase_order::{Column, Entity, Model as PurchaseOrder};
use crate::types::{AtColumn, Timestamp};

/// Completes an approved purchase and moves its amount in points from the buyer to the seller, both or neither. One that
/// was paid so already is left alone, and how it was paid returned.
///
/// Eight round trips; two more to open the seller's account.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it is not approved, was completed by other means, or the buyer has too few
/// points; those of the database.
pub async fn pay_with_points(tx: &Tx, id: Uuid, now: Timestamp) -> Result<PointsMovement, Error> {
    let order = lock(tx, id).await?;
    let key = key("purchase", id)?;
    if order.status == PurchaseStatus::Completed
        && let Some(paid) = points_movement(tx, &key).await?
    {
        return Ok(paid);
    }
    purchase::finish(tx, &order, PurchaseStatus::Completed, now).await?;
    move_points(tx, &PointsMove::purchase(order.buyer_id, order.seller_id, order.amount, key), now).await
}

/// Gives the points that a purchase was paid with back to the buyer, once. The purchase stays completed: whether the goods
/// come back is between the two.
///
/// Eight round trips.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it was not paid in points, or the seller has too few; those of the
/// database.
pub async fn refund_points(tx: &Tx, id: Uuid, now: Timestamp) -> Result<PointsMovement, Error> {
    let order = lock(tx, id).await?;
    if points_movement(tx, &key("purchase", id)?).await?.is_none() {
        return Err(Error::Conflict(format!("the purchase order {id} was not paid in points")));
    }
    let refund = PointsMove::refund(order.seller_id, order.buyer_id, order.amount, key("refund", id)?);
    move_points(tx, &refund, now).await
}

/// The order, kept from changing until the transaction ends: two payments at once are one after the other.
async fn lock(tx: &Tx, id: Uuid) -> Result<PurchaseOrder, Error> {
    let order = Entity::find().filter(Column::Id.eq(id)).lock_exclusive().one(tx).await?;
    order.ok_or_else(|| Error::not_found("purchase order", id))
}

fn key(what: &str, id: Uuid) -> Result<MovementKey, Error> {
    Ok(MovementKey::try_from(format!("{what}:{id}")).at("points_transactions.idempotency_key")?)
}

impl Mall<'_> {
    /// Completes an approved purchase and moves its amount in points, both or neither: [`pay_with_points`]. Ten round
    /// trips; two more to open the seller's account.
    ///
    /// # Errors
    /// As [`pay_with_points`].
    ///
    /// # Cancellation
    /// A dropped future has paid nothing, or everything if the commit had begun; asking again tells.
    pub async fn pay_with_points(&self, id: Uuid) -> Result<PointsMovement, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| pay_with_points(tx, id, now).await).await
    }

    /// Gives the points that a purchase was paid with back to the buyer, once: [`refund_points`]. Ten round trips.
    ///
    /// # Errors
    /// As [`refund_points`].
    pub async fn refund_points(&self, id: Uuid) -> Result<PointsMovement, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| refund_points(tx, id, now).await).await
    }
}
