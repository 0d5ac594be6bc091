//! Binance's aggregate trades, as its REST API and its stream give them:
//! <https://developers.binance.com/docs/binance-spot-api-docs/rest-api/market-data-endpoints>.

use serde::Deserialize;
use stanchion::domain::trading::NewTrade;

use super::json::{self, Field};
use crate::import::draft::{self, Assumed, Fault, Refused};

/// `f` and `l`, the trades that were aggregated, and `M` are not kept.
#[derive(Deserialize)]
struct Aggregate<'a> {
    #[serde(borrow)]
    a: Field<'a>,
    #[serde(borrow)]
    p: Field<'a>,
    #[serde(borrow)]
    q: Field<'a>,
    #[serde(borrow, rename = "T")]
    time: Field<'a>,
    #[serde(borrow)]
    m: Field<'a>,
    /// The stream's events say the symbol; what the REST API gives does not.
    #[serde(borrow)]
    s: Field<'a>,
}

pub(super) fn trade(text: &str, assumed: &Assumed) -> Result<NewTrade, Refused> {
    let aggregate: Aggregate<'_> = json::object(text)?;
    let symbol = json::optional("symbol", "s", aggregate.s)?;
    let symbol = assumed.symbol("s", symbol.as_deref())?;
    let buyer_is_maker = json::boolean("side", "m", aggregate.m)?.ok_or_else(|| Fault::missing("side", "m"))?;
    let trade = NewTrade {
        exchange: assumed.exchange("exchange", None)?,
        symbol,
        exchange_trade_id: draft::text("id", "a", &json::required("id", "a", aggregate.a)?)?,
        side: draft::taker(buyer_is_maker),
        price: draft::price("p", &json::required("price", "p", aggregate.p)?)?,
        quantity: draft::quantity("q", &json::required("quantity", "q", aggregate.q)?)?,
        traded_at: assumed.instant("T", &json::required("time", "T", aggregate.time)?)?,
        ..NewTrade::default()
    };
    Ok(draft::finished(trade)?)
}
