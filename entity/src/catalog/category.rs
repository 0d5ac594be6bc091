//! A category of products.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

use super::CategoryStatus;
use crate::types::{LongText, Text, Timestamp};

/// A category, in a tree of them.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize)]
#[sea_orm(table_name = "categories")]
pub struct Model {
    /// The category's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The category above it; none for a root.
    pub parent_id: Option<Uuid>,
    /// Its name.
    pub name: Text<100>,
    /// Its name in addresses.
    #[sea_orm(unique)]
    pub slug: Text<100>,
    /// What is in it.
    pub description: LongText,
    /// Where its picture is; empty where there is none.
    pub image_url: Text<255>,
    /// Its place among its siblings, ascending.
    pub sort_order: i32,
    /// Whether it is shown.
    pub status: CategoryStatus,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The category above it.
    #[sea_orm(
        self_ref,
        relation_enum = "Parent",
        relation_reverse = "Children",
        from = "parent_id",
        to = "id",
        on_delete = "Restrict"
    )]
    pub parent: BelongsTo<Option<Entity>>,
    /// The categories directly below it.
    #[sea_orm(self_ref, relation_enum = "Children", relation_reverse = "Parent")]
    pub children: HasMany<Entity>,
    /// The products directly in it.
    #[sea_orm(has_many)]
    pub products: HasMany<super::product::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
