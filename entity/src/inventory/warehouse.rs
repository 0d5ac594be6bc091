//! A warehouse.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{LongText, Text, Timestamp};

/// A place where goods are kept.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "warehouses")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its short name.
    #[sea_orm(unique)]
    pub code: Text<50>,
    /// Its name.
    pub name: Text<100>,
    /// Where it is.
    pub address: LongText,
    /// Whether goods come and go.
    pub is_active: bool,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What is kept there.
    #[sea_orm(has_many)]
    pub stocks: HasMany<super::stock::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
