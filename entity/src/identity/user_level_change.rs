//! A change of a user's level.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::UserLevel;
use crate::types::{Text, Timestamp};

/// One attempt to change a user's level, kept also when it failed.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "user_level_changes")]
pub struct Model {
    /// The change's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The user.
    pub user_id: Uuid,
    /// The level before.
    pub from_level: UserLevel,
    /// The level asked for.
    pub to_level: UserLevel,
    /// Why it was asked for, or why it failed.
    pub reason: Text<255>,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// Whether the user has the level now.
    pub succeeded: bool,
    /// When it was tried.
    pub created_at: Timestamp,
    /// The user.
    #[sea_orm(belongs_to, from = "user_id", to = "id", on_delete = "Cascade")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
