//! The end of the audit chain.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{Text, Timestamp};

/// Where the audit chain ends, kept apart from its entries: the removal of its last entries is found by it. Locked by whoever
/// appends, so that the chain has one end.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "audit_heads")]
pub struct Model {
    /// The chain; there is one, `main`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub chain: Text<32>,
    /// The number of its last entry; zero before the first.
    pub chain_no: i64,
    /// The hash of its last entry, in hexadecimal; zeros before the first.
    pub hash: Text<64>,
    /// When it last grew.
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
