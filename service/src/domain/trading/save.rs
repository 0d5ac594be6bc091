use sea_orm::IntoActiveModel;
use uuid::Uuid;

use super::insert::insert_new;
use super::tally::Tallies;
use super::{Trading, statistics};
use crate::Error;
use crate::db::Tx;
use crate::db::bulk::{self, Report, Rows, Saved};
use crate::entity::trading::Side;
use crate::entity::trading::trade::{self, Model as Trade};
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
    pub fn into_model(self, now: Timestamp) -> Result<Trade, ValueError> {
        let exchange = self.exchange.non_blank().at("trades.exchange")?;
        let symbol = self.symbol.non_blank().at("trades.symbol")?;
        let exchange_trade_id = self.exchange_trade_id.non_blank().at("trades.exchange_trade_id")?;
        let price = self.price.positive().at("trades.price")?;
        let quantity = self.quantity.positive().at("trades.quantity")?;
        let quote_quantity = match self.quote_quantity {
            Some(given) => given,
            None => product(price, quantity).at("trades.quote_quantity")?,
        };
        Ok(Trade {
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

/// Trades to be saved together, with what they add up to: made once, used as often as a transaction is tried.
#[derive(Clone, Debug)]
pub struct TradeBatch {
    rows: Rows,
    tallies: Tallies,
}

impl TradeBatch {
    /// Of these trades, in whatever order. Of those that are twice in it the first counts.
    ///
    /// # Errors
    /// None for trades made by [`NewTrade::into_model`].
    pub fn new(trades: impl IntoIterator<Item = Trade>) -> Result<Self, ValueError> {
        let mut trades: Vec<Trade> = trades.into_iter().collect();
        // In one order, so that savers of the same trades do not wait for each other crosswise; and it is the faster one.
        trades.sort_by_key(|trade| trade.id);
        let rows = Rows::of::<trade::Entity>(trades);
        let tallies = Tallies::of(rows.models::<trade::Entity>())?;
        Ok(Self { rows, tallies })
    }

    /// The trades, each once, in the order of their ids.
    pub fn trades(&self) -> &[Trade] {
        self.rows.models::<trade::Entity>()
    }

    /// What the trades add up to without those at these places.
    fn without(&self, taken: &[usize]) -> Result<Tallies, ValueError> {
        let mut taken = taken.iter().copied().peekable();
        let new = self.trades().iter().enumerate().filter(|(at, _)| taken.next_if_eq(at).is_none());
        Tallies::of(new.map(|(_, trade)| trade))
    }
}

/// Saves trades, and adds those that are new to the statistics of their days, in the caller's transaction. On PostgreSQL the
/// partitions of their months have to exist.
///
/// Round trips: those of [`bulk::insert`], two for 500 days of symbols that are touched, two more where a day is the first
/// time; and for a day that had trades already and gets one with a profit or loss, one for 10,000 such trades of it.
///
/// # Errors
/// [`Error::Value`] when a day's sum has more digits than its column; those of [`bulk::insert`].
pub async fn save_trades(tx: &Tx, batch: &TradeBatch, now: Timestamp) -> Result<Saved, Error> {
    let Report { saved, taken } = bulk::insert_reporting(tx, &batch.rows).await?;
    if taken.is_empty() {
        statistics::add(tx, &batch.tallies, now).await?;
    } else {
        statistics::add(tx, &batch.without(&taken)?, now).await?;
    }
    Ok(saved)
}

/// Saves one trade as [`save_trades`] does; whether it is new. Three round trips, one where it is not new, and those that a
/// profit or loss costs.
///
/// # Errors
/// As [`save_trades`].
pub async fn save_trade(tx: &Tx, trade: &Trade, now: Timestamp) -> Result<bool, Error> {
    let is_new = insert_new(tx, trade.clone().into_active_model()).await?;
    if is_new {
        statistics::add(tx, &Tallies::of([trade])?, now).await?;
    }
    Ok(is_new)
}

/// A trade that is saved now, if it was not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedTrade {
    /// Its id.
    pub id: Uuid,
    /// Whether this call saved it.
    pub is_new: bool,
}

impl Trading<'_> {
    /// Saves trades in one transaction, and adds them to the statistics of their days: all that are new, or none if one is
    /// refused. Those that are there already are counted and left alone. Tens of thousands at once are a good batch; see
    /// [`db::bulk`](crate::db::bulk). The round trips are those of [`save_trades`], and two.
    ///
    /// # Errors
    /// [`Error::Value`] for a trade that cannot be stored (before 1970; a product of price and quantity that is too large
    /// or too precise), or a day's sum that cannot, naming the column; those of the database.
    ///
    /// # Cancellation
    /// A dropped future saves nothing, or everything if the commit had begun.
    pub async fn save_trades(&self, trades: impl IntoIterator<Item = NewTrade>) -> Result<Saved, Error> {
        let now = self.clock.now();
        let trades = trades.into_iter().map(|trade| trade.into_model(now)).collect::<Result<Vec<_>, _>>()?;
        self.save_models(trades, now).await
    }

    /// Saves trades that are rows already.
    pub(super) async fn save_models(&self, trades: Vec<Trade>, now: Timestamp) -> Result<Saved, Error> {
        if trades.is_empty() {
            return Ok(Saved::default());
        }
        let batch = TradeBatch::new(trades)?;
        self.partitions.ensure(self.db, TRADES, batch.trades().iter().map(|trade| trade.traded_at)).await?;
        let saved = self.db.transaction(async |tx| save_trades(tx, &batch, now).await).await;
        saved.inspect_err(|_| self.partitions.forget())
    }

    /// Saves one trade, and adds it to the statistics of its day, unless it is there already. Five round trips, three where
    /// it is not new; two more for the first trade of a day, and one for 10,000 trades where it realized something.
    ///
    /// # Errors
    /// As [`Trading::save_trades`].
    ///
    /// # Cancellation
    /// As [`Trading::save_trades`].
    pub async fn save_trade(&self, trade: NewTrade) -> Result<SavedTrade, Error> {
        let now = self.clock.now();
        let trade = trade.into_model(now)?;
        self.partitions.ensure(self.db, TRADES, [trade.traded_at].into_iter()).await?;
        let saved = self.db.transaction(async |tx| save_trade(tx, &trade, now).await).await;
        let is_new = saved.inspect_err(|_| self.partitions.forget())?;
        Ok(SavedTrade { id: trade.id, is_new })
    }
}
