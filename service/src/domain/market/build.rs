use std::ops::AddAssign;

use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IdenStatic, IntoActiveModel, QueryFilter, QueryTrait,
};

use super::Series;
use super::fold::Part;
use super::source::{CandleSource, Reader, Window};
use crate::Error;
use crate::db::Db;
use crate::entity::market::Period;
use crate::entity::market::candle::{Column, Entity, Model};
use crate::types::{TimeRange, Timestamp};

/// Candles in a statement.
const BATCH: usize = 500;

/// Which candles to build: of a series and a period, over all time unless said otherwise.
///
/// A range is widened to whole intervals, as half an interval makes no candle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandleBuild {
    series: Series,
    period: Period,
    range: TimeRange,
    replaces: bool,
}

impl CandleBuild {
    /// All candles of this series and period.
    pub fn of(series: Series, period: Period) -> Self {
        Self { series, period, range: TimeRange::default(), replaces: false }
    }

    /// From the interval of this instant on.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.range.from = Some(from);
        self
    }

    /// Up to this instant, and the end of its interval.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.range.to = Some(to);
        self
    }

    /// Whatever candles are stored for the range give way to what is built, also where that is less or nothing: for data
    /// that was corrected. Without it the fuller candle stays.
    #[must_use]
    pub const fn replacing(mut self) -> Self {
        self.replaces = true;
        self
    }

    /// The range in whole intervals.
    fn intervals(&self) -> Result<TimeRange, Error> {
        let from = self.range.from.map(|from| self.period.interval_of(from)).transpose()?;
        let to = match self.range.to {
            Some(to) => {
                let begin = self.period.interval_of(to)?;
                // The last interval that can be stored has no end that could be.
                if begin == to { Some(to) } else { begin.plus(self.period.duration()).ok() }
            }
            None => None,
        };
        Ok(TimeRange { from, to })
    }

    fn reader<'a>(&'a self, source: CandleSource<'a>, backend: DbBackend) -> Result<Reader<'a>, Error> {
        Reader::new(source, backend, &self.series, self.period, self.intervals()?)
    }
}

/// What a build did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// Candles that were built. Those that were there already, as they are or fuller, are counted too.
    pub candles: u64,
    /// Ticks or trades that they are made of.
    pub trades: u64,
}

impl AddAssign for Built {
    fn add_assign(&mut self, other: Self) {
        self.candles += other.candles;
        self.trades += other.trades;
    }
}

/// Builds candles on a connection, at `now`: what they are made of is read, and they are saved, on `db`; trades are read
/// where they live. In a transaction it is all or nothing.
///
/// A candle that is stored already gives way to one of at least as many trades: so repeating a build changes nothing, and of
/// two builds at once the one that has seen more stays, whichever comes last. One that is closed stays closed.
///
/// Round trips: for ticks on PostgreSQL and MySQL/MariaDB two, and two a day of data; else two for 5,000 points; a further
/// one for every 500 candles, and with [`CandleBuild::replacing`] one more for each of these steps.
///
/// # Errors
/// [`Error::Value`] when a sum has more digits than its column; [`Error::Invalid`] for candles of a period that is not
/// shorter; those of the database.
pub async fn build_candles(
    db: &impl ConnectionTrait,
    source: CandleSource<'_>,
    build: &CandleBuild,
    now: Timestamp,
) -> Result<Built, Error> {
    let mut reader = build.reader(source, db.get_database_backend())?;
    let mut built = Built::default();
    let mut from = build.intervals()?.from;
    while let Some(window) = reader.next(db).await? {
        built += write(db, build, from, &window, now).await?;
        from = window.to;
    }
    Ok(built)
}

/// As [`build_candles`], each of its steps written in a transaction of its own: an unlimited build holds no lock for long,
/// and one that was stopped has whole candles.
pub(super) async fn build_stepwise(
    db: &Db,
    source: CandleSource<'_>,
    build: &CandleBuild,
    now: Timestamp,
) -> Result<Built, Error> {
    let mut reader = build.reader(source, db.backend())?;
    let mut built = Built::default();
    let mut from = build.intervals()?.from;
    // A replica may not have the ticks yet for which this is called.
    while let Some(window) = reader.next(db.writer()).await? {
        if build.replaces || !window.parts.is_empty() {
            built += db.transaction(async |tx| write(tx, build, from, &window, now).await).await?;
        }
        from = window.to;
    }
    Ok(built)
}

async fn write(
    db: &impl ConnectionTrait,
    build: &CandleBuild,
    from: Option<Timestamp>,
    window: &Window,
    now: Timestamp,
) -> Result<Built, Error> {
    if build.replaces {
        let delete = Entity::delete_many()
            .filter(Column::Exchange.eq(build.series.exchange().as_str()))
            .filter(Column::Symbol.eq(build.series.symbol().as_str()))
            .filter(Column::Period.eq(build.period))
            .apply_if(from, |delete, from| delete.filter(Column::OpenTime.gte(from)))
            .apply_if(window.to, |delete, to| delete.filter(Column::OpenTime.lt(to)));
        delete.exec(db).await?;
    }
    let candles = window.parts.iter().map(|part| candle(build, part, now)).collect::<Result<Vec<_>, Error>>()?;
    save_candles(db, candles).await?;
    let trades = window.parts.iter().map(|part| part.trade_count.unsigned_abs()).sum();
    Ok(Built { candles: window.parts.len() as u64, trades })
}

fn candle(build: &CandleBuild, part: &Part, now: Timestamp) -> Result<Model, Error> {
    let Part { open_time, open, high, low, close, volume, quote_volume, trade_count } = *part;
    let closed = now.micros() - open_time.micros() >= build.period.micros();
    Ok(Model {
        exchange: build.series.exchange().clone(),
        symbol: build.series.symbol().clone(),
        period: build.period,
        open_time,
        open,
        high,
        low,
        close,
        volume,
        quote_volume,
        trade_count,
        closed,
        created_at: now,
        updated_at: now,
    })
}

/// Saves candles; one that is stored already gives way to one of at least as many trades. One round trip for 500.
///
/// # Errors
/// Those of the database.
pub async fn save_candles(db: &impl ConnectionTrait, candles: impl IntoIterator<Item = Model>) -> Result<(), Error> {
    let mut candles = candles.into_iter().map(IntoActiveModel::into_active_model).peekable();
    while candles.peek().is_some() {
        let batch: Vec<_> = candles.by_ref().take(BATCH).collect();
        let insert = Entity::insert_many(batch).on_conflict(fuller_wins(db.get_database_backend()));
        insert.exec_without_returning(db).await?;
    }
    Ok(())
}

/// What of a stored candle changes when it is saved again.
fn fuller_wins(backend: DbBackend) -> OnConflict {
    let quote = if backend == DbBackend::MySql { '`' } else { '"' };
    let old = |column: Column| format!("{quote}candles{quote}.{quote}{}{quote}", column.as_str());
    let new = |column: Column| match backend {
        DbBackend::MySql => format!("VALUES({quote}{}{quote})", column.as_str()),
        _ => format!("excluded.{quote}{}{quote}", column.as_str()),
    };
    let values = [Column::Open, Column::High, Column::Low, Column::Close, Column::Volume, Column::QuoteVolume];
    let count = Column::TradeCount;
    let differs: Vec<String> = values.iter().map(|column| format!("{} <> {}", new(*column), old(*column))).collect();
    let changes = format!(
        "{new_count} > {old_count} OR ({new_count} = {old_count} AND ({})) OR ({} AND NOT {})",
        differs.join(" OR "),
        new(Column::Closed),
        old(Column::Closed),
        new_count = new(count),
        old_count = old(count),
    );
    let choose =
        |when: &str, column| Expr::cust(format!("CASE WHEN {when} THEN {} ELSE {} END", new(column), old(column)));
    let at_least = format!("{} >= {}", new(count), old(count));

    let mut conflict = OnConflict::columns([Column::Exchange, Column::Symbol, Column::Period, Column::OpenTime]);
    // MySQL assigns one after the other and sees what it has assigned: what others are judged by comes last.
    conflict.value(Column::UpdatedAt, choose(&changes, Column::UpdatedAt));
    conflict.value(Column::Closed, Expr::cust(format!("{} OR {}", old(Column::Closed), new(Column::Closed))));
    for column in values.into_iter().chain([count]) {
        conflict.value(column, choose(&at_least, column));
    }
    conflict
}
