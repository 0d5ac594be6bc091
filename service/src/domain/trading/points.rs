use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::Error;
use crate::entity::trading::trade::{Column, Entity};
use crate::types::{Price, Quantity, QuoteAmount, Text, TimeRange, Timestamp, id_bounds};

/// What a chart needs of a trade.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct TradePoint {
    /// The trade's id.
    pub id: Uuid,
    /// The exchange's id of the trade.
    pub exchange_trade_id: Text<64>,
    /// The price of one unit.
    pub price: Price,
    /// How many units.
    pub quantity: Quantity,
    /// What was paid.
    pub quote_quantity: QuoteAmount,
    /// When the exchange matched it.
    pub traded_at: Timestamp,
}

/// The trades of a symbol on an exchange in the order of their ids, which is that of their time to the millisecond:
/// `limit` of them, beginning after the one with the id `after`. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn trade_points(
    db: &impl ConnectionTrait,
    exchange: &str,
    symbol: &str,
    traded: TimeRange,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<TradePoint>, Error> {
    let (low, high) = id_bounds(traded);
    let select = Entity::find()
        .select_only()
        .columns([
            Column::Id,
            Column::ExchangeTradeId,
            Column::Price,
            Column::Quantity,
            Column::QuoteQuantity,
            Column::TradedAt,
        ])
        .filter(Column::Symbol.eq(symbol))
        .filter(Column::Exchange.eq(exchange))
        .apply_if(low, |select, low| select.filter(Column::Id.gte(low)))
        .apply_if(high, |select, high| select.filter(Column::Id.lt(high)))
        .apply_if(traded.from, |select, from| select.filter(Column::TradedAt.gte(from)))
        .apply_if(traded.to, |select, to| select.filter(Column::TradedAt.lt(to)))
        .apply_if(after, |select, after| select.filter(Column::Id.gt(after)))
        .order_by_asc(Column::Id)
        .limit(limit);
    Ok(select.into_model::<TradePoint>().all(db).await?)
}
