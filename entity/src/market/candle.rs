//! A candle.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::Period;
use crate::types::{Price, Quantity, QuoteAmount, Text, Timestamp};

/// What a symbol did in one interval. An interval without a trade has no candle.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "candles")]
pub struct Model {
    /// The exchange, in lower case.
    #[sea_orm(primary_key, auto_increment = false)]
    pub exchange: Text<32>,
    /// The symbol.
    #[sea_orm(primary_key, auto_increment = false)]
    pub symbol: Text<32>,
    /// The interval's length.
    #[sea_orm(primary_key, auto_increment = false)]
    pub period: Period,
    /// When the interval begins: a multiple of its length since the epoch.
    #[sea_orm(primary_key, auto_increment = false)]
    pub open_time: Timestamp,
    /// The first price.
    pub open: Price,
    /// The highest price.
    pub high: Price,
    /// The lowest price.
    pub low: Price,
    /// The last price.
    pub close: Price,
    /// How many units changed hands.
    pub volume: Quantity,
    /// The sum of price x quantity.
    pub quote_volume: QuoteAmount,
    /// How many trades there were.
    pub trade_count: i64,
    /// Whether the interval is over.
    pub closed: bool,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
