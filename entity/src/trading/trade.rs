//! A trade on an exchange.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::Side;
use crate::types::{Price, Quantity, QuoteAmount, Text, Timestamp};

/// A trade. Its id is derived from what identifies it (see [`id`]), so saving it twice saves it once.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "trades")]
pub struct Model {
    /// A version 7 UUID whose time is `traded_at`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The exchange, in lower case: `binance`.
    pub exchange: Text<32>,
    /// The symbol in the exchange's own writing, without separators: `XRPETH`.
    pub symbol: Text<32>,
    /// The exchange's id of the trade.
    pub exchange_trade_id: Text<64>,
    /// The order of ours that it filled, if it is known.
    pub order_id: Option<Uuid>,
    /// The taker's side.
    pub side: Side,
    /// The price of one unit.
    pub price: Price,
    /// How many units.
    pub quantity: Quantity,
    /// Price x quantity.
    pub quote_quantity: QuoteAmount,
    /// The fee paid, in `fee_asset`.
    pub fee: Quantity,
    /// The asset that the fee was paid in; empty where there was none.
    pub fee_asset: Text<16>,
    /// Whether ours was the resting order.
    pub is_maker: bool,
    /// The profit or loss that it realized, if it closed something.
    pub pnl: Option<Price>,
    /// When the exchange matched it.
    pub traded_at: Timestamp,
    /// When it was saved here.
    pub created_at: Timestamp,
}

impl ActiveModelBehavior for ActiveModel {}

/// The id of a trade: the same for the same trade, whoever saves it and however often.
///
/// # Errors
/// [`Problem::BeforeEpoch`](crate::types::Problem::BeforeEpoch).
pub fn id(
    traded_at: Timestamp,
    exchange: &str,
    symbol: &str,
    exchange_trade_id: &str,
) -> Result<Uuid, crate::types::ValueError> {
    crate::types::id_for(traded_at, &[exchange, symbol, exchange_trade_id])
}
