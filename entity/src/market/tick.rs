//! A tick.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::trading::Side;
use crate::types::{Price, Quantity, Text, Timestamp};

/// One price of a symbol. Its key is what it is about, so saving it twice saves it once.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "ticks")]
pub struct Model {
    /// The exchange, in lower case.
    #[sea_orm(primary_key, auto_increment = false)]
    pub exchange: Text<32>,
    /// The symbol.
    #[sea_orm(primary_key, auto_increment = false)]
    pub symbol: Text<32>,
    /// When the exchange saw it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub ts: Timestamp,
    /// The exchange's sequence number, which orders ticks of the same instant.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// The price of one unit.
    pub price: Price,
    /// How many units.
    pub quantity: Quantity,
    /// The taker's side, where the exchange tells it.
    pub side: Option<Side>,
    /// When it was saved here.
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
