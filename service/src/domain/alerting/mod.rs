//! Alerting: rules over observations, the alerts they raise, and how those reach people.

use crate::clock::Clock;
use crate::db::Db;

/// The alerting service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Alerting<'a> {
    #[expect(dead_code, reason = "its operations come next")]
    db: &'a Db,
    #[expect(dead_code, reason = "its operations come next")]
    clock: &'a dyn Clock,
}

impl<'a> Alerting<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock) -> Self {
        Self { db, clock }
    }
}
