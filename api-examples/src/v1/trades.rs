//! `/api/v1/trades`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use stanchion::App;
use stanchion::db::page::DEFAULT_LIMIT;
use stanchion::db::{Cursor, Order};
use stanchion::domain::trading::{NewTrade, TradeFilter};
use stanchion::entity::trading::{Side, trade};
use stanchion::types::{Price, Quantity, QuoteAmount, Text, Timestamp};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

use super::{PageBody, one_of, order};
use crate::input::{Batch, Id, Query, limit};
use crate::problem::{Problem, ProblemBody};

/// How far ahead of this machine's clock an exchange's may be. Microseconds.
const AHEAD: i64 = 24 * 60 * 60 * 1_000_000;

/// A trade.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trade {
    id: Uuid,
    #[schema(value_type = String, example = "binance")]
    exchange: Text<32>,
    #[schema(value_type = String, example = "ETHUSDT")]
    symbol: Text<32>,
    /// The exchange's id of the trade.
    #[schema(value_type = String)]
    exchange_trade_id: Text<64>,
    /// The order of ours that it filled.
    order_id: Option<Uuid>,
    /// The taker's side.
    #[schema(schema_with = side)]
    side: Side,
    #[schema(value_type = String, example = "0.001413420000")]
    price: Price,
    #[schema(value_type = String)]
    quantity: Quantity,
    /// Price x quantity.
    #[schema(value_type = String)]
    quote_quantity: QuoteAmount,
    #[schema(value_type = String)]
    fee: Quantity,
    #[schema(value_type = String)]
    fee_asset: Text<16>,
    /// Whether ours was the resting order.
    is_maker: bool,
    /// The profit or loss that it realized.
    #[schema(value_type = Option<String>)]
    pnl: Option<Price>,
    #[schema(value_type = String, format = DateTime)]
    traded_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<trade::Model> for Trade {
    fn from(row: trade::Model) -> Self {
        Self {
            id: row.id,
            exchange: row.exchange,
            symbol: row.symbol,
            exchange_trade_id: row.exchange_trade_id,
            order_id: row.order_id,
            side: row.side,
            price: row.price,
            quantity: row.quantity,
            quote_quantity: row.quote_quantity,
            fee: row.fee,
            fee_asset: row.fee_asset,
            is_maker: row.is_maker,
            pnl: row.pnl,
            traded_at: row.traded_at,
            created_at: row.created_at,
        }
    }
}

/// A trade to be saved.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TradeToSave {
    /// In lower case.
    #[schema(value_type = String, max_length = 32, example = "binance")]
    exchange: Text<32>,
    /// In the exchange's own writing, without separators.
    #[schema(value_type = String, max_length = 32, example = "ETHUSDT")]
    symbol: Text<32>,
    /// The exchange's id of the trade: with exchange, symbol and time it says which trade this is.
    #[schema(value_type = String, max_length = 64, example = "13519807")]
    exchange_trade_id: Text<64>,
    order_id: Option<Uuid>,
    /// The taker's side.
    #[schema(schema_with = side)]
    side: Side,
    /// A decimal number above zero: up to 16 digits before the point, 12 after it.
    #[schema(value_type = String, example = "1850.25")]
    price: Price,
    /// A decimal number above zero: up to 16 digits before the point, 12 after it.
    #[schema(value_type = String, example = "0.5")]
    quantity: Quantity,
    /// What was paid; price x quantity where nothing is said.
    #[schema(value_type = Option<String>)]
    quote_quantity: Option<QuoteAmount>,
    #[serde(default)]
    #[schema(value_type = String)]
    fee: Quantity,
    #[serde(default)]
    #[schema(value_type = String, max_length = 16)]
    fee_asset: Text<16>,
    #[serde(default)]
    is_maker: bool,
    #[schema(value_type = Option<String>)]
    pnl: Option<Price>,
    /// From 1970 to at most a day ahead.
    #[schema(value_type = String, format = DateTime)]
    traded_at: Timestamp,
}

impl From<TradeToSave> for NewTrade {
    fn from(body: TradeToSave) -> Self {
        Self {
            exchange: body.exchange,
            symbol: body.symbol,
            exchange_trade_id: body.exchange_trade_id,
            order_id: body.order_id,
            side: body.side,
            price: body.price,
            quantity: body.quantity,
            quote_quantity: body.quote_quantity,
            fee: body.fee,
            fee_asset: body.fee_asset,
            is_maker: body.is_maker,
            pnl: body.pnl,
            traded_at: body.traded_at,
        }
    }
}

/// One trade, or several that are saved together or not at all.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the body, which is read as a batch")]
pub(crate) enum TradesToSave {
    One(TradeToSave),
    Many(Vec<TradeToSave>),
}

/// What became of the trades.
#[derive(Serialize, ToSchema)]
pub(crate) struct SavedTrades {
    /// Trades that are new.
    inserted: u64,
    /// Trades that were there already, or twice in the body.
    duplicates: u64,
    /// The id of every trade sent, in the order sent.
    ids: Vec<Uuid>,
}

/// Which trades.
#[derive(Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct TradeQuery {
    /// On this exchange.
    #[param(value_type = Option<String>)]
    exchange: Option<Text<32>>,
    /// Of this symbol.
    #[param(value_type = Option<String>)]
    symbol: Option<Text<32>>,
    /// Of this side.
    #[param(schema_with = side)]
    side: Option<Side>,
    /// Of this order of ours.
    order_id: Option<Uuid>,
    /// Traded at this instant or later: RFC 3339; the + of an offset is written %2B.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Traded before this instant.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Newest first (`desc`, the default) or oldest first.
    #[param(schema_with = order)]
    order: Order,
    /// Rows of a page, 100 where nothing is said.
    #[serde(deserialize_with = "limit")]
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

impl TradeQuery {
    fn filter(self) -> TradeFilter {
        let mut filter =
            TradeFilter::new().order(self.order).limit(self.limit.unwrap_or(DEFAULT_LIMIT)).after(self.cursor);
        if let Some(exchange) = self.exchange {
            filter = filter.exchange(exchange.into_string());
        }
        if let Some(symbol) = self.symbol {
            filter = filter.with_symbol(symbol.into_string());
        }
        if let Some(side) = self.side {
            filter = filter.side(side);
        }
        if let Some(order_id) = self.order_id {
            filter = filter.order_id(order_id);
        }
        if let Some(from) = self.from {
            filter = filter.from(from);
        }
        if let Some(to) = self.to {
            filter = filter.to(to);
        }
        filter
    }
}

/// A page of trades, newest first unless asked otherwise.
#[utoipa::path(
    get, path = "/api/v1/trades", tag = "trades", params(TradeQuery),
    responses((status = 200, body = PageBody<Trade>), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<TradeQuery>,
) -> Result<Json<PageBody<Trade>>, Problem> {
    let page = app.trading().trades(&query.filter()).await?;
    Ok(Json(PageBody::of(page)))
}

/// One trade.
#[utoipa::path(
    get, path = "/api/v1/trades/{id}", tag = "trades", params(("id" = Uuid, Path)),
    responses((status = 200, body = Trade), (status = 404, body = ProblemBody, content_type = "application/problem+json"))
)]
pub(crate) async fn one(State(app): State<App>, Id(id): Id) -> Result<Json<Trade>, Problem> {
    Ok(Json(app.trading().trade(id).await?.into()))
}

/// Saves trades: all of them or, if one is not valid, none. Saving a trade again changes nothing, so a request whose answer
/// was lost can be repeated.
#[utoipa::path(
    post, path = "/api/v1/trades", tag = "trades", request_body = TradesToSave,
    responses((status = 200, body = SavedTrades), (status = "4XX", body = ProblemBody, content_type = "application/problem+json"))
)]
pub(crate) async fn save(State(app): State<App>, batch: Batch<TradeToSave>) -> Result<Json<SavedTrades>, Problem> {
    let now = app.clock().now();
    let (trades, ids) = match batch {
        Batch::One(trade) => {
            let (trade, id) = checked(trade, now)?;
            (vec![trade], vec![id])
        }
        Batch::Many(trades) => {
            let trades = trades.into_iter().enumerate();
            let checked = trades.map(|(at, trade)| checked(trade, now).map_err(|problem| problem.of_item(at)));
            checked.collect::<Result<(Vec<_>, Vec<_>), _>>()?
        }
    };
    let saved = app.trading().save_trades(trades).await?;
    Ok(Json(SavedTrades { inserted: saved.inserted, duplicates: saved.duplicates, ids }))
}

/// The trade and its id, where it can be saved: asked here, one by one, the answer says which cannot.
fn checked(trade: TradeToSave, now: Timestamp) -> Result<(NewTrade, Uuid), Problem> {
    // Every month has a partition: a caller is not to make them for centuries to come.
    if trade.traded_at.micros() > now.micros() + AHEAD {
        return Err(Problem::invalid_field("traded_at", "is in the future"));
    }
    let trade = NewTrade::from(trade);
    let id = trade.clone().into_model(now).map_err(|error| Problem::from(&error))?.id;
    Ok((trade, id))
}

fn side() -> RefOr<Schema> {
    one_of(Side::ALL.iter().map(|side| side.as_str()))
}
