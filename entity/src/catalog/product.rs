//! A product.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::ProductStatus;
use crate::types::{LongText, Money, Rating, Text, Timestamp};

/// A product in the catalog.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "products")]
pub struct Model {
    /// The product's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its name.
    pub name: Text<200>,
    /// Its name in addresses.
    #[sea_orm(unique)]
    pub slug: Text<200>,
    /// What it is.
    pub description: LongText,
    /// The category it is in.
    pub category_id: Uuid,
    /// Its brand; empty where it has none.
    pub brand: Text<100>,
    /// What it costs.
    pub price: Money,
    /// What it cost before, where that is shown.
    pub original_price: Option<Money>,
    /// How many were sold.
    pub sold_count: i64,
    /// The mean of its published reviews, rounded; zero without any.
    pub rating: Rating,
    /// How many published reviews it has.
    pub review_count: i64,
    /// The stars of its published reviews together: what the mean is made of.
    pub rating_sum: i64,
    /// Whether it can be bought.
    pub status: ProductStatus,
    /// Whether it is shown among the sought-after ones.
    pub is_hot: bool,
    /// Whether it is shown among the new ones.
    pub is_new: bool,
    /// Whether it is shown among the recommended ones.
    pub is_recommend: bool,
    /// Optimistic locking: it goes up with every change but those of `sold_count` and of what reviews add up to.
    pub version: i32,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The category.
    #[sea_orm(belongs_to, from = "category_id", to = "id", on_delete = "Restrict")]
    pub category: BelongsTo<super::category::Entity>,
    /// Its pictures.
    #[sea_orm(has_many)]
    pub images: HasMany<super::product_image::Entity>,
    /// What buyers say.
    #[sea_orm(has_many)]
    pub reviews: HasMany<super::product_review::Entity>,
    /// The words that it is found by.
    #[sea_orm(has_one)]
    pub terms: HasOne<super::product_terms::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
