//! A step in an order's life.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::OrderStatus;
use crate::types::{LongText, Timestamp, ValueError, id_at};

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

/// A new id of a change to `status` at `at`.
///
/// An order's changes sort by their ids also within a millisecond: the bits after the time hold the place of the new
/// status in [`OrderStatus::ALL`], and no change leads to an earlier one.
///
/// # Errors
/// [`Problem::BeforeEpoch`](crate::types::Problem::BeforeEpoch).
pub fn id(at: Timestamp, status: OrderStatus) -> Result<Uuid, ValueError> {
    let mut bytes = id_at(at)?.into_bytes();
    bytes[6] = 0x70;
    bytes[7] = status as u8;
    Ok(Uuid::from_bytes(bytes))
}
