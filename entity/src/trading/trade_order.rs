//! An order on an exchange.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::{OrderStatus, OrderType, Side};
use crate::types::{Price, Quantity, Text, Timestamp};

/// An order of ours on an exchange.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "trade_orders")]
pub struct Model {
    /// The order's id here.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The exchange, in lower case.
    #[sea_orm(unique_key = "exchange_client_order_id")]
    pub exchange: Text<32>,
    /// The symbol.
    pub symbol: Text<32>,
    /// The id that we gave it, which makes placing it idempotent.
    #[sea_orm(unique_key = "exchange_client_order_id")]
    pub client_order_id: Text<64>,
    /// The id that the exchange gave it.
    pub exchange_order_id: Option<Text<64>>,
    /// Bought or sold.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// The limit, where it has one.
    pub price: Option<Price>,
    /// How many units.
    pub quantity: Quantity,
    /// How many of them are filled.
    pub filled_quantity: Quantity,
    /// The mean price of what is filled.
    pub avg_fill_price: Option<Price>,
    /// Where it is in its life.
    pub status: OrderStatus,
    /// The instance that placed it.
    pub instance_id: Text<64>,
    /// The fencing token that the instance held.
    pub fence: i64,
    /// The grid's level that it stands for.
    pub price_level: Option<Price>,
    /// Optimistic locking: it goes up with every change.
    pub version: i32,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
