use std::fmt;

use crate::types::{AtColumn, Text, ValueError};

/// A symbol on an exchange: what ticks and candles are series of.
///
/// ```
/// use stanchion::domain::market::Series;
///
/// let series = Series::new("binance", "XRPETH")?;
/// assert_eq!(series.to_string(), "binance XRPETH");
/// assert!(Series::new("binance", " ").is_err());
/// # Ok::<(), stanchion::types::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Series {
    exchange: Text<32>,
    symbol: Text<32>,
}

impl Series {
    /// This symbol, in the exchange's own writing, on this exchange, in lower case.
    ///
    /// # Errors
    /// What is wrong with one of them: blank, longer than 32 characters, with a NUL character.
    pub fn new(exchange: &str, symbol: &str) -> Result<Self, ValueError> {
        Ok(Self {
            exchange: Text::try_from(exchange).and_then(Text::non_blank).at("ticks.exchange")?,
            symbol: Text::try_from(symbol).and_then(Text::non_blank).at("ticks.symbol")?,
        })
    }

    /// The exchange.
    pub const fn exchange(&self) -> &Text<32> {
        &self.exchange
    }

    /// The symbol.
    pub const fn symbol(&self) -> &Text<32> {
        &self.symbol
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.exchange, self.symbol)
    }
}
