//! What an order holds of the stock, as a whole: the table `stock_reservations`.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::ReservationStatus;
use crate::types::Timestamp;

/// Where an order's hold on the stock is in its life. How much it holds, and where, is in the log.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "stock_reservations")]
pub struct Model {
    /// The order.
    #[sea_orm(primary_key, auto_increment = false)]
    pub order_id: Uuid,
    /// Where it is in its life.
    pub status: ReservationStatus,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
