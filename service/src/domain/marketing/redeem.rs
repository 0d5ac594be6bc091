use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::price;
use crate::Error;
use crate::db::{Kind, Tx};
use crate::domain::insert_once;
use crate::entity::marketing::coupon_redemption::{Column, Entity, Model};
use crate::entity::marketing::{RedemptionStatus, UserCouponStatus, coupon, user_coupon};
use crate::types::{Money, Timestamp};

/// Redeems a user's coupon for an order, once, and says what it takes off: three statements. The same order again gets
/// the same answer and changes nothing.
///
/// # Errors
/// [`Error::NotFound`] for a coupon that the user does not hold; [`Error::Conflict`] when another order has it, when this
/// order redeemed another one or gave one back, and for what [`price`](super::price()) refuses. The caller's transaction is
/// to be rolled back then.
pub async fn redeem(
    tx: &Tx,
    order_id: Uuid,
    user_coupon_id: Uuid,
    user_id: Uuid,
    total: Money,
    now: Timestamp,
) -> Result<Money, Error> {
    let (held, coupon) = price::held(tx, user_coupon_id, user_id).await?;
    if held.order_id == Some(order_id) {
        return repeated(tx, order_id, user_coupon_id).await;
    }
    price::usable(&held, &coupon, now)?;
    let discount = price::discount(&coupon, total)?;
    if !take(tx, order_id, &held, now).await? {
        // Somebody redeemed it since it was read: perhaps a repetition of this very call.
        return repeated(tx, order_id, user_coupon_id).await;
    }
    let row = Model {
        order_id,
        user_coupon_id,
        discount,
        status: RedemptionStatus::Redeemed,
        created_at: now,
        updated_at: now,
    };
    if insert_once::<Entity>(tx, row).await? {
        return Ok(discount);
    }
    // Whatever the caller does about it, the coupon is the user's.
    put_back(tx, order_id, &held, coupon.ends_at, now).await?;
    repeated(tx, order_id, user_coupon_id).await
}

/// Gives back the coupon that an order redeemed, once, however often it is called. Four statements.
///
/// An order that has not redeemed it (yet) never can afterwards: a [`redeem`] that comes late, of a process that was
/// paused while somebody else undid its order, is refused. A coupon whose time is over comes back expired.
///
/// # Errors
/// [`Error::NotFound`] for an unknown coupon; [`Error::Conflict`] when the order redeemed another one.
pub async fn give_back(tx: &Tx, order_id: Uuid, user_coupon_id: Uuid, now: Timestamp) -> Result<(), Error> {
    // Locked before the redemption is, as redeeming does.
    let held = price::lock(tx, user_coupon_id).await?;
    let returned = Entity::update_many()
        .col_expr(Column::Status, Expr::val(RedemptionStatus::Returned))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::OrderId.eq(order_id))
        .filter(Column::UserCouponId.eq(user_coupon_id))
        .filter(Column::Status.eq(RedemptionStatus::Redeemed))
        .exec(tx)
        .await?;
    if returned.rows_affected == 1 {
        let coupon = coupon::Entity::find_by_id(held.coupon_id).one(tx).await?;
        let ends_at = coupon.ok_or_else(|| Error::not_found("coupon", held.coupon_id))?.ends_at;
        return put_back(tx, order_id, &held, ends_at, now).await;
    }
    let row = Model {
        order_id,
        user_coupon_id,
        discount: Money::ZERO,
        status: RedemptionStatus::Returned,
        created_at: now,
        updated_at: now,
    };
    if insert_once::<Entity>(tx, row).await? {
        return Ok(());
    }
    match Entity::find_by_id(order_id).one(tx).await? {
        Some(Model { user_coupon_id: other, .. }) if other != user_coupon_id => Err(another(order_id)),
        _ => Ok(()),
    }
}

/// Makes a coupon that is unused the order's, and says whether it was.
async fn take(tx: &Tx, order_id: Uuid, held: &user_coupon::Model, now: Timestamp) -> Result<bool, Error> {
    use user_coupon::Column;

    let taken = user_coupon::Entity::update_many()
        .col_expr(Column::Status, Expr::val(UserCouponStatus::Used))
        .col_expr(Column::OrderId, Expr::val(order_id))
        .col_expr(Column::UsedAt, Expr::val(now))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(held.id))
        .filter(Column::Status.eq(UserCouponStatus::Unused))
        .exec(tx)
        .await
        .map_err(Error::from);
    match taken {
        Ok(taken) => Ok(taken.rows_affected == 1),
        Err(error) if error.database_kind() == Some(Kind::UniqueViolation) => Err(another(order_id)),
        Err(error) => Err(error),
    }
}

/// Makes the order's coupon the user's again.
async fn put_back(
    tx: &Tx,
    order_id: Uuid,
    held: &user_coupon::Model,
    ends_at: Timestamp,
    now: Timestamp,
) -> Result<(), Error> {
    use user_coupon::Column;

    let status = if now < ends_at { UserCouponStatus::Unused } else { UserCouponStatus::Expired };
    user_coupon::Entity::update_many()
        .col_expr(Column::Status, Expr::val(status))
        .col_expr(Column::OrderId, Expr::val(None::<Uuid>))
        .col_expr(Column::UsedAt, Expr::val(None::<Timestamp>))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(held.id))
        .filter(Column::OrderId.eq(order_id))
        .exec(tx)
        .await?;
    Ok(())
}

/// What an order has from a redemption that is there already.
async fn repeated(tx: &Tx, order_id: Uuid, user_coupon_id: Uuid) -> Result<Money, Error> {
    match Entity::find_by_id(order_id).one(tx).await? {
        Some(row) if row.status == RedemptionStatus::Returned => {
            Err(Error::Conflict(format!("the order {order_id} gave its coupon back and cannot redeem any more")))
        }
        Some(row) if row.user_coupon_id == user_coupon_id => Ok(row.discount),
        Some(_) => Err(another(order_id)),
        None => Err(Error::Conflict(format!("another order redeemed the coupon {user_coupon_id}"))),
    }
}

fn another(order_id: Uuid) -> Error {
    Error::Conflict(format!("the order {order_id} has another coupon"))
}
