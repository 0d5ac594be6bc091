//! A line of an order.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{Money, Text, Timestamp};

/// A product in an order, as it was when the order was placed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "order_items")]
pub struct Model {
    /// A version 7 UUID of when the order was placed.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The order that it is a line of.
    pub order_id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// The product's name at that time.
    pub product_name: Text<200>,
    /// The product's image at that time.
    pub product_image: Option<Text<255>>,
    /// The price of one.
    pub price: Money,
    /// How many, at least one.
    pub quantity: i64,
    /// Price x quantity.
    pub total_amount: Money,
    /// When it was written.
    pub created_at: Timestamp,
    /// The order.
    #[sea_orm(belongs_to, from = "order_id", to = "id", on_delete = "Cascade")]
    pub order: BelongsTo<super::order::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
