//! The journal: structured log entries, and an audit trail whose changes are found.
//!
//! Log entries are recorded in bulk, by a service itself or by [`JournalLayer`], which takes them from `tracing` and writes
//! them in the background. They are read by page, counted, and deleted when they expire. An audit entry is appended in the
//! transaction of what it tells of, linked to the one before by a hash; [`Journal::verify`] names the first entry that was
//! changed, removed, moved or put in.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = format!("sqlite://{}/s.db", folder.path().display()).parse().unwrap();
//! # let config = stanchion::config::Config::new(stanchion::config::Database::new(url));
//! # stanchion::App::migrate(&config).await?;
//! # let app = stanchion::App::start(config).await?;
//! use stanchion::domain::journal::{LogFilter, NewAudit, NewLogEntry};
//!
//! let entry = NewLogEntry {
//!     ts: app.clock().now(),
//!     service: "shop".parse()?,
//!     request_id: Some("r-1".parse()?),
//!     message: "paid by card".parse()?,
//!     ..NewLogEntry::default()
//! };
//! app.journal().record([entry]).await?;
//! let page = app.journal().entries(&LogFilter::new().request("r-1").text("card")).await?;
//! assert_eq!(page.items.len(), 1);
//!
//! let refund = NewAudit {
//!     action: "refund".parse()?,
//!     resource: "order".parse()?,
//!     granted: true,
//!     occurred_at: app.clock().now(),
//!     ..NewAudit::default()
//! };
//! app.journal().append([refund]).await?;
//! assert!(app.journal().verify(None).await?.is_intact());
//! # app.close().await; Ok(()) }
//! ```

mod audit;
mod layer;
mod query;
mod record;
mod retention;
mod statistics;

use uuid::Uuid;

pub use audit::{
    AUDIT_ENTRIES, AuditFilter, AuditHead, ChainFault, ChainReport, NewAudit, append, audit_entries, audit_entry, head,
    verify,
};
pub use layer::{JournalHandle, JournalLayer, LayerOptions};
pub use query::{LogFilter, SEARCHED, entries, entry};
pub use record::{LOG_ENTRIES, LogError, NewLogEntry, Retention, record};
pub use retention::{PURGED_AT_ONCE, purge_some};
pub use statistics::{Interval, LogCount, LogStatistics, MOST_INTERVALS, MOST_SERVICES, over_time, statistics};

use super::partitions::Partitions;
use crate::Error;
use crate::clock::Clock;
use crate::db::bulk::Saved;
use crate::db::{Db, Page};
use crate::entity::journal::audit_entry::Model as AuditEntry;
use crate::entity::journal::log_entry::Model as LogEntry;
use crate::types::TimeRange;

/// The journal service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Journal<'a> {
    db: &'a Db,
    clock: &'a dyn Clock,
    partitions: &'a Partitions,
}

impl<'a> Journal<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock, partitions: &'a Partitions) -> Self {
        Self { db, clock, partitions }
    }

    /// Records log entries in one transaction: all of them, or none if one is refused. Some hundreds at once are a good
    /// batch. On PostgreSQL six round trips, elsewhere two and one for some hundred entries; see
    /// [`db::bulk`](crate::db::bulk).
    ///
    /// # Errors
    /// [`Error::Value`] for an entry that cannot be stored, naming the column; those of the database.
    ///
    /// # Cancellation
    /// A dropped future records nothing, or everything if the commit had begun.
    pub async fn record(&self, entries: impl IntoIterator<Item = NewLogEntry>) -> Result<Saved, Error> {
        let now = self.clock.now();
        let entries = entries.into_iter().map(|entry| entry.into_model(now)).collect::<Result<Vec<_>, _>>()?;
        self.write(&entries).await
    }

    /// Writes entries that have their ids, so that trying again what may have been written already writes nothing twice.
    pub(super) async fn write(&self, entries: &[LogEntry]) -> Result<Saved, Error> {
        self.partitions.ensure(self.db, LOG_ENTRIES, entries.iter().map(|entry| entry.ts)).await?;
        let saved = self.db.transaction(async |tx| record(tx, entries.iter().cloned()).await).await;
        saved.inspect_err(|_| self.partitions.forget())
    }

    /// One log entry. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn entry(&self, id: Uuid) -> Result<LogEntry, Error> {
        entry(self.db.reader(), id).await
    }

    /// A page of log entries. One round trip.
    ///
    /// # Errors
    /// As [`entries()`].
    pub async fn entries(&self, filter: &LogFilter) -> Result<Page<LogEntry>, Error> {
        entries(self.db.reader(), filter).await
    }

    /// How many entries there are in a range of time, by level and by service. Two round trips.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn statistics(&self, range: TimeRange) -> Result<LogStatistics, Error> {
        statistics(self.db.reader(), range).await
    }

    /// How many entries there are in each interval of a range of time. One round trip.
    ///
    /// # Errors
    /// As [`over_time()`].
    pub async fn over_time(&self, range: TimeRange, interval: Interval) -> Result<Vec<LogCount>, Error> {
        over_time(self.db.reader(), range, interval).await
    }

    /// Deletes entries that have expired, and says how many: at most `batches` times [`PURGED_AT_ONCE`], each batch by
    /// itself, so that nobody is held up for long. Four round trips a batch. Call it again while it deletes as many as it may.
    ///
    /// # Errors
    /// Those of the database; batches that are gone stay gone.
    ///
    /// # Cancellation
    /// As with an error.
    pub async fn purge(&self, batches: u32) -> Result<u64, Error> {
        let now = self.clock.now();
        let mut purged = 0;
        for _ in 0..batches {
            let some = self.db.transaction(async |tx| purge_some(tx, now).await).await?;
            purged += some;
            if some == 0 {
                break;
            }
        }
        Ok(purged)
    }

    /// Appends entries to the audit chain, in a transaction of their own, and gives its new head. Five round trips. To
    /// append in the transaction of what they tell of, use [`append()`].
    ///
    /// # Errors
    /// As [`append()`].
    ///
    /// # Cancellation
    /// A dropped future appends nothing, or everything if the commit had begun.
    pub async fn append(&self, entries: impl IntoIterator<Item = NewAudit>) -> Result<AuditHead, Error> {
        let now = self.clock.now();
        let entries: Vec<NewAudit> = entries.into_iter().collect();
        self.db.transaction(async |tx| append(tx, entries.clone(), now).await).await
    }

    /// One audit entry. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn audit_entry(&self, id: Uuid) -> Result<AuditEntry, Error> {
        audit_entry(self.db.reader(), id).await
    }

    /// A page of audit entries. One round trip.
    ///
    /// # Errors
    /// As [`audit_entries()`].
    pub async fn audit_entries(&self, filter: &AuditFilter) -> Result<Page<AuditEntry>, Error> {
        audit_entries(self.db.reader(), filter).await
    }

    /// Where the audit chain ends: to be noted elsewhere, and given to [`verify`](Self::verify) later. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn head(&self) -> Result<AuditHead, Error> {
        head(self.db.reader()).await
    }

    /// Goes through the audit chain, from the entry after `known` or from the first one, and says what is wrong with it, if
    /// anything is: see [`verify()`]. Two round trips, and one for every 500 entries.
    ///
    /// # Errors
    /// Those of the database. A broken chain is no error but what the report says.
    pub async fn verify(&self, known: Option<AuditHead>) -> Result<ChainReport, Error> {
        // On the primary: a replica could show the head of another moment than the entries.
        verify(self.db.writer(), known).await
    }
}
