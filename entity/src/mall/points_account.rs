//! A user's points.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{Money, Timestamp};

/// How many points a user has: the sum of the account's transactions, never below zero.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "points_accounts")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Whose points they are.
    #[sea_orm(unique)]
    pub user_id: Uuid,
    /// How many there are.
    pub balance: Money,
    /// Optimistic locking: it goes up with every change.
    pub version: i32,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What changed it.
    #[sea_orm(has_many)]
    pub transactions: HasMany<super::points_transaction::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
