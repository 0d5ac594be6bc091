//! From the texts of a record to a trade: every check that a record has to pass, whatever its format.

use std::fmt;
use std::str::FromStr;

use stanchion::domain::trading::NewTrade;
use stanchion::entity::trading::Side;
use stanchion::types::{Price, Problem, Quantity, QuoteAmount, Text, Timestamp, ValueError};

/// Epochs below this are milliseconds, others microseconds: the year 5138 of the one, the year 1973 of the other.
const MICROSECONDS_FROM: i64 = 100_000_000_000_000;

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field that is to blame: `price`.
    pub field: Option<&'static str>,
    /// What the file calls it: `p`.
    pub key: Option<String>,
    /// What is wrong with it: "must be greater than zero".
    pub reason: String,
}

impl Fault {
    /// A record that is wrong as a whole.
    pub(super) fn whole(reason: impl Into<String>) -> Self {
        Self { field: None, key: None, reason: reason.into() }
    }

    /// A field that is wrong.
    pub(crate) fn at(field: &'static str, key: &str, reason: impl Into<String>) -> Self {
        Self { field: Some(field), key: Some(key.to_owned()), reason: reason.into() }
    }

    pub(super) fn missing(field: &'static str, key: &str) -> Self {
        Self::at(field, key, "is missing")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.field, self.key.as_deref()) {
            (Some(field), Some(key)) if key != field => write!(f, "{field} ({key}) {}", self.reason),
            (Some(field), _) => write!(f, "{field} {}", self.reason),
            (None, _) => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for Fault {}

/// Why a record is no trade.
#[derive(Debug)]
pub(super) enum Refused {
    Fault(Fault),
    /// It has no symbol and none is assumed: no record of the file will do.
    NoSymbol,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What is known about the trades of an input beside what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumed {
    exchange: Option<Text<32>>,
    symbol: Option<Text<32>>,
    latest: Timestamp,
}

/// The exchange of a trade that names none, where none was given either.
const EXCHANGE: &str = "binance";

impl Assumed {
    /// Trades of this exchange and symbol, or of any; none is later than `latest`, which a wrong unit of time would be.
    ///
    /// # Errors
    /// [`Fault`] for a name that no column holds.
    pub fn new(exchange: Option<&str>, symbol: Option<&str>, latest: Timestamp) -> Result<Self, Fault> {
        Ok(Self {
            exchange: exchange.map(|name| exchange_name("--exchange", name)).transpose()?,
            symbol: symbol.map(|name| symbol_name("--symbol", name)).transpose()?,
            latest,
        })
    }

    pub(super) const fn has_symbol(&self) -> bool {
        self.symbol.is_some()
    }

    /// The exchange of a record that names it, or does not.
    pub(super) fn exchange(&self, key: &str, named: Option<&str>) -> Result<Text<32>, Fault> {
        match (named, &self.exchange) {
            (None, Some(assumed)) => Ok(assumed.clone()),
            (None, None) => exchange_name(key, EXCHANGE),
            (Some(named), assumed) => same("exchange", key, exchange_name(key, named)?, assumed.as_ref()),
        }
    }

    /// The symbol of a record that names it, or does not.
    pub(super) fn symbol(&self, key: &str, named: Option<&str>) -> Result<Text<32>, Refused> {
        match (named, &self.symbol) {
            (None, Some(assumed)) => Ok(assumed.clone()),
            (None, None) => Err(Refused::NoSymbol),
            (Some(named), assumed) => Ok(same("symbol", key, symbol_name(key, named)?, assumed.as_ref())?),
        }
    }

    /// Milliseconds or microseconds since 1970, or an instant in RFC 3339.
    pub(super) fn instant(&self, key: &str, text: &str) -> Result<Timestamp, Fault> {
        let fault = |reason: String| Fault::at("time", key, reason);
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_epoch = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let instant = if is_epoch {
            match text.parse::<i64>() {
                Ok(seconds @ 1..100_000_000_000) => {
                    return Err(fault(format!(
                        "is {seconds}, neither milliseconds nor microseconds since 1970 of any trade; seconds are not read"
                    )));
                }
                Ok(millis) if millis < MICROSECONDS_FROM => Timestamp::from_millis(millis),
                Ok(micros) => Timestamp::from_micros(micros),
                Err(_) => Err(ValueError::at("trades.traded_at", Problem::InstantOutOfRange)),
            }
            .map_err(|error| fault(error.problem().to_string()))?
        } else {
            text.parse().map_err(|error: ValueError| match error.problem() {
                Problem::Malformed { .. } => {
                    fault("is neither milliseconds nor microseconds since 1970 nor an RFC 3339 instant".into())
                }
                problem => fault(problem.to_string()),
            })?
        };
        if instant < Timestamp::EPOCH {
            return Err(fault(Problem::BeforeEpoch.to_string()));
        }
        if instant > self.latest {
            return Err(fault(format!("is in the future: {instant}")));
        }
        Ok(instant)
    }
}

fn same(field: &'static str, key: &str, found: Text<32>, assumed: Option<&Text<32>>) -> Result<Text<32>, Fault> {
    match assumed {
        Some(assumed) if *assumed != found => Err(Fault::at(field, key, format!("is {found}, not {assumed}"))),
        _ => Ok(found),
    }
}

pub(crate) fn exchange_name(key: &str, name: &str) -> Result<Text<32>, Fault> {
    text("exchange", key, &name.to_lowercase())
}

/// A symbol as it is stored: in upper case, without the separators of `XRP/ETH`, `XRP-ETH` and `XRP_ETH`.
pub(crate) fn symbol_name(key: &str, name: &str) -> Result<Text<32>, Fault> {
    text("symbol", key, &name.to_uppercase().replace(['/', '-', '_'], ""))
}

/// A short name or id: not blank, and nothing in it that a terminal would obey.
pub(super) fn text<const N: usize>(field: &'static str, key: &str, value: &str) -> Result<Text<N>, Fault> {
    if value.chars().any(|char| char.is_control() || char.is_whitespace()) && !value.trim().is_empty() {
        return Err(Fault::at(field, key, "contains white space or a control character"));
    }
    parse::<Text<N>>(field, key, value)?.non_blank().map_err(|error| Fault::at(field, key, error.problem().to_string()))
}

pub(super) fn price(key: &str, value: &str) -> Result<Price, Fault> {
    positive("price", key, parse("price", key, value)?)
}

pub(super) fn quantity(key: &str, value: &str) -> Result<Quantity, Fault> {
    positive("quantity", key, parse("quantity", key, value)?)
}

fn positive(field: &'static str, key: &str, value: Quantity) -> Result<Quantity, Fault> {
    value.positive().map_err(|error| Fault::at(field, key, error.problem().to_string()))
}

/// A value that its column can hold.
pub(super) fn parse<T: FromStr<Err = ValueError>>(field: &'static str, key: &str, value: &str) -> Result<T, Fault> {
    value.parse().map_err(|error: ValueError| Fault::at(field, key, error.problem().to_string()))
}

pub(super) fn side(key: &str, value: &str) -> Result<Side, Fault> {
    if value.eq_ignore_ascii_case("buy") {
        Ok(Side::Buy)
    } else if value.eq_ignore_ascii_case("sell") {
        Ok(Side::Sell)
    } else {
        Err(Fault::at("side", key, "is neither buy nor sell"))
    }
}

/// The taker's side: where the buyer's order was the resting one, the taker sold.
pub(super) const fn taker(buyer_is_maker: bool) -> Side {
    if buyer_is_maker { Side::Sell } else { Side::Buy }
}

/// The trade, with price x quantity, which has to be exact as well.
pub(super) fn finished(mut trade: NewTrade) -> Result<NewTrade, Fault> {
    let product = QuoteAmount::product(trade.price.get(), trade.quantity.get());
    let product =
        product.map_err(|error| Fault::at("price x quantity", "price x quantity", error.problem().to_string()))?;
    trade.quote_quantity = Some(product);
    Ok(trade)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assumed() -> Assumed {
        Assumed::new(None, None, "2030-01-01T00:00:00Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn the_unit_of_an_epoch_is_told_by_its_size() {
        let same = ["1570752011620", "1570752011620000", "2019-10-11T00:00:11.620Z", "2019-10-11T02:00:11.62+02:00"];
        for text in same {
            assert_eq!(assumed().instant("T", text).unwrap().micros(), 1_570_752_011_620_000, "{text}");
        }
    }

    #[test]
    fn an_instant_that_no_trade_has_says_why() {
        for (text, why) in [
            ("-1", "is before 1970"),
            ("1960-01-01T00:00:00Z", "is before 1970"),
            ("1570752011", "seconds are not read"),
            ("99999999999999999999999", "is out of range"),
            ("1570752011620000000", "is out of range"),
            ("2031-01-01T00:00:00Z", "is in the future"),
            ("yesterday", "is neither"),
            ("", "is neither"),
            ("-", "is neither"),
            ("1570752011620.0", "is neither"),
        ] {
            let fault = assumed().instant("T", text).unwrap_err();
            assert!(fault.to_string().starts_with("time (T) ") && fault.reason.contains(why), "{text}: {fault}");
        }
    }

    #[test]
    fn symbols_lose_their_separators_and_exchanges_their_capitals() {
        assert_eq!(assumed().symbol("s", Some("xrp/eth")).unwrap(), "XRPETH");
        assert_eq!(assumed().symbol("s", Some("BTC-USDT")).unwrap(), "BTCUSDT");
        assert_eq!(assumed().exchange("exchange", Some("OKX")).unwrap(), "okx");
        assert_eq!(assumed().exchange("exchange", None).unwrap(), "binance");
        for bad in ["", "/", "XRP ETH", "XRP\u{1b}[2J", "XRP\0", &"X".repeat(33)] {
            assert!(assumed().symbol("s", Some(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn another_symbol_than_the_one_given_is_a_fault() {
        let assumed = Assumed::new(None, Some("XRP/ETH"), Timestamp::EPOCH).unwrap();
        assert_eq!(assumed.symbol("symbol", Some("XRPETH")).unwrap(), "XRPETH");
        let Err(Refused::Fault(fault)) = assumed.symbol("symbol", Some("BTCUSDT")) else { panic!() };
        assert_eq!(fault.to_string(), "symbol is BTCUSDT, not XRPETH");
    }

    #[test]
    fn prices_are_the_digits_of_the_file_or_refused() {
        assert_eq!(price("p", "0.00141342").unwrap().to_string(), "0.001413420000");
        for (text, why) in [
            ("0", "price (p) must be greater than zero"),
            ("-1.5", "price (p) must be greater than zero"),
            ("", "price (p) is not a decimal number"),
            ("1234567890123456789012345678901234567890", "price (p) is out of range"),
            ("0.1234567890123456789012345678901234567891", "price (p) is too precise"),
        ] {
            let fault = price("p", text).unwrap_err().to_string();
            assert!(fault.starts_with(why), "{text}: {fault}");
        }
    }
}
