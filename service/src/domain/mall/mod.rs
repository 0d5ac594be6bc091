//! The mall: shops, purchases between users, and points.

use crate::clock::Clock;
use crate::db::Db;

/// The mall service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Mall<'a> {
    #[expect(dead_code, reason = "its operations come next")]
    db: &'a Db,
    #[expect(dead_code, reason = "its operations come next")]
    clock: &'a dyn Clock,
}

impl<'a> Mall<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock) -> Self {
        Self { db, clock }
    }
}
