//! A request that is answered once.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{Text, Timestamp};

/// A key under which a caller may repeat a request, and what the first one made.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    /// What the key is for: `checkout`, `refund`, ...
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: Text<50>,
    /// The caller's key.
    #[sea_orm(primary_key, auto_increment = false)]
    pub idempotency_key: Text<100>,
    /// The SHA-256 of the request, in hexadecimal: another request under the same key is a conflict.
    pub request_hash: Text<64>,
    /// What the first request made.
    pub resource_id: Uuid,
    /// When the key may be forgotten.
    pub expires_at: Timestamp,
    /// When the request came first.
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
