//! Inventory: how much of a product is where, and every change of it.

use crate::clock::Clock;
use crate::db::Db;

/// The inventory service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Inventory<'a> {
    #[expect(dead_code, reason = "its operations come next")]
    db: &'a Db,
    #[expect(dead_code, reason = "its operations come next")]
    clock: &'a dyn Clock,
}

impl<'a> Inventory<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock) -> Self {
        Self { db, clock }
    }
}
