//! Market data: ticks, candles and indicators.

use crate::clock::Clock;
use crate::db::Db;

/// The market service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Market<'a> {
    #[expect(dead_code, reason = "its operations come next")]
    db: &'a Db,
    #[expect(dead_code, reason = "its operations come next")]
    clock: &'a dyn Clock,
}

impl<'a> Market<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock) -> Self {
        Self { db, clock }
    }
}
