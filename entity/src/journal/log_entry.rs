//! A log entry.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::{LogCategory, LogLevel};
use crate::types::{Json, LongText, Text, Timestamp};

/// An event that a service has logged.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "log_entries")]
pub struct Model {
    /// A version 7 UUID whose time is `ts`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// When it happened.
    pub ts: Timestamp,
    /// How serious it is.
    pub level: LogLevel,
    /// The service that logged it.
    pub service: Text<64>,
    /// What it is about.
    pub category: LogCategory,
    /// What was done: `login`, `place_order`, ...
    pub action: Option<Text<64>>,
    /// The request that it belongs to.
    pub request_id: Option<Text<64>>,
    /// The user that it is about.
    pub user_id: Option<Uuid>,
    /// The session that it belongs to.
    pub session_id: Option<Text<64>>,
    /// What happened, in words.
    pub message: LongText,
    /// The event's fields, an object.
    pub data: Json,
    /// Its tags, an array of strings.
    pub tags: Json,
    /// The error that was logged: its `name`, `message` and `stack`.
    pub error: Option<Json>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// When it may be deleted; never, if there is none.
    pub expires_at: Option<Timestamp>,
    /// When it was written.
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
