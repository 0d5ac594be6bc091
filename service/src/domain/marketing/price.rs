use rust_decimal::{Decimal, RoundingStrategy};
use sea_orm::sea_query::LockType;
use sea_orm::{ConnectionTrait, EntityTrait, QuerySelect};
use uuid::Uuid;

use crate::Error;
use crate::entity::marketing::{CouponKind, CouponStatus, UserCouponStatus, coupon, user_coupon};
use crate::types::{Money, Timestamp};

/// Digits after the point of a discount in percent: what is beyond them is cut off, in the seller's favour.
pub const DISCOUNT_DECIMALS: u32 = 2;

/// What a coupon takes off a basket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discount {
    /// The coupon in the user's hands.
    pub user_coupon_id: Uuid,
    /// What it takes off; never more than the basket's total.
    pub discount: Money,
    /// What is left to pay.
    pub payable: Money,
}

/// What a coupon takes off a basket of that total: arithmetic alone, exact, whoever holds it and whenever.
///
/// An amount is taken off as it is; a percentage is cut to [`DISCOUNT_DECIMALS`] digits after the point, never rounded up.
/// Neither is more than `max_discount`, nor more than the total.
///
/// # Errors
/// [`Error::Invalid`] for a negative total; [`Error::Conflict`] for one below `min_spend`.
pub fn discount(coupon: &coupon::Model, total: Money) -> Result<Money, Error> {
    if total < Money::ZERO {
        return Err(Error::Invalid("the total of a basket is not negative".into()));
    }
    if total < coupon.min_spend {
        return Err(Error::Conflict(format!("the coupon {} is for {} and more", coupon.code, coupon.min_spend)));
    }
    let full = match coupon.kind {
        CouponKind::Amount => coupon.face_value.get(),
        // At most 19 digits by 7 (100 %): a product that a decimal holds exactly.
        CouponKind::Percent => (total.get() * coupon.face_value.get() / Decimal::ONE_HUNDRED)
            .round_dp_with_strategy(DISCOUNT_DECIMALS, RoundingStrategy::ToZero),
    };
    let most = coupon.max_discount.map_or(total, |most| most.min(total));
    Ok(Money::new(full.min(most.get()))?)
}

/// What a user's coupon would take off a basket now; nothing changes. One round trip.
///
/// # Errors
/// [`Error::NotFound`] for a coupon that the user does not hold; [`Error::Conflict`] when it was used, is paused, is out of
/// its dates, or the total is below what it is for; [`Error::Invalid`] for a negative total.
pub async fn price(
    db: &impl ConnectionTrait,
    total: Money,
    user_coupon_id: Uuid,
    user_id: Uuid,
    now: Timestamp,
) -> Result<Discount, Error> {
    let (held, coupon) = held(db, user_coupon_id, user_id).await?;
    usable(&held, &coupon, now)?;
    let discount = discount(&coupon, total)?;
    let payable = Money::new(total.get() - discount.get())?;
    Ok(Discount { user_coupon_id, discount, payable })
}

/// A user's coupon, and the coupon that it is one of. One round trip.
pub(super) async fn held(
    db: &impl ConnectionTrait,
    user_coupon_id: Uuid,
    user_id: Uuid,
) -> Result<(user_coupon::Model, coupon::Model), Error> {
    let found = user_coupon::Entity::find_by_id(user_coupon_id).find_also_related(coupon::Entity).one(db).await?;
    match found {
        Some((held, Some(coupon))) if held.user_id == user_id => Ok((held, coupon)),
        // That another user holds it is nobody else's business.
        _ => Err(Error::not_found("coupon of the user", user_coupon_id)),
    }
}

/// Sees that a user's coupon can be redeemed now.
pub(super) fn usable(held: &user_coupon::Model, coupon: &coupon::Model, now: Timestamp) -> Result<(), Error> {
    let code = &coupon.code;
    let refused = match (held.status, coupon.status) {
        (UserCouponStatus::Used, _) => format!("the coupon {code} was used"),
        (UserCouponStatus::Expired, _) | (_, CouponStatus::Expired) => format!("the coupon {code} has expired"),
        (_, CouponStatus::Paused) => format!("the coupon {code} is paused"),
        _ if now < coupon.starts_at => format!("the coupon {code} cannot be redeemed before {}", coupon.starts_at),
        _ if now >= coupon.ends_at => format!("the coupon {code} could be redeemed until {}", coupon.ends_at),
        _ => return Ok(()),
    };
    Err(Error::Conflict(refused))
}

/// Locks a user's coupon until the transaction ends. One round trip.
pub(super) async fn lock(db: &impl ConnectionTrait, user_coupon_id: Uuid) -> Result<user_coupon::Model, Error> {
    let found = user_coupon::Entity::find_by_id(user_coupon_id).lock(LockType::Update).one(db).await?;
    found.ok_or_else(|| Error::not_found("coupon of a user", user_coupon_id))
}
