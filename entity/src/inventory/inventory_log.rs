//! A change of a stock.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::MovementKind;
use crate::types::{Text, Timestamp};

/// An entry of the log whose sum is the balance.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "inventory_logs")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The stock that changed.
    #[sea_orm(unique_key = "inventory_id_kind_reference")]
    pub inventory_id: Uuid,
    /// How much more there is, or fewer.
    pub delta: i64,
    /// What changed it.
    #[sea_orm(unique_key = "inventory_id_kind_reference")]
    pub kind: MovementKind,
    /// What it was changed for: with the kind, it makes the change idempotent.
    #[sea_orm(unique_key = "inventory_id_kind_reference")]
    pub reference: Text<100>,
    /// What there was afterwards.
    pub balance_after: i64,
    /// When it happened.
    pub created_at: Timestamp,
    /// The stock.
    #[sea_orm(belongs_to, from = "inventory_id", to = "id", on_delete = "Restrict")]
    pub stock: BelongsTo<super::stock::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
