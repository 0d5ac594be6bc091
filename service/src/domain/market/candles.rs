use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select};

use super::Series;
use crate::Error;
use crate::db::Page;
use crate::db::page::PageRequest;
use crate::entity::market::Period;
use crate::entity::market::candle::{Column, Entity, Model};
use crate::types::{TimeRange, Timestamp};

/// Intervals that [`candles_between`] reads at once: a week of minutes.
pub const MAX_INTERVALS: u32 = 10_080;

/// Which candles of a series and period, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandleFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Criteria {
    series: Series,
    period: Period,
    opened: TimeRange,
}

crate::domain::paged!(CandleFilter);

impl CandleFilter {
    /// All candles of a series and period.
    pub fn of(series: Series, period: Period) -> Self {
        Self { criteria: Criteria { series, period, opened: TimeRange::default() }, page: PageRequest::default() }
    }

    /// Whose interval begins at this instant or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.criteria.opened.from = Some(from);
        self
    }

    /// Whose interval begins before this instant.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.criteria.opened.to = Some(to);
        self
    }
}

/// A page of candles. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn candles(db: &impl ConnectionTrait, filter: &CandleFilter) -> Result<Page<Model>, Error> {
    let Criteria { series, period, opened } = &filter.criteria;
    filter.page.read(db, select(series, *period, *opened), [Column::OpenTime], &filter.criteria).await
}

/// All candles whose interval begins in `from <= open_time < to`, oldest first: a day of minutes, at most
/// [`MAX_INTERVALS`] of them. One round trip.
///
/// # Errors
/// [`Error::Invalid`] when the range is longer, and those of the database.
pub async fn candles_between(
    db: &impl ConnectionTrait,
    series: &Series,
    period: Period,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Model>, Error> {
    let intervals = (to.micros() - from.micros()).div_euclid(period.micros());
    if intervals > i64::from(MAX_INTERVALS) {
        return Err(Error::Invalid(format!(
            "{intervals} candles of {period} are more than the {MAX_INTERVALS} that are read at once; read them in pages"
        )));
    }
    let select = select(series, period, TimeRange { from: Some(from), to: Some(to) });
    Ok(select.order_by_asc(Column::OpenTime).limit(u64::from(MAX_INTERVALS) + 1).all(db).await?)
}

/// Candles in the order of time, beginning after one.
pub(super) async fn candles_after(
    db: &impl ConnectionTrait,
    series: &Series,
    period: Period,
    opened: TimeRange,
    after: Option<Timestamp>,
    limit: u64,
) -> Result<Vec<Model>, Error> {
    let select =
        select(series, period, opened).apply_if(after, |select, after| select.filter(Column::OpenTime.gt(after)));
    Ok(select.order_by_asc(Column::OpenTime).limit(limit).all(db).await?)
}

fn select(series: &Series, period: Period, opened: TimeRange) -> Select<Entity> {
    Entity::find()
        .filter(Column::Exchange.eq(series.exchange().as_str()))
        .filter(Column::Symbol.eq(series.symbol().as_str()))
        .filter(Column::Period.eq(period))
        .apply_if(opened.from, |select, from| select.filter(Column::OpenTime.gte(from)))
        .apply_if(opened.to, |select, to| select.filter(Column::OpenTime.lt(to)))
}
