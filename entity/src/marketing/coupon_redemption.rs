//! What an order redeemed.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::RedemptionStatus;
use crate::types::{Money, Timestamp};

/// A coupon that an order redeemed, or gave back.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "coupon_redemptions")]
pub struct Model {
    /// The order; it redeems one coupon at most.
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: Uuid,
    /// The coupon.
    pub user_coupon_id: Uuid,
    /// What it took off; zero where it was given back before it was redeemed.
    pub discount: Money,
    /// Whether the order has it.
    pub status: RedemptionStatus,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The coupon.
    #[sea_orm(belongs_to, from = "user_coupon_id", to = "id", on_delete = "Restrict")]
    pub user_coupon: BelongsTo<super::user_coupon::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
