//! ccxt's unified trades: <https://docs.ccxt.com/#/?id=trade-structure>.
//!
//! Their `price` and `amount` are floats that ccxt has made of the exchange's strings. The strings are in `info` where the
//! exchange is Binance, and are taken where they say the same; otherwise it is the digits that the JSON has.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use stanchion::domain::trading::NewTrade;
use stanchion::entity::trading::Side;
use stanchion::types::Quantity;

use super::json::{self, Field};
use crate::import::draft::{self, Assumed, Fault, Refused};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unified<'a> {
    #[serde(borrow)]
    info: Field<'a>,
    #[serde(borrow)]
    timestamp: Field<'a>,
    #[serde(borrow)]
    datetime: Field<'a>,
    #[serde(borrow)]
    symbol: Field<'a>,
    #[serde(borrow)]
    id: Field<'a>,
    #[serde(borrow)]
    order: Field<'a>,
    #[serde(borrow)]
    taker_or_maker: Field<'a>,
    #[serde(borrow)]
    side: Field<'a>,
    #[serde(borrow)]
    price: Field<'a>,
    #[serde(borrow)]
    amount: Field<'a>,
    #[serde(borrow)]
    fee: Field<'a>,
}

/// What the exchange said, as Binance names it: aggregate trades, and plain ones.
#[derive(Default, Deserialize)]
struct Info<'a> {
    #[serde(borrow)]
    p: Field<'a>,
    #[serde(borrow)]
    price: Field<'a>,
    #[serde(borrow)]
    q: Field<'a>,
    #[serde(borrow)]
    qty: Field<'a>,
    #[serde(borrow)]
    m: Field<'a>,
}

#[derive(Default, Deserialize)]
struct Fee<'a> {
    #[serde(borrow)]
    cost: Field<'a>,
    #[serde(borrow)]
    currency: Field<'a>,
}

pub(super) fn trade(text: &str, assumed: &Assumed) -> Result<NewTrade, Refused> {
    let unified: Unified<'_> = json::object(text)?;
    let info = info(unified.info);
    let symbol = json::optional("symbol", "symbol", unified.symbol)?;
    let (fee, fee_asset) = fee(unified.fee)?;
    let (price_key, price) = exact("price", ("price", unified.price), ("info.p", info.p.or(info.price)))?;
    let (quantity_key, quantity) = exact("quantity", ("amount", unified.amount), ("info.q", info.q.or(info.qty)))?;
    let (time_key, time) = match unified.timestamp {
        Some(_) => ("timestamp", unified.timestamp),
        None => ("datetime", unified.datetime),
    };
    let trade = NewTrade {
        exchange: assumed.exchange("exchange", None)?,
        symbol: assumed.symbol("symbol", symbol.as_deref())?,
        exchange_trade_id: draft::text("id", "id", &json::required("id", "id", unified.id)?)?,
        // The exchange's own id of an order is not the id of a row here.
        order_id: json::optional("order", "order", unified.order)?.and_then(|order| order.parse().ok()),
        side: side(unified.side, info.m)?,
        price: draft::price(price_key, &price)?,
        quantity: draft::quantity(quantity_key, &quantity)?,
        fee,
        fee_asset,
        is_maker: is_maker(unified.taker_or_maker)?,
        traded_at: assumed.instant(time_key, &json::required("time", "timestamp", time)?)?,
        ..NewTrade::default()
    };
    Ok(draft::finished(trade)?)
}

/// What `info` says, where it is an object that says it as Binance does; it is the exchange's own, so anything is allowed.
fn info(value: Field<'_>) -> Info<'_> {
    value.and_then(|value| json::object(value.get()).ok()).unwrap_or_default()
}

/// The exchange's own digits, if they are a string of the number that ccxt has made of it; else ccxt's.
fn exact<'a>(
    field: &'static str,
    unified: (&'static str, Field<'a>),
    original: (&'static str, Field<'a>),
) -> Result<(&'static str, Cow<'a, str>), Fault> {
    let said = json::optional(field, unified.0, unified.1)?;
    let digits = original.1.filter(|value| value.get().starts_with('"'));
    let digits = json::optional(field, original.0, digits).ok().flatten();
    match (said, digits) {
        (Some(said), Some(digits)) if is_same_float(&said, &digits) => Ok((original.0, digits)),
        (Some(said), _) => Ok((unified.0, said)),
        (None, Some(digits)) => Ok((original.0, digits)),
        (None, None) => Err(Fault::missing(field, unified.0)),
    }
}

/// Whether both are the same number to the precision of a float; the digits themselves are not touched.
fn is_same_float(left: &str, right: &str) -> bool {
    match (left.parse::<f64>(), right.parse::<f64>()) {
        (Ok(left), Ok(right)) => (left - right).abs() <= left.abs() * 4.0 * f64::EPSILON,
        _ => false,
    }
}

fn side(said: Field<'_>, buyer_is_maker: Field<'_>) -> Result<Side, Fault> {
    match (json::optional("side", "side", said)?, buyer_is_maker.map(RawValue::get)) {
        (Some(said), _) => draft::side("side", &said),
        (None, Some("true")) => Ok(draft::taker(true)),
        (None, Some("false")) => Ok(draft::taker(false)),
        (None, _) => Err(Fault::missing("side", "side")),
    }
}

fn is_maker(said: Field<'_>) -> Result<bool, Fault> {
    match json::optional("takerOrMaker", "takerOrMaker", said)?.as_deref() {
        None | Some("taker") => Ok(false),
        Some("maker") => Ok(true),
        Some(_) => Err(Fault::at("takerOrMaker", "takerOrMaker", "is neither taker nor maker")),
    }
}

/// The fee and its asset; none where there was none.
fn fee(value: Field<'_>) -> Result<(Quantity, stanchion::types::Text<16>), Fault> {
    let Some(value) = value else { return Ok(Default::default()) };
    let fee: Fee<'_> = json::object(value.get()).map_err(|fault| Fault::at("fee", "fee", fault.reason))?;
    let Some(cost) = json::optional("fee", "fee.cost", fee.cost)? else { return Ok(Default::default()) };
    let asset = match json::optional("fee asset", "fee.currency", fee.currency)? {
        Some(asset) => draft::text("fee asset", "fee.currency", &asset)?,
        None => stanchion::types::Text::default(),
    };
    Ok((draft::parse("fee", "fee.cost", &cost)?, asset))
}
