//! Many rows at once, by each engine's fastest way.
//!
//! - PostgreSQL: COPY in its binary form, straight into the table; only if a key is taken, into a table beside it and from
//!   there what is new.
//! - MySQL/MariaDB and SQLite: inserts of many rows, prepared once and repeated; one that meets a key that is taken looks
//!   up which are, and goes on without them.
//!
//! A row whose primary key is taken already, in the table or earlier in the batch, is a duplicate: it is counted and
//! changes nothing. Any other constraint that is violated fails the whole batch.

mod copy;
mod rows;
mod values;

use sea_orm::{ConnectionTrait, DbBackend};

pub use self::rows::Rows;
use super::Tx;
use crate::Error;

/// What became of a batch. Rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Rows that were not there before.
    pub inserted: u64,
    /// Rows that were there already, or twice in the batch.
    pub duplicates: u64,
}

impl std::ops::AddAssign for Saved {
    fn add_assign(&mut self, other: Self) {
        self.inserted += other.inserted;
        self.duplicates += other.duplicates;
    }
}

/// What became of a batch, row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many rows were inserted.
    pub saved: Saved,
    /// The places in the [`Rows`] of those whose key was taken before, ascending: all others were inserted.
    pub taken: Vec<usize>,
}

/// Inserts the rows in the transaction; those whose primary key exists are left alone and counted.
///
/// The order of the rows does not matter, though rows in the order of their key go faster. On PostgreSQL it is four round
/// trips when nothing is a duplicate; elsewhere one for some hundred rows.
///
/// # Errors
/// [`Error`] with [`is_conflict`](Error::is_conflict) when a row violates a constraint other than its primary key; nothing
/// of the batch is kept if the transaction is then rolled back, which [`Db::transaction`](super::Db::transaction) does.
pub async fn insert(tx: &Tx, rows: &Rows) -> Result<Saved, Error> {
    insert_reporting(tx, rows).await.map(|report| report.saved)
}

/// As [`insert`], and says which rows it inserted: for what is kept beside them and must count each once.
///
/// # Errors
/// As [`insert`].
pub async fn insert_reporting(tx: &Tx, rows: &Rows) -> Result<Report, Error> {
    let taken = match tx.get_database_backend() {
        _ if rows.is_empty() => Vec::new(),
        DbBackend::Postgres => copy::insert(tx, rows).await?,
        _ => values::insert(tx, rows).await?,
    };
    let inserted = (rows.len() - taken.len()) as u64;
    Ok(Report { saved: Saved { inserted, duplicates: taken.len() as u64 + rows.repeated() }, taken })
}
