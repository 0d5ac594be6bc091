use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use sea_orm::DbBackend;

use crate::Error;
use crate::db::Db;
use crate::migration::partitions::{self, Month};
use crate::types::Timestamp;

/// Which partitions are known to exist, so that a write looks for its own only once.
#[derive(Debug, Default)]
pub(crate) struct Partitions {
    known: Mutex<HashSet<(&'static str, Month)>>,
}

impl Partitions {
    /// Sees that the rows of these instants have a partition. Nothing to do where they are known, and on engines without
    /// partitions.
    pub(crate) async fn ensure(
        &self,
        db: &Db,
        table: &'static str,
        instants: impl Iterator<Item = Timestamp>,
    ) -> Result<(), Error> {
        if db.backend() != DbBackend::Postgres {
            return Ok(());
        }
        let months: BTreeSet<Month> = instants.map(Month::of).collect();
        let unknown: Vec<Month> = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            months.into_iter().filter(|month| !known.contains(&(table, *month))).collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        partitions::ensure(db.writer(), table, unknown.iter().copied()).await?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(unknown.into_iter().map(|month| (table, month)));
        Ok(())
    }

    /// Forgets what is known: somebody may have dropped a partition.
    pub(crate) fn forget(&self) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
