//! A risk check.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{Json, Price, Text, Timestamp};

/// One check of a limit, passed or not.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "risk_checks")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The exchange, in lower case.
    pub exchange: Text<32>,
    /// The symbol.
    pub symbol: Text<32>,
    /// What was checked: `max_position`, `daily_loss`, ...
    pub check_type: Text<50>,
    /// Whether the observed value was within the limit.
    pub passed: bool,
    /// The limit.
    pub limit_value: Price,
    /// What was observed.
    pub observed_value: Price,
    /// What else there is to know.
    pub details: Json,
    /// The instance that checked.
    pub instance_id: Text<64>,
    /// When it was checked.
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
