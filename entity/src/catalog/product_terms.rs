//! The words that a product is found by.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use crate::types::LongText;

/// The words of a product's name, brand and description, each as a term that every engine's full-text index takes for one
/// word. They are a table of their own because nobody reads them with the product.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "product_terms")]
pub struct Model {
    /// The product.
    #[sea_orm(primary_key, auto_increment = false)]
    pub product_id: Uuid,
    /// The terms, separated by spaces.
    pub terms: LongText,
    /// The product.
    #[sea_orm(belongs_to, from = "product_id", to = "id", on_delete = "Cascade")]
    pub product: BelongsTo<super::product::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
