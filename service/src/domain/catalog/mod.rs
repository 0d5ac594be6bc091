//! The catalog: categories, products, their images and reviews.

mod offer;

pub use offer::{Offer, offers};

use crate::clock::Clock;
use crate::db::Db;

/// The catalog service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Catalog<'a> {
    #[expect(dead_code, reason = "its operations come next")]
    db: &'a Db,
    #[expect(dead_code, reason = "its operations come next")]
    clock: &'a dyn Clock,
}

impl<'a> Catalog<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock) -> Self {
        Self { db, clock }
    }
}
