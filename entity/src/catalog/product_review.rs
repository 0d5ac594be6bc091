//! A review of a product.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::ReviewStatus;
use crate::types::{Json, LongText, Text, Timestamp};

/// What a buyer says about a product: once for each order of it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "product_reviews")]
pub struct Model {
    /// The review's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The product.
    #[sea_orm(unique_key = "product_id_order_id")]
    pub product_id: Uuid,
    /// The user who wrote it.
    pub user_id: Uuid,
    /// The order that the product came with.
    #[sea_orm(unique_key = "product_id_order_id")]
    pub order_id: Uuid,
    /// One star to five.
    pub rating: i32,
    /// The review in a line.
    pub title: Text<200>,
    /// The review.
    pub content: LongText,
    /// Where its pictures are: an array of texts.
    pub images: Json,
    /// Whether the order was seen to be the user's, with the product in it.
    pub is_verified: bool,
    /// Whether it is shown.
    pub status: ReviewStatus,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The product.
    #[sea_orm(belongs_to, from = "product_id", to = "id", on_delete = "Cascade")]
    pub product: BelongsTo<super::product::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
