use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use super::fold::{Fold, Part, Point, Rank};
use super::{Series, aggregate, candles};
use crate::Error;
use crate::domain::trading::Trading;
use crate::entity::market::Period;
use crate::entity::market::tick::{Column, Entity};
use crate::types::{AtColumn, Price, Quantity, QuoteAmount, TimeRange, Timestamp};

/// Points that are read at once where they are added up here. About a megabyte.
const PAGE: usize = 5_000;

/// What candles are built from.
#[derive(Clone, Copy, Debug)]
pub enum CandleSource<'a> {
    /// The ticks. Of those of the same instant the lowest sequence number is the first.
    Ticks,
    /// The trades, on the database that they live in. Of those of the same instant the lowest exchange's id is the first:
    /// ids that are numbers are compared as numbers and come before those that are not, which are compared as text.
    Trades(Trading<'a>),
    /// The candles of this shorter period.
    Candles(Period),
}

/// Candles up to an instant.
pub(super) struct Window {
    pub(super) parts: Vec<Part>,
    /// Where it ends: everything before is there; `None` is the end of time.
    pub(super) to: Option<Timestamp>,
}

/// Reads a source window by window, in the order of time, in bounded memory.
pub(super) struct Reader<'a> {
    series: &'a Series,
    period: Period,
    /// Whole intervals.
    range: TimeRange,
    way: Way<'a>,
}

enum Way<'a> {
    /// The engine adds up: the next day to look at, once it is known that there is something.
    Days {
        from: Option<Timestamp>,
        known: bool,
    },
    /// The points are added up here.
    Pages {
        pages: Pages<'a>,
        fold: Box<Fold>,
    },
    Done,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        source: CandleSource<'a>,
        backend: DbBackend,
        series: &'a Series,
        period: Period,
        range: TimeRange,
    ) -> Result<Self, Error> {
        let pages = match source {
            CandleSource::Ticks if backend == DbBackend::Sqlite => Some(Pages::Ticks(None)),
            CandleSource::Ticks => None,
            CandleSource::Trades(trading) => Some(Pages::Trades(trading, None)),
            CandleSource::Candles(shorter) if shorter < period => Some(Pages::Candles(shorter, None)),
            CandleSource::Candles(other) => {
                return Err(Error::Invalid(format!("candles of {period} cannot be built from those of {other}")));
            }
        };
        let way = match pages {
            Some(pages) => Way::Pages { pages, fold: Box::new(Fold::new(period)) },
            None => Way::Days { from: range.from, known: false },
        };
        Ok(Self { series, period, range, way })
    }

    /// The next window. One or two round trips.
    pub(super) async fn next(&mut self, db: &impl ConnectionTrait) -> Result<Option<Window>, Error> {
        match self.way {
            Way::Days { .. } => self.next_day(db).await,
            Way::Pages { .. } => self.next_page(db).await,
            Way::Done => Ok(None),
        }
    }

    async fn next_day(&mut self, db: &impl ConnectionTrait) -> Result<Option<Window>, Error> {
        while let Way::Days { from, known } = self.way {
            let from = match from.filter(|_| known) {
                Some(from) => from,
                None => match aggregate::first(db, self.series, TimeRange { from, to: self.range.to }).await? {
                    Some(first) => self.period.interval_of(first)?,
                    None => break,
                },
            };
            let day = aggregate::end_of_day(from)?;
            let to = [day, self.range.to].into_iter().flatten().min();
            let parts = aggregate::parts(db, self.series, self.period, from, to).await?;
            // After an empty day there may be many more.
            self.way = match to {
                Some(to) if self.range.to != Some(to) => Way::Days { from: Some(to), known: !parts.is_empty() },
                _ => Way::Done,
            };
            if !parts.is_empty() {
                return Ok(Some(Window { parts, to }));
            }
        }
        self.way = Way::Done;
        Ok(Some(Window { parts: Vec::new(), to: self.range.to }))
    }

    async fn next_page(&mut self, db: &impl ConnectionTrait) -> Result<Option<Window>, Error> {
        let Way::Pages { pages, fold } = &mut self.way else { return Ok(None) };
        let points = pages.next(db, self.series, self.range).await?;
        let last = points.len() < PAGE;
        let mut parts = Vec::new();
        for point in points {
            parts.extend(fold.add(point)?);
        }
        let to = if last {
            parts.extend(fold.finish()?);
            self.range.to
        } else {
            fold.pending()
        };
        if last {
            self.way = Way::Done;
        }
        Ok(Some(Window { parts, to }))
    }
}

/// What is added up here, page by page, and where the page before ended.
enum Pages<'a> {
    Ticks(Option<(Timestamp, i64)>),
    Trades(Trading<'a>, Option<Uuid>),
    Candles(Period, Option<Timestamp>),
}

impl Pages<'_> {
    async fn next(
        &mut self,
        db: &impl ConnectionTrait,
        series: &Series,
        range: TimeRange,
    ) -> Result<Vec<Point>, Error> {
        match self {
            Self::Ticks(after) => {
                let ticks = ticks_after(db, series, range, *after).await?;
                *after = ticks.last().map(|(ts, seq, ..)| (*ts, *seq)).or(*after);
                ticks.into_iter().map(|(ts, seq, price, quantity)| tick(ts, seq, price, quantity)).collect()
            }
            Self::Trades(trading, after) => {
                let (exchange, symbol) = (series.exchange().as_str(), series.symbol().as_str());
                let trades = trading.trade_points(exchange, symbol, range, *after, PAGE as u64).await?;
                *after = trades.last().map(|trade| trade.id).or(*after);
                let point = |trade: crate::domain::trading::TradePoint| Point {
                    at: trade.traded_at,
                    rank: Rank::of(&trade.exchange_trade_id),
                    open: trade.price,
                    high: trade.price,
                    low: trade.price,
                    close: trade.price,
                    volume: trade.quantity,
                    quote_volume: trade.quote_quantity,
                    trade_count: 1,
                };
                Ok(trades.into_iter().map(point).collect())
            }
            Self::Candles(period, after) => {
                let found = candles::candles_after(db, series, *period, range, *after, PAGE as u64).await?;
                *after = found.last().map(|candle| candle.open_time).or(*after);
                let point = |candle: crate::entity::market::candle::Model| Point {
                    at: candle.open_time,
                    rank: Rank::Number(0),
                    open: candle.open,
                    high: candle.high,
                    low: candle.low,
                    close: candle.close,
                    volume: candle.volume,
                    quote_volume: candle.quote_volume,
                    trade_count: candle.trade_count,
                };
                Ok(found.into_iter().map(point).collect())
            }
        }
    }
}

/// A page of ticks in the order of their key, no more of each than is needed. One round trip.
async fn ticks_after(
    db: &impl ConnectionTrait,
    series: &Series,
    range: TimeRange,
    after: Option<(Timestamp, i64)>,
) -> Result<Vec<(Timestamp, i64, Price, Quantity)>, Error> {
    let beyond = |(ts, seq): (Timestamp, i64)| {
        let later = Condition::any().add(Column::Ts.gt(ts)).add(Column::Seq.gt(seq));
        Condition::all().add(Column::Ts.gte(ts)).add(later)
    };
    let select = Entity::find()
        .select_only()
        .columns([Column::Ts, Column::Seq, Column::Price, Column::Quantity])
        .filter(Column::Exchange.eq(series.exchange().as_str()))
        .filter(Column::Symbol.eq(series.symbol().as_str()))
        .apply_if(range.from, |select, from| select.filter(Column::Ts.gte(from)))
        .apply_if(range.to, |select, to| select.filter(Column::Ts.lt(to)))
        .apply_if(after, |select, after| select.filter(beyond(after)))
        .order_by_asc(Column::Ts)
        .order_by_asc(Column::Seq)
        .limit(PAGE as u64);
    Ok(select.into_tuple().all(db).await?)
}

fn tick(ts: Timestamp, seq: i64, price: Price, quantity: Quantity) -> Result<Point, Error> {
    Ok(Point {
        at: ts,
        // In the order of signed numbers.
        rank: Rank::Number((i128::from(seq) - i128::from(i64::MIN)).unsigned_abs()),
        open: price,
        high: price,
        low: price,
        close: price,
        volume: quantity,
        quote_volume: QuoteAmount::product(price.get(), quantity.get()).at("candles.quote_volume")?,
        trade_count: 1,
    })
}
