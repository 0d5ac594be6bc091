//! What a user tells about themselves.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::Gender;
use crate::types::{Day, Secret, Text, Timestamp};

/// The profile of a user, who has at most one. Text that was not given is empty.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "user_profiles")]
pub struct Model {
    /// The profile's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The user.
    #[sea_orm(unique)]
    pub user_id: Uuid,
    /// The name that others see.
    pub nickname: Text<50>,
    /// Where the picture is.
    pub avatar_url: Text<255>,
    /// The gender.
    pub gender: Gender,
    /// The day of birth.
    pub birth_date: Option<Day>,
    /// The name on the identity card.
    pub real_name: Text<50>,
    /// The number of the identity card, encrypted.
    #[serde(skip)]
    pub id_card: Option<Secret<512>>,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The user.
    #[sea_orm(belongs_to, from = "user_id", to = "id", on_delete = "Cascade")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
