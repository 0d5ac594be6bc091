//! PostgreSQL's partitions of the big tables: a month a partition, by RANGE of the id.
//!
//! An id is a version 7 UUID, so a month is a range of ids, the primary key stays `id`, and foreign keys still work. There
//! is no default partition: one that holds rows of a month blocks the creation of that month's own. Months are created
//! ahead by the migrations and by a starting service, and before the import of old data. On other engines there are no
//! partitions, and everything here does nothing.

use chrono::{Datelike, Months, NaiveDate};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TransactionSession, TransactionTrait};
use stanchion_entity::types::{Timestamp, lowest_id};
use uuid::Uuid;

/// The tables that PostgreSQL partitions.
pub const BIG_TABLES: [&str; 5] = ["trades", "orders", "order_items", "order_status_history", "log_entries"];

/// Months that are created ahead of the current one.
pub const MONTHS_AHEAD: u32 = 12;

/// A calendar month in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    first: NaiveDate,
}

impl Month {
    /// The month of an instant.
    pub fn of(instant: Timestamp) -> Self {
        let day = instant.day();
        Self { first: day.with_day(1).unwrap_or(day) }
    }

    /// The month after this one; the last month of all is its own successor.
    pub fn next(self) -> Self {
        Self { first: self.first.checked_add_months(Months::new(1)).unwrap_or(self.first) }
    }

    /// The month before this one; the first month of all is its own predecessor.
    pub fn previous(self) -> Self {
        Self { first: self.first.checked_sub_months(Months::new(1)).unwrap_or(self.first) }
    }

    /// The months from this one to `last`, both included.
    pub fn through(self, last: Self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |month| Some(month.next()).filter(|next| next > month))
            .take_while(move |month| *month <= last)
    }

    /// The month that is `count` later.
    pub fn plus(self, count: u32) -> Self {
        Self { first: self.first.checked_add_months(Months::new(count)).unwrap_or(self.first) }
    }

    /// The lowest id of the month and the lowest one after it.
    fn bounds(self) -> (Uuid, Uuid) {
        let start = |month: Self| lowest_id(month.first.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis());
        (start(self), start(self.next()))
    }

    fn partition_of(self, table: &str) -> String {
        format!("{table}_p{:04}_{:02}", self.first.year(), self.first.month())
    }
}

/// Creates the partitions of `table` for these months that do not exist. Months that have one cost one query together.
///
/// It takes a transaction of its own (or a savepoint), in which an advisory lock lets one process create at a time; a
/// partition is made beside the table and then attached, so that readers and writers of the table are not held up.
///
/// # Errors
/// Those of the database; then none of the partitions was created.
///
/// # Cancellation
/// A dropped future creates nothing.
pub async fn ensure<C>(db: &C, table: &str, months: impl IntoIterator<Item = Month>) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    if db.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let missing = missing(db, table, months.into_iter().collect()).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let tx = db.begin().await?;
    tx.execute_unprepared("SELECT pg_advisory_xact_lock(hashtextextended('stanchion.partitions', 0))").await?;
    for month in self::missing(&tx, table, missing).await? {
        let partition = month.partition_of(table);
        let (low, high) = month.bounds();
        tx.execute_unprepared(&format!("CREATE TABLE \"{partition}\" (LIKE \"{table}\" INCLUDING ALL)")).await?;
        tx.execute_unprepared(&format!(
            "ALTER TABLE \"{table}\" ATTACH PARTITION \"{partition}\" FOR VALUES FROM ('{low}') TO ('{high}')"
        ))
        .await?;
    }
    tx.commit().await
}

/// Creates the partitions of all big tables from the month of `now` to [`MONTHS_AHEAD`] months later.
///
/// # Errors
/// Those of the database.
pub async fn ensure_ahead<C>(db: &C, now: Timestamp) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait,
{
    let first = Month::of(now);
    for table in BIG_TABLES {
        ensure(db, table, first.through(first.plus(MONTHS_AHEAD))).await?;
    }
    Ok(())
}

async fn missing(db: &impl ConnectionTrait, table: &str, mut months: Vec<Month>) -> Result<Vec<Month>, DbErr> {
    let children = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass",
        [format!("\"{table}\"").into()],
    );
    let rows = db.query_all_raw(children).await?;
    let existing = rows.iter().map(|row| row.try_get_by::<String, _>(0)).collect::<Result<Vec<_>, _>>()?;
    months.retain(|month| !existing.contains(&month.partition_of(table)));
    Ok(months)
}
