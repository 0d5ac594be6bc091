//! Who trades a symbol.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{Text, Timestamp};

/// The lease of one instance on one symbol.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "symbol_assignments")]
pub struct Model {
    /// The exchange, in lower case.
    #[sea_orm(primary_key, auto_increment = false)]
    pub exchange: Text<32>,
    /// The symbol.
    #[sea_orm(primary_key, auto_increment = false)]
    pub symbol: Text<32>,
    /// The instance that holds it.
    pub instance_id: Text<64>,
    /// The fencing token of the lease; each new holder's is higher.
    pub fence: i64,
    /// When the lease ends unless it is renewed.
    pub expires_at: Timestamp,
    /// When the symbol was first assigned.
    pub created_at: Timestamp,
    /// When the lease last changed.
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
