//! One side of a movement of points.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::PointsKind;
use crate::types::{LongText, Money, Text, Timestamp};

/// An entry in an account: what one movement did to it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "points_transactions")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The movement that it is a side of.
    pub transfer_id: Uuid,
    /// The account that it changed.
    pub account_id: Uuid,
    /// How many points came, or, below zero, went.
    pub amount: Money,
    /// How many the account had afterwards.
    pub balance_after: Money,
    /// Why they moved.
    pub kind: PointsKind,
    /// What makes the movement idempotent: the caller's key, and the side.
    #[sea_orm(unique)]
    pub idempotency_key: Text<100>,
    /// What the user wants to be known.
    pub remark: Option<LongText>,
    /// When it happened.
    pub created_at: Timestamp,
    /// The account.
    #[sea_orm(belongs_to, from = "account_id", to = "id", on_delete = "Restrict")]
    pub account: BelongsTo<super::points_account::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
