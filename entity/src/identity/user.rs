//! A user.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::UserLevel;
use crate::types::{Email, Secret, Text, Timestamp};

/// A user, known by at least one of username, e-mail address and Telegram id.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// The user's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The name to log in with, compared with case.
    #[sea_orm(unique)]
    pub username: Option<Text<50>>,
    /// The e-mail address, compared without case.
    #[sea_orm(unique)]
    pub email: Option<Email>,
    /// The phone number.
    pub phone: Option<Text<20>>,
    /// The password's argon2id hash; without one the user cannot log in by password.
    #[serde(skip)]
    pub password_hash: Option<Secret<255>>,
    /// The id that Telegram gave the user.
    #[sea_orm(unique)]
    pub telegram_id: Option<i64>,
    /// The first name; empty where it is not known.
    pub first_name: Text<255>,
    /// The last name; empty where it is not known.
    pub last_name: Text<255>,
    /// The language to write to the user in: `en`, `zh-hans`, ...
    pub language_code: Text<10>,
    /// How high the user stands.
    pub level: UserLevel,
    /// Whether the user may do anything.
    pub is_active: bool,
    /// Optimistic locking: it goes up with every change.
    pub version: i32,
    /// When the user was registered.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
    /// What else the user tells about themselves.
    #[sea_orm(has_one)]
    pub profile: HasOne<super::user_profile::Entity>,
    /// Where the user's parcels go.
    #[sea_orm(has_many)]
    pub addresses: HasMany<super::user_address::Entity>,
    /// How the level changed.
    #[sea_orm(has_many)]
    pub level_changes: HasMany<super::user_level_change::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
