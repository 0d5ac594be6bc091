//! A step in an order's life.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::OrderStatus;
use crate::types::{LongText, Timestamp};

/// A change of an order's status, written together with it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "order_status_history")]
pub struct Model {
    /// A version 7 UUID of when it happened.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The order that changed.
    pub order_id: Uuid,
    /// The status before; none when the order was placed.
    pub old_status: Option<OrderStatus>,
    /// The status after.
    pub new_status: OrderStatus,
    /// Why.
    pub remark: Option<LongText>,
    /// When it happened.
    pub created_at: Timestamp,
    /// The order.
    #[sea_orm(belongs_to, from = "order_id", to = "id", on_delete = "Cascade")]
    pub order: BelongsTo<super::order::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
