//! What a record means: pure functions from the bytes of one to a trade, a file a format.

mod binance;
mod ccxt;
mod csv;
mod json;

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::IgnoredAny;
use stanchion::domain::trading::NewTrade;

pub(super) use csv::Table;

use super::draft::{Assumed, Fault, Refused};

/// A format of trades in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Whichever of the others the first bytes say.
    #[default]
    Auto,
    /// Binance's aggregate trades: a JSON array of `{"a", "p", "q", "f", "l", "T", "m", "M"}`, or one such object a line.
    Binance,
    /// ccxt's unified trades: a JSON array of them, or one a line.
    Ccxt,
    /// CSV with a header.
    Csv,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Binance, Self::Ccxt, Self::Csv];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Binance => "binance",
            Self::Ccxt => "ccxt",
            Self::Csv => "csv",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|format| format.name() == name).ok_or("not one of auto, binance, ccxt, csv")
    }
}

/// How the records of one input are read.
pub(super) enum Reading {
    /// As JSON of a format that the first record will tell.
    Json,
    Binance,
    Ccxt,
    Csv(Box<Table>),
}

impl Reading {
    /// The format, once it is known.
    pub(super) const fn format(&self) -> Format {
        match self {
            Self::Json => Format::Auto,
            Self::Binance => Format::Binance,
            Self::Ccxt => Format::Ccxt,
            Self::Csv(_) => Format::Csv,
        }
    }

    /// The trade that these bytes are.
    pub(super) fn trade(&mut self, bytes: &[u8], assumed: &Assumed) -> Result<NewTrade, Refused> {
        let text = std::str::from_utf8(bytes).map_err(|_| Fault::whole("is not UTF-8"))?;
        if matches!(self, Self::Json) {
            *self = recognized(text)?;
        }
        match self {
            Self::Csv(table) => table.trade(text, assumed),
            Self::Ccxt => ccxt::trade(text, assumed),
            Self::Binance | Self::Json => binance::trade(text, assumed),
        }
    }
}

/// The keys that tell one format from the other.
#[derive(Deserialize)]
struct Keys {
    a: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    #[serde(rename = "T")]
    time: Option<IgnoredAny>,
    info: Option<IgnoredAny>,
    timestamp: Option<IgnoredAny>,
    price: Option<IgnoredAny>,
}

fn recognized(text: &str) -> Result<Reading, Fault> {
    let keys: Keys = json::object(text)?;
    if keys.info.is_some() || keys.timestamp.is_some() || keys.price.is_some() {
        Ok(Reading::Ccxt)
    } else if keys.a.is_some() || keys.p.is_some() || keys.time.is_some() {
        Ok(Reading::Binance)
    } else {
        Err(Fault::whole("is neither an aggregate trade of Binance nor a trade of ccxt"))
    }
}
