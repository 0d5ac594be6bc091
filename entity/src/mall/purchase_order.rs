//! A purchase from another user.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::PurchaseStatus;
use crate::types::{Money, Timestamp};

/// What one user buys from another.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "purchase_orders")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Who buys.
    pub buyer_id: Uuid,
    /// Who sells.
    pub seller_id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// How many, at least one.
    pub quantity: i64,
    /// The price of one.
    pub unit_price: Money,
    /// Price x quantity.
    pub amount: Money,
    /// Where it is in its life.
    pub status: PurchaseStatus,
    /// How long it took from the first to the last status, in milliseconds.
    pub processing_ms: Option<i64>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
