//! A coupon.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::{CouponKind, CouponStatus};
use crate::types::{Money, Text, Timestamp};

/// A discount of which a number can be given away.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "coupons")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The campaign that it belongs to.
    pub campaign_id: Option<Uuid>,
    /// What a user types to get it.
    #[sea_orm(unique)]
    pub code: Text<50>,
    /// How the discount is reckoned.
    pub kind: CouponKind,
    /// An amount, or percent.
    pub face_value: Money,
    /// The least total that it can be redeemed for.
    pub min_spend: Money,
    /// The most that it takes off.
    pub max_discount: Option<Money>,
    /// How many can be issued.
    pub total_quantity: i64,
    /// How many were issued.
    pub issued_quantity: i64,
    /// How many one user can have.
    pub per_user_limit: i32,
    /// When it can first be redeemed.
    pub starts_at: Timestamp,
    /// When it can no longer be redeemed.
    pub ends_at: Timestamp,
    /// Whether it can be issued and redeemed.
    pub status: CouponStatus,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The campaign.
    #[sea_orm(belongs_to, from = "campaign_id", to = "id", on_delete = "Restrict")]
    pub campaign: BelongsTo<Option<super::campaign::Entity>>,
    /// Who holds it.
    #[sea_orm(has_many)]
    pub user_coupons: HasMany<super::user_coupon::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
