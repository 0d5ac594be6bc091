//! The stock of a product in a warehouse: the table `inventory`.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::Timestamp;

/// How much of a product a warehouse has. What can be sold is `on_hand - reserved`.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "inventory")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The product.
    #[sea_orm(unique_key = "product_id_warehouse_id")]
    pub product_id: Uuid,
    /// The warehouse.
    #[sea_orm(unique_key = "product_id_warehouse_id")]
    pub warehouse_id: Uuid,
    /// How many are there.
    pub on_hand: i64,
    /// How many of them are put aside for orders.
    pub reserved: i64,
    /// Optimistic locking: it goes up with every change.
    pub version: i32,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The warehouse.
    #[sea_orm(belongs_to, from = "warehouse_id", to = "id", on_delete = "Restrict")]
    pub warehouse: BelongsTo<super::warehouse::Entity>,
    /// What changed it.
    #[sea_orm(has_many)]
    pub logs: HasMany<super::inventory_log::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
