//! A coupon in a user's hands.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::UserCouponStatus;
use crate::types::Timestamp;

/// A coupon that was issued to a user.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "user_coupons")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who holds it.
    pub user_id: Uuid,
    /// The coupon that it is one of.
    pub coupon_id: Uuid,
    /// What became of it.
    pub status: UserCouponStatus,
    /// The order that redeemed it; an order redeems one at most.
    #[sea_orm(unique)]
    pub order_id: Option<Uuid>,
    /// When it was redeemed.
    pub used_at: Option<Timestamp>,
    /// When it was issued.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The coupon.
    #[sea_orm(belongs_to, from = "coupon_id", to = "id", on_delete = "Restrict")]
    pub coupon: BelongsTo<super::coupon::Entity>,
    /// The orders that redeemed it or gave it back.
    #[sea_orm(has_many)]
    pub redemptions: HasMany<super::coupon_redemption::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
