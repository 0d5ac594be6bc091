//! The journal: structured logs, and the audit chain.

use crate::clock::Clock;
use crate::db::Db;

/// The journal service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Journal<'a> {
    #[expect(dead_code, reason = "its operations come next")]
    db: &'a Db,
    #[expect(dead_code, reason = "its operations come next")]
    clock: &'a dyn Clock,
}

impl<'a> Journal<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock) -> Self {
        Self { db, clock }
    }
}
