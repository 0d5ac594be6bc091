//! A shop.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::ShopStatus;
use crate::types::{Text, Timestamp};

/// A user's shop.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "shops")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The user whose it is.
    pub owner_id: Uuid,
    /// Its name.
    pub name: Text<100>,
    /// Its level, from 1.
    pub level: i32,
    /// Whether it sells.
    pub status: ShopStatus,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
