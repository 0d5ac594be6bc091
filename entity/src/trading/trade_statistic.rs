//! A day's figures of a symbol.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{AtColumn, Day, Price, Quantity, QuoteAmount, Text, Timestamp, ValueError};

/// What a symbol's trades of a day (UTC) add up to. Its id is derived from what identifies it (see [`id`]), so rows in the
/// order of their ids are in the order of their days.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "trade_statistics")]
pub struct Model {
    /// A version 7 UUID whose time is the day's beginning.
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
    /// The fees paid, whatever their asset.
    pub fees: Quantity,
    /// The profit and loss realized.
    pub realized_pnl: Price,
    /// Trades with a profit.
    pub win_count: i64,
    /// Trades with a loss.
    pub loss_count: i64,
    /// The deepest fall of the day's cumulative profit from its peak so far, which is 0 before the first trade; trades in the
    /// order of `traded_at` and id. Never negative.
    pub max_drawdown: Price,
    /// When it was first written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

/// The id of a symbol's statistics of a day.
///
/// # Errors
/// [`Problem::BeforeEpoch`](crate::types::Problem::BeforeEpoch).
pub fn id(exchange: &str, symbol: &str, day: Day) -> Result<Uuid, ValueError> {
    let midnight = Timestamp::try_from(day.get().and_time(chrono::NaiveTime::MIN).and_utc());
    midnight.and_then(|midnight| crate::types::id_for(midnight, &[exchange, symbol])).at("trade_statistics.day")
}
