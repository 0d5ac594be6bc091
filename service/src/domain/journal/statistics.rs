use std::collections::BTreeMap;

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryOrder, QuerySelect};
use serde::Serialize;

use super::query::within;
use super::record::LOG_ENTRIES;
use crate::Error;
use crate::domain::calendar;
use crate::entity::journal::LogLevel;
use crate::entity::journal::log_entry::{Column, Entity};
use crate::types::{TimeRange, Timestamp};

/// Services that [`statistics`] names at most: those that log most.
pub const MOST_SERVICES: u64 = 1_000;
/// Intervals that [`over_time`] counts at most.
pub const MOST_INTERVALS: u64 = 10_000;

/// How many log entries there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogStatistics {
    /// All of them.
    pub total: u64,
    /// Of each level that there are any of, the most serious first.
    pub by_level: Vec<(LogLevel, u64)>,
    /// Of each service, the one with most first; at most [`MOST_SERVICES`] of them.
    pub by_service: Vec<(String, u64)>,
}

/// What time is cut into, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// From full hour to full hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
}

impl Interval {
    const fn micros(self) -> u64 {
        let hour = 3_600_000_000;
        match self {
            Self::Hour => hour,
            Self::Day => 24 * hour,
            Self::Week => 7 * 24 * hour,
        }
    }
}

/// How many entries fall into an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LogCount {
    /// When the interval begins.
    pub start: Timestamp,
    /// Entries.
    pub count: u64,
}

/// How many entries there are in a range of time, by level and by service. Two round trips; the engine counts every entry of
/// the range.
///
/// # Errors
/// Those of the database.
pub async fn statistics(db: &impl ConnectionTrait, range: TimeRange) -> Result<LogStatistics, Error> {
    let mut by_level = within(Entity::find(), range)
        .select_only()
        .column(Column::Level)
        .column_as(Column::Id.count(), "entries")
        .group_by(Column::Level)
        .into_tuple::<(LogLevel, i64)>()
        .all(db)
        .await?;
    by_level.sort_unstable_by_key(|(level, _)| *level);
    let by_service = within(Entity::find(), range)
        .select_only()
        .column(Column::Service)
        .column_as(Column::Id.count(), "entries")
        .group_by(Column::Service)
        .order_by_desc(Column::Id.count())
        .order_by_asc(Column::Service)
        .limit(MOST_SERVICES)
        .into_tuple::<(String, i64)>()
        .all(db)
        .await?;
    let by_level: Vec<(LogLevel, u64)> = by_level.into_iter().map(|(level, count)| (level, unsigned(count))).collect();
    Ok(LogStatistics {
        total: by_level.iter().map(|(_, count)| count).sum(),
        by_level,
        by_service: by_service.into_iter().map(|(service, count)| (service, unsigned(count))).collect(),
    })
}

/// How many entries there are in each interval of a range of time, in the order of time; intervals without any are left out.
/// One round trip; the engine counts every entry of the range.
///
/// # Errors
/// [`Error::Invalid`] for a range with an open end or of more than [`MOST_INTERVALS`], and those of the database.
pub async fn over_time(
    db: &impl ConnectionTrait,
    range: TimeRange,
    interval: Interval,
) -> Result<Vec<LogCount>, Error> {
    let (Some(from), Some(to)) = (range.from, range.to) else {
        return Err(Error::Invalid("entries are counted over a range of time that begins and ends".into()));
    };
    let micros = u64::try_from(to.micros() - from.micros()).unwrap_or(0);
    if micros / interval.micros() >= MOST_INTERVALS {
        return Err(Error::Invalid(format!("the range has more than {MOST_INTERVALS} intervals")));
    }
    let begins = match interval {
        Interval::Hour => calendar::hour(db.get_database_backend(), LOG_ENTRIES, "ts"),
        Interval::Day | Interval::Week => calendar::day(db.get_database_backend(), LOG_ENTRIES, "ts"),
    };
    let rows = within(Entity::find(), range)
        .select_only()
        .expr_as(begins.clone(), "begins")
        .column_as(Column::Id.count(), "entries")
        .group_by(begins)
        .into_tuple::<(String, i64)>()
        .all(db)
        .await?;
    let mut counts: BTreeMap<Timestamp, u64> = BTreeMap::new();
    for (text, count) in rows {
        *counts.entry(start_of(&text, interval)?).or_default() += unsigned(count);
    }
    Ok(counts.into_iter().map(|(start, count)| LogCount { start, count }).collect())
}

/// The beginning of the interval that an hour or a day falls into.
fn start_of(text: &str, interval: Interval) -> Result<Timestamp, Error> {
    let unreadable = || Error::Invalid("the engine wrote an hour that cannot be read".into());
    let mut day: NaiveDate = text.get(..10).and_then(|day| day.parse().ok()).ok_or_else(unreadable)?;
    let hour: u32 = text.get(11..).map_or(Ok(0), str::parse).map_err(|_| unreadable())?;
    if interval == Interval::Week {
        day = day.checked_sub_days(Days::new(day.weekday().num_days_from_monday().into())).ok_or_else(unreadable)?;
    }
    let time = NaiveTime::from_hms_opt(hour, 0, 0).ok_or_else(unreadable)?;
    Ok(Timestamp::try_from(NaiveDateTime::new(day, time).and_utc())?)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
