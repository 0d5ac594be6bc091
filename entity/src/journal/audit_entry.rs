//! A link of the audit chain.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{Json, Text, Timestamp};

/// Who did what to what, linked by hashes to the entry before it: a changed or removed entry breaks the chain.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "audit_entries")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its place in the chain, from 1 without gaps; being unique, it keeps the chain from forking.
    #[sea_orm(unique)]
    pub chain_no: i64,
    /// Who did it; nobody, if no one was signed in.
    pub actor_id: Option<Uuid>,
    /// What was done, or tried.
    pub action: Text<64>,
    /// The kind of thing that it was done to.
    pub resource: Text<64>,
    /// The one thing that it was done to.
    pub resource_id: Option<Text<64>>,
    /// Whether it was allowed.
    pub granted: bool,
    /// The thing as it was.
    pub state_before: Option<Json>,
    /// The thing as it became.
    pub state_after: Option<Json>,
    /// The address that the request came from.
    pub ip: Option<Text<45>>,
    /// When it was done.
    pub occurred_at: Timestamp,
    /// The hash of the entry before it, in hexadecimal; zeros before the first.
    pub prev_hash: Text<64>,
    /// The hash of this entry and of `prev_hash`, in hexadecimal.
    pub hash: Text<64>,
    /// When it was written.
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
