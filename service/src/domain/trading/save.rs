use uuid::Uuid;

use crate::Error;
use crate::db::Tx;
use crate::db::bulk::{self, Rows, Saved};
use crate::entity::trading::{Side, trade};
use crate::types::{AtColumn, Price, Quantity, QuoteAmount, Text, Timestamp, ValueError};

/// The table of trades.
pub const TRADES: &str = "trades";

/// A trade to be saved.
///
/// ```
/// use stanchion::domain::trading::NewTrade;
/// use stanchion::entity::trading::Side;
/// use stanchion::types::Timestamp;
///
/// let trade = NewTrade {
///     exchange: "binance".parse()?,
///     symbol: "XRPETH".parse()?,
///     exchange_trade_id: "13519807".parse()?,
///     side: Side::Sell,
///     price: "0.00141342".parse()?,
///     quantity: "23".parse()?,
///     traded_at: Timestamp::from_millis(1_570_752_011_620)?,
///     ..NewTrade::default()
/// };
/// # drop(trade);
/// # Ok::<(), stanchion::types::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTrade {
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
    /// The price of one unit, above zero.
    pub price: Price,
    /// How many units, above zero.
    pub quantity: Quantity,
    /// What was paid; `None` for price x quantity.
    pub quote_quantity: Option<QuoteAmount>,
    /// The fee, in `fee_asset`.
    pub fee: Quantity,
    /// The asset of the fee; empty where there is none.
    pub fee_asset: Text<16>,
    /// Whether ours was the resting order.
    pub is_maker: bool,
    /// The profit or loss that it realized.
    pub pnl: Option<Price>,
    /// When the exchange matched it.
    pub traded_at: Timestamp,
}

impl Default for NewTrade {
    /// A trade of nothing: to fill in.
    fn default() -> Self {
        Self {
            exchange: Text::default(),
            symbol: Text::default(),
            exchange_trade_id: Text::default(),
            order_id: None,
            side: Side::Buy,
            price: Price::ZERO,
            quantity: Quantity::ZERO,
            quote_quantity: None,
            fee: Quantity::ZERO,
            fee_asset: Text::default(),
            is_maker: false,
            pnl: None,
            traded_at: Timestamp::EPOCH,
        }
    }
}

impl NewTrade {
    /// The row that it becomes, saved at `now`.
    ///
    /// # Errors
    /// What is wrong with it, naming the column: a blank exchange, symbol or id; a price or quantity that is not above
    /// zero; a product of the two that the column cannot hold exactly; a time before 1970.
    pub fn into_model(self, now: Timestamp) -> Result<trade::Model, ValueError> {
        let exchange = self.exchange.non_blank().at("trades.exchange")?;
        let symbol = self.symbol.non_blank().at("trades.symbol")?;
        let exchange_trade_id = self.exchange_trade_id.non_blank().at("trades.exchange_trade_id")?;
        let price = self.price.positive().at("trades.price")?;
        let quantity = self.quantity.positive().at("trades.quantity")?;
        let quote_quantity = match self.quote_quantity {
            Some(given) => given,
            None => product(price, quantity).at("trades.quote_quantity")?,
        };
        Ok(trade::Model {
            id: trade::id(self.traded_at, &exchange, &symbol, &exchange_trade_id).at("trades.traded_at")?,
            exchange,
            symbol,
            exchange_trade_id,
            order_id: self.order_id,
            side: self.side,
            price,
            quantity,
            quote_quantity,
            fee: self.fee,
            fee_asset: self.fee_asset,
            is_maker: self.is_maker,
            pnl: self.pnl,
            traded_at: self.traded_at,
            created_at: now,
        })
    }
}

/// Price x quantity, exactly.
fn product(price: Price, quantity: Quantity) -> Result<QuoteAmount, ValueError> {
    QuoteAmount::product(price.get(), quantity.get())
}

/// Saves trades in the caller's transaction. On PostgreSQL the partitions of their months have to exist.
///
/// # Errors
/// Those of [`bulk::insert`].
pub async fn save_trades(tx: &Tx, trades: impl IntoIterator<Item = trade::Model>) -> Result<Saved, Error> {
    bulk::insert(tx, &Rows::of::<trade::Entity>(trades)).await
}
