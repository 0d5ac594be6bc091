use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use crate::Error;
use crate::db::Tx;
use crate::entity::marketing::{CouponStatus, UserCouponStatus, coupon, user_coupon};
use crate::types::Timestamp;

/// Rows that one batch changes at most.
pub const MAX_EXPIRED: u32 = 10_000;

/// Coupons that one batch looks after at most.
const COUPONS: u64 = 100;

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Coupons that can no longer be had.
    pub coupons: u64,
    /// Coupons in users' hands that can no longer be redeemed.
    pub user_coupons: u64,
    /// Whether there may be more to do.
    pub more: bool,
}

impl std::ops::AddAssign for Expired {
    fn add_assign(&mut self, other: Self) {
        self.coupons += other.coupons;
        self.user_coupons += other.user_coupons;
        self.more = other.more;
    }
}

/// Marks as expired what can no longer be redeemed: at most `limit` of the coupons in users' hands, then the coupons that
/// they are of. It changes what is shown, not what holds: a coupon out of its dates is refused before it is marked. Four
/// statements at most.
///
/// # Errors
/// Those of the database.
pub async fn expire(tx: &Tx, limit: u32, now: Timestamp) -> Result<Expired, Error> {
    let limit = limit.clamp(1, MAX_EXPIRED);
    let ended: Vec<Uuid> = coupon::Entity::find()
        .select_only()
        .column(coupon::Column::Id)
        .filter(coupon::Column::Status.is_in([CouponStatus::Active, CouponStatus::Paused]))
        .filter(coupon::Column::EndsAt.lte(now))
        .order_by_asc(coupon::Column::Id)
        .limit(COUPONS)
        .into_tuple()
        .all(tx)
        .await?;
    if ended.is_empty() {
        return Ok(Expired::default());
    }
    let unused: Vec<Uuid> = user_coupon::Entity::find()
        .select_only()
        .column(user_coupon::Column::Id)
        .filter(user_coupon::Column::CouponId.is_in(ended.iter().copied()))
        .filter(user_coupon::Column::Status.eq(UserCouponStatus::Unused))
        .order_by_asc(user_coupon::Column::Id)
        .limit(u64::from(limit))
        .into_tuple()
        .all(tx)
        .await?;
    let mut expired = Expired { more: true, ..Expired::default() };
    if !unused.is_empty() {
        let drained = unused.len() < limit as usize;
        let done = user_coupon::Entity::update_many()
            .col_expr(user_coupon::Column::Status, Expr::val(UserCouponStatus::Expired))
            .col_expr(user_coupon::Column::UpdatedAt, Expr::val(now))
            .filter(user_coupon::Column::Id.is_in(unused))
            .filter(user_coupon::Column::Status.eq(UserCouponStatus::Unused))
            .exec(tx)
            .await?;
        expired.user_coupons = done.rows_affected;
        if !drained {
            return Ok(expired);
        }
    }
    let full = ended.len() as u64 == COUPONS;
    let done = coupon::Entity::update_many()
        .col_expr(coupon::Column::Status, Expr::val(CouponStatus::Expired))
        .col_expr(coupon::Column::UpdatedAt, Expr::val(now))
        .filter(coupon::Column::Id.is_in(ended))
        .filter(coupon::Column::Status.is_in([CouponStatus::Active, CouponStatus::Paused]))
        .exec(tx)
        .await?;
    expired.coupons = done.rows_affected;
    expired.more = full;
    Ok(expired)
}
