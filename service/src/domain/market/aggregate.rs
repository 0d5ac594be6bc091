//! Candles out of ticks by one statement a day, where the engine's decimals are exact: PostgreSQL and MySQL/MariaDB.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QueryResult, QuerySelect, QueryTrait,
};
use sea_orm::{Statement, Value};

use super::Series;
use super::fold::Part;
use crate::Error;
use crate::entity::market::Period;
use crate::entity::market::tick::{Column, Entity};
use crate::types::{AtColumn, Price, Quantity, QuoteAmount, TimeRange, Timestamp};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Since when MySQL counts microseconds here: the first instant that can be stored, which begins an interval of every
/// period. Counting from before every tick needs no rounding of negative numbers.
const BEGINNING: &str = "1000-01-01 00:00:00";

/// Where the day of an instant ends; `None` for the last one.
pub(super) fn end_of_day(at: Timestamp) -> Result<Option<Timestamp>, Error> {
    Ok(Period::D1.interval_of(at)?.plus(DAY).ok())
}

/// When the first tick of a range was seen. One round trip.
pub(super) async fn first(
    db: &impl ConnectionTrait,
    series: &Series,
    range: TimeRange,
) -> Result<Option<Timestamp>, Error> {
    let select = Entity::find()
        .select_only()
        .column(Column::Ts)
        .filter(Column::Exchange.eq(series.exchange().as_str()))
        .filter(Column::Symbol.eq(series.symbol().as_str()))
        .apply_if(range.from, |select, from| select.filter(Column::Ts.gte(from)))
        .apply_if(range.to, |select, to| select.filter(Column::Ts.lt(to)))
        .order_by_asc(Column::Ts);
    Ok(select.into_tuple::<Timestamp>().one(db).await?)
}

/// The parts of `from <= ts < to`, a day at most, in the order of time. One round trip.
///
/// Extremes and sums are found by hashing or sorting by interval, and the first and last price by two look-ups in the
/// primary key an interval, which is far less work than keeping a million prices in order. The inner LIMIT leaves nothing
/// out, as a day has no more intervals: it tells the planner how few there are.
pub(super) async fn parts(
    db: &impl ConnectionTrait,
    series: &Series,
    period: Period,
    from: Timestamp,
    to: Option<Timestamp>,
) -> Result<Vec<Part>, Error> {
    let backend = db.get_database_backend();
    let (bucket, text) = match backend {
        DbBackend::Postgres => (bucket_postgres(period), "text"),
        _ => (format!("TIMESTAMPDIFF(MICROSECOND, '{BEGINNING}', ts) DIV {}", period.micros()), "char"),
    };
    let intervals = DAY.as_secs() / period.duration().as_secs();
    let edge = |instant, order| {
        format!(
            "(SELECT t.price FROM ticks t WHERE t.exchange = ? AND t.symbol = ? AND t.ts = b.{instant} \
             ORDER BY t.seq {order} LIMIT 1)"
        )
    };
    let (opening, closing) = (edge("earliest", "ASC"), edge("latest", "DESC"));
    let until = if to.is_some() { "AND ts < ?" } else { "" };
    let sql = format!(
        "SELECT b.bucket, b.points, b.highest, b.lowest, CAST(b.volume AS {text}) AS volume, \
         CAST(b.quote_volume AS {text}) AS quote_volume, {opening} AS opening, {closing} AS closing \
         FROM (SELECT {bucket} AS bucket, COUNT(*) AS points, MIN(ts) AS earliest, MAX(ts) AS latest, \
         MAX(price) AS highest, MIN(price) AS lowest, SUM(quantity) AS volume, \
         SUM(price * quantity) AS quote_volume FROM ticks \
         WHERE exchange = ? AND symbol = ? AND ts >= ? {until} GROUP BY 1 LIMIT {intervals}) b ORDER BY b.bucket"
    );
    let names = [series.exchange().clone().into(), series.symbol().clone().into()];
    let values = (0..3).flat_map(|_| names.clone()).chain([from.into()]).chain(to.map(Value::from));
    let rows = db.query_all_raw(Statement::from_sql_and_values(backend, numbered(backend, &sql), values)).await?;
    rows.iter().map(|row| part(row, backend, period)).collect()
}

/// The beginning of a tick's interval. Sessions are in UTC; `date_bin` would do, had PostgreSQL 13 it.
fn bucket_postgres(period: Period) -> String {
    let whole = |unit: &str| format!("date_trunc('{unit}', ts)");
    let parts = |of: &str, unit: &str, count: u32| {
        format!("date_trunc('{of}', ts) + INTERVAL '{count} {unit}' * (date_part('{unit}', ts)::int / {count})")
    };
    match period {
        Period::M1 => whole("minute"),
        Period::M5 => parts("hour", "minute", 5),
        Period::M15 => parts("hour", "minute", 15),
        Period::M30 => parts("hour", "minute", 30),
        Period::H1 => whole("hour"),
        Period::H4 => parts("day", "hour", 4),
        Period::D1 => whole("day"),
    }
}

fn part(row: &QueryResult, backend: DbBackend, period: Period) -> Result<Part, Error> {
    let open_time = if backend == DbBackend::Postgres {
        row.try_get("", "bucket")?
    } else {
        let beginning: Timestamp = Timestamp::from_micros(beginning_micros())?;
        let number: i64 = row.try_get("", "bucket")?;
        Timestamp::from_micros(number.saturating_mul(period.micros()).saturating_add(beginning.micros()))?
    };
    let volume: String = row.try_get("", "volume")?;
    let quote_volume: String = row.try_get("", "quote_volume")?;
    Ok(Part {
        open_time,
        open: row.try_get::<Price>("", "opening")?,
        high: row.try_get::<Price>("", "highest")?,
        low: row.try_get::<Price>("", "lowest")?,
        close: row.try_get::<Price>("", "closing")?,
        volume: volume.parse::<Quantity>().at("candles.volume")?,
        quote_volume: quote_volume.parse::<QuoteAmount>().at("candles.quote_volume")?,
        trade_count: row.try_get("", "points")?,
    })
}

/// [`BEGINNING`] in microseconds since the epoch: 354,285 days before it.
const fn beginning_micros() -> i64 {
    -354_285 * Period::D1.micros()
}

/// PostgreSQL numbers its parameters.
fn numbered(backend: DbBackend, sql: &str) -> String {
    if backend != DbBackend::Postgres {
        return sql.to_owned();
    }
    let mut pieces = sql.split('?');
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.enumerate().fold(first, |sql, (at, piece)| format!("{sql}${}{piece}", at + 1))
}
