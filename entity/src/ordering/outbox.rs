//! A message that leaves after its transaction has committed.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{Json, Text, Timestamp};

/// A message written together with the change that it tells of, and published afterwards, at least once.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "outbox")]
pub struct Model {
    /// Its id, by which a receiver knows it when it comes twice.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// What it is about: `order.paid`, ...
    pub topic: Text<100>,
    /// What it is about one of: messages of one key leave in their order.
    pub message_key: Text<200>,
    /// What it says.
    pub payload: Json,
    /// When it was published.
    pub published_at: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
