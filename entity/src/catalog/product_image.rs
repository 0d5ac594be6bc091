//! A picture of a product.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::types::{Text, Timestamp};

/// A picture of a product.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "product_images")]
pub struct Model {
    /// The picture's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// Where the picture is.
    pub image_url: Text<255>,
    /// Its place among the product's pictures, ascending.
    pub sort_order: i32,
    /// Whether it stands for the product in lists.
    pub is_cover: bool,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The product.
    #[sea_orm(belongs_to, from = "product_id", to = "id", on_delete = "Cascade")]
    pub product: BelongsTo<super::product::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
