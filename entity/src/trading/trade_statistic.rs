//! A day's figures of a symbol.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{Day, Price, Quantity, QuoteAmount, Text, Timestamp};

/// What a symbol's trades of a day (UTC) add up to.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "trade_statistics")]
pub struct Model {
    /// The row's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The exchange, in lower case.
    #[sea_orm(unique_key = "exchange_symbol_day")]
    pub exchange: Text<32>,
    /// The symbol.
    #[sea_orm(unique_key = "exchange_symbol_day")]
    pub symbol: Text<32>,
    /// The day, in UTC.
    #[sea_orm(unique_key = "exchange_symbol_day")]
    pub day: Day,
    /// How many trades.
    pub trade_count: i64,
    /// The quantity bought.
    pub buy_volume: Quantity,
    /// The quantity sold.
    pub sell_volume: Quantity,
    /// What was bought, in the quote asset.
    pub buy_quote_volume: QuoteAmount,
    /// What was sold, in the quote asset.
    pub sell_quote_volume: QuoteAmount,
    /// The fees paid.
    pub fees: Quantity,
    /// The profit and loss realized.
    pub realized_pnl: Price,
    /// Trades with a profit.
    pub win_count: i64,
    /// Trades with a loss.
    pub loss_count: i64,
    /// The deepest fall of the cumulative profit from its peak.
    pub max_drawdown: Price,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}
