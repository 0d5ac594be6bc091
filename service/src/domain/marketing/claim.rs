use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ColumnTrait, Condition, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter};
use uuid::Uuid;

use super::coupon::{coupon, coupon_by_code};
use crate::Error;
use crate::db::Tx;
use crate::entity::marketing::coupon::{Column, Entity, Model};
use crate::entity::marketing::{CampaignStatus, CouponStatus, UserCouponStatus, campaign, user_coupon};
use crate::types::{AtColumn, Timestamp, id_at};

/// Gives a user one of a coupon: never more than there are, and never more than a user can have, however many ask at once.
/// Four statements.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when none is left, when the user has as many as one can, and when the coupon,
/// or its campaign, does not run now. Nothing is written then.
pub async fn issue(tx: &Tx, coupon_id: Uuid, user_id: Uuid, now: Timestamp) -> Result<user_coupon::Model, Error> {
    let coupon = coupon(tx, coupon_id).await?;
    give(tx, &coupon, user_id, now).await
}

/// Gives a user one of the coupon of this code: [`issue`] for who knows the code. Four statements.
///
/// # Errors
/// Those of [`issue`].
pub async fn claim(tx: &Tx, code: &str, user_id: Uuid, now: Timestamp) -> Result<user_coupon::Model, Error> {
    let coupon = coupon_by_code(tx, code).await?;
    give(tx, &coupon, user_id, now).await
}

async fn give(tx: &Tx, coupon: &Model, user_id: Uuid, now: Timestamp) -> Result<user_coupon::Model, Error> {
    if !count_one(tx, coupon.id, now).await? {
        return Err(refusal(tx, coupon.id, now).await?);
    }
    // The row of the coupon is locked: who else wants one waits, so what is counted now is all there is.
    let had = user_coupon::Entity::find()
        .filter(user_coupon::Column::CouponId.eq(coupon.id))
        .filter(user_coupon::Column::UserId.eq(user_id))
        .count(tx)
        .await?;
    if had >= u64::try_from(coupon.per_user_limit).unwrap_or(0) {
        // Whatever the caller does about it, nothing was issued.
        let back = Entity::update_many().col_expr(Column::IssuedQuantity, Expr::col(Column::IssuedQuantity).sub(1_i64));
        back.filter(Column::Id.eq(coupon.id)).exec(tx).await?;
        let (code, limit) = (&coupon.code, coupon.per_user_limit);
        return Err(Error::Conflict(format!("the user has the {limit} of the coupon {code} that one can have")));
    }
    let model = user_coupon::Model {
        id: id_at(now).at("user_coupons.id")?,
        user_id,
        coupon_id: coupon.id,
        status: UserCouponStatus::Unused,
        order_id: None,
        used_at: None,
        created_at: now,
        updated_at: now,
    };
    user_coupon::Entity::insert(model.clone().into_active_model()).exec_without_returning(tx).await?;
    Ok(model)
}

/// Counts one more as issued, if there is one, and the coupon and its campaign run.
async fn count_one(tx: &Tx, coupon_id: Uuid, now: Timestamp) -> Result<bool, Error> {
    let running = Query::select()
        .column(campaign::Column::Id)
        .from(campaign::Entity)
        .and_where(campaign::Column::Status.eq(CampaignStatus::Active))
        .and_where(campaign::Column::StartsAt.lte(now))
        .and_where(campaign::Column::EndsAt.gt(now))
        .to_owned();
    let runs = Condition::any().add(Column::CampaignId.is_null()).add(Column::CampaignId.in_subquery(running));
    let issued = || Expr::col(Column::IssuedQuantity).add(1_i64);
    let counted = Entity::update_many()
        .col_expr(Column::IssuedQuantity, issued())
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.eq(coupon_id))
        .filter(Column::Status.eq(CouponStatus::Active))
        .filter(Column::StartsAt.lte(now))
        .filter(Column::EndsAt.gt(now))
        .filter(issued().lte(Expr::col(Column::TotalQuantity)))
        .filter(runs)
        .exec(tx)
        .await?;
    Ok(counted.rows_affected == 1)
}

/// Why a coupon cannot be had now.
async fn refusal(tx: &Tx, coupon_id: Uuid, now: Timestamp) -> Result<Error, Error> {
    let coupon = coupon(tx, coupon_id).await?;
    let code = &coupon.code;
    let why = match coupon.status {
        CouponStatus::Paused => "is paused".to_owned(),
        CouponStatus::Expired => "has expired".to_owned(),
        CouponStatus::Active if now < coupon.starts_at => format!("cannot be had before {}", coupon.starts_at),
        CouponStatus::Active if now >= coupon.ends_at => format!("could be had until {}", coupon.ends_at),
        CouponStatus::Active if coupon.issued_quantity >= coupon.total_quantity => {
            format!("is gone: all {} were issued", coupon.total_quantity)
        }
        CouponStatus::Active => "belongs to a campaign that does not run".to_owned(),
    };
    Ok(Error::Conflict(format!("the coupon {code} {why}")))
}
