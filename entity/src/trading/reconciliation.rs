//! A comparison with what an exchange says.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::ReconciliationStatus;
use crate::types::{Json, Text, Timestamp};

/// One comparison of our trades with a snapshot of the exchange.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "reconciliations")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The exchange, in lower case.
    pub exchange: Text<32>,
    /// The symbol.
    pub symbol: Text<32>,
    /// The instance that ran it.
    pub instance_id: Text<64>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Trades here.
    pub local_count: i64,
    /// Trades on the exchange.
    pub exchange_count: i64,
    /// Trades of the exchange that are not here.
    pub missing_local: i64,
    /// Trades here that the exchange does not know.
    pub missing_exchange: i64,
    /// Trades that both have, with differences.
    pub mismatched: i64,
    /// Which trades, and how they differ: the first of each kind.
    pub details: Json,
    /// How it ended.
    pub status: ReconciliationStatus,
    /// When it was written.
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
