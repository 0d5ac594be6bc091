//! What trades of a day add up to, exactly, before any of it is stored.

use std::collections::HashMap;

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::entity::trading::Side;
use crate::entity::trading::trade::Model as Trade;
use crate::entity::trading::trade_statistic::{self, Model as Statistic};
use crate::types::{AtColumn, Day, Fixed, Problem, Text, Timestamp, ValueError};

/// The trades of some days, added up day by day, in the order of the ids of their statistics.
#[derive(Clone, Debug, Default)]
pub(super) struct Tallies(pub(super) Vec<Tally>);

/// What trades of one day and symbol add up to. Amounts are digits without their point, so that no sum of trades overflows.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    pub(super) id: Uuid,
    exchange: Text<32>,
    symbol: Text<32>,
    day: Day,
    count: i64,
    /// Bought, and sold.
    volume: [i128; 2],
    quote_volume: [i128; 2],
    fees: i128,
    pnl: i128,
    wins: i64,
    losses: i64,
    /// What they realized one by one.
    pub(super) realized: Vec<Realized>,
}

/// What a trade realized, and its place among the day's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Realized {
    at: i64,
    id: Uuid,
    pnl: i128,
}

impl Realized {
    fn of(trade: &Trade) -> Option<Self> {
        // One that realized nothing makes no peak and no fall.
        let pnl = trade.pnl.map(|pnl| pnl.get().mantissa()).filter(|pnl| *pnl != 0)?;
        Some(Self { at: trade.traded_at.micros(), id: trade.id, pnl })
    }
}

impl Tallies {
    /// Adds them up, in one pass.
    pub(super) fn of<'t>(trades: impl IntoIterator<Item = &'t Trade>) -> Result<Self, ValueError> {
        let mut tallies: Vec<Tally> = Vec::new();
        let mut places: HashMap<(&str, &str, chrono::NaiveDate), usize> = HashMap::new();
        for trade in trades {
            let key = (trade.exchange.as_str(), trade.symbol.as_str(), trade.traded_at.day());
            let place = match places.get(&key) {
                Some(place) => *place,
                None => {
                    let day = <Day as TryFrom<chrono::NaiveDate>>::try_from(key.2).at("trade_statistics.day")?;
                    tallies.push(Tally::new(trade.exchange.clone(), trade.symbol.clone(), day)?);
                    places.insert(key, tallies.len() - 1);
                    tallies.len() - 1
                }
            };
            tallies[place].add(trade);
        }
        tallies.sort_unstable_by_key(|tally| tally.id);
        Ok(Self(tallies))
    }
}

impl Tally {
    pub(super) fn new(exchange: Text<32>, symbol: Text<32>, day: Day) -> Result<Self, ValueError> {
        Ok(Self {
            id: trade_statistic::id(&exchange, &symbol, day)?,
            exchange,
            symbol,
            day,
            count: 0,
            volume: [0; 2],
            quote_volume: [0; 2],
            fees: 0,
            pnl: 0,
            wins: 0,
            losses: 0,
            realized: Vec::new(),
        })
    }

    pub(super) fn add(&mut self, trade: &Trade) {
        let side = usize::from(trade.side == Side::Sell);
        self.count += 1;
        self.volume[side] += trade.quantity.get().mantissa();
        self.quote_volume[side] += trade.quote_quantity.get().mantissa();
        self.fees += trade.fee.get().mantissa();
        if let Some(realized) = Realized::of(trade) {
            self.pnl += realized.pnl;
            self.wins += i64::from(realized.pnl > 0);
            self.losses += i64::from(realized.pnl < 0);
            self.realized.push(realized);
        }
    }

    /// Notes for the drawdown what an earlier trade realized, and nothing else of it.
    pub(super) fn realized(trade: &Trade, realized: &mut Vec<Realized>) {
        realized.extend(Realized::of(trade));
    }

    /// Which day of which symbol it is of.
    pub(super) fn place(&self) -> (&Text<32>, &Text<32>, Day) {
        (&self.exchange, &self.symbol, self.day)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The row of a day without trades.
    pub(super) fn zero(&self, now: Timestamp) -> Statistic {
        Statistic {
            id: self.id,
            exchange: self.exchange.clone(),
            symbol: self.symbol.clone(),
            day: self.day,
            trade_count: 0,
            buy_volume: Fixed::ZERO,
            sell_volume: Fixed::ZERO,
            buy_quote_volume: Fixed::ZERO,
            sell_quote_volume: Fixed::ZERO,
            fees: Fixed::ZERO,
            realized_pnl: Fixed::ZERO,
            win_count: 0,
            loss_count: 0,
            max_drawdown: Fixed::ZERO,
            created_at: now,
            updated_at: now,
        }
    }

    /// What the row becomes with these trades, all but the drawdown.
    ///
    /// # Errors
    /// [`Problem::TooLarge`], naming the column.
    pub(super) fn added_to(&self, row: Statistic, now: Timestamp) -> Result<Statistic, ValueError> {
        Ok(Statistic {
            trade_count: row.trade_count + self.count,
            buy_volume: plus(row.buy_volume, self.volume[0]).at("trade_statistics.buy_volume")?,
            sell_volume: plus(row.sell_volume, self.volume[1]).at("trade_statistics.sell_volume")?,
            buy_quote_volume: plus(row.buy_quote_volume, self.quote_volume[0])
                .at("trade_statistics.buy_quote_volume")?,
            sell_quote_volume: plus(row.sell_quote_volume, self.quote_volume[1])
                .at("trade_statistics.sell_quote_volume")?,
            fees: plus(row.fees, self.fees).at("trade_statistics.fees")?,
            realized_pnl: plus(row.realized_pnl, self.pnl).at("trade_statistics.realized_pnl")?,
            win_count: row.win_count + self.wins,
            loss_count: row.loss_count + self.losses,
            updated_at: now,
            ..row
        })
    }
}

fn plus<const P: u8, const S: u8>(amount: Fixed<P, S>, digits: i128) -> Result<Fixed<P, S>, ValueError> {
    fixed(amount.get().mantissa() + digits)
}

/// The number of these digits, `S` of them after the point.
fn fixed<const P: u8, const S: u8>(digits: i128) -> Result<Fixed<P, S>, ValueError> {
    let too_large = |_| ValueError::at("value", Problem::TooLarge { integer_digits: P - S });
    Decimal::try_from_i128_with_scale(digits, u32::from(S)).map_err(too_large).and_then(Fixed::new)
}

/// The deepest fall of the sum from its peak so far, both beginning at zero, in the order of time and id.
///
/// # Errors
/// [`Problem::TooLarge`].
pub(super) fn max_drawdown(mut realized: Vec<Realized>) -> Result<Fixed<28, 12>, ValueError> {
    realized.sort_unstable();
    let (mut sum, mut peak, mut deepest) = (0, 0, 0);
    for trade in realized {
        sum += trade.pnl;
        peak = peak.max(sum);
        deepest = deepest.max(peak - sum);
    }
    fixed(deepest).at("trade_statistics.max_drawdown")
}
