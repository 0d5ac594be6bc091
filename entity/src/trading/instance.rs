//! A running trading service.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::InstanceRole;
use crate::types::{Text, Timestamp};

/// An instance of a trading service, and when it last said that it lives.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "instances")]
pub struct Model {
    /// The instance's configured id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Text<64>,
    /// The exchange that it trades on; not known of one that a version before this column has registered.
    pub exchange: Option<Text<32>>,
    /// Its place among the slots, from 0.
    pub slot: i32,
    /// How many slots there are.
    pub slots: i32,
    /// Whether it trades or waits.
    pub role: InstanceRole,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last said that it lives.
    pub heartbeat_at: Timestamp,
    /// Where it can be reached.
    pub address: Text<255>,
    /// Optimistic locking: it goes up with every change.
    pub version: i32,
    /// When it was first seen.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
