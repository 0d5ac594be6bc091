//! Where a user's parcels go.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{LongText, Text, Timestamp};

/// An address of a user. At most one of a user's addresses is the default one; the database keeps that.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "user_addresses")]
pub struct Model {
    /// The address's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The user.
    pub user_id: Uuid,
    /// Who receives the parcel.
    pub receiver_name: Text<50>,
    /// The receiver's phone number.
    pub phone: Text<20>,
    /// The province or state.
    pub province: Text<50>,
    /// The city.
    pub city: Text<50>,
    /// The district; empty where there is none.
    pub district: Text<50>,
    /// The rest: street, house, door.
    pub detail_address: LongText,
    /// Whether it is the default one.
    pub is_default: bool,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The user.
    #[sea_orm(belongs_to, from = "user_id", to = "id", on_delete = "Cascade")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
