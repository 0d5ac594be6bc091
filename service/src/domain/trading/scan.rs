use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use super::TradeFilter;
use crate::Error;
use crate::entity::trading::trade::{Column, Entity, Model};
use crate::types::{Day, Text, TimeRange, Timestamp};

/// Trades that are read at a time.
const ROWS: u64 = 10_000;

/// All trades of a symbol in a range of time, read piece by piece in the order of their ids.
pub(super) struct Scan {
    select: Select<Entity>,
    after: Option<Uuid>,
    done: bool,
}

impl Scan {
    pub(super) fn of(exchange: &Text<32>, symbol: &Text<32>, range: TimeRange) -> Self {
        let filter = TradeFilter::symbol(symbol.as_str()).exchange(exchange.as_str()).traded(range);
        Self { select: filter.select().order_by_asc(Column::Id), after: None, done: false }
    }

    /// Those alone that realized something.
    pub(super) fn realized(mut self) -> Self {
        self.select = self.select.filter(Column::Pnl.is_not_null());
        self
    }

    /// The next piece; none after the last one. One round trip for 10,000 trades.
    pub(super) async fn next(&mut self, db: &impl ConnectionTrait) -> Result<Option<Vec<Model>>, Error> {
        if self.done {
            return Ok(None);
        }
        let mut select = self.select.clone().limit(ROWS);
        if let Some(after) = self.after {
            select = select.filter(Column::Id.gt(after));
        }
        let trades = select.all(db).await?;
        self.after = trades.last().map(|trade| trade.id);
        self.done = (trades.len() as u64) < ROWS;
        Ok(Some(trades))
    }
}

/// The time from the beginning of a day to its end, in UTC.
pub(super) fn day_range(day: Day) -> TimeRange {
    let midnight = |day: Option<chrono::NaiveDate>| {
        let instant = day.map(|day| day.and_time(chrono::NaiveTime::MIN).and_utc());
        instant.and_then(|instant| Timestamp::try_from(instant).ok())
    };
    // Nothing is after the last day of all.
    TimeRange { from: midnight(Some(day.get())), to: midnight(day.get().succ_opt()) }
}
