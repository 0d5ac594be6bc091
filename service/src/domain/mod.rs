//! The domains: what a business does, as operations whose invariants hold when many callers run them at once.
//!
//! A folder a domain. Its functions take any connection (`&impl ConnectionTrait`), so that a service can call several in
//! one transaction; those that need a transaction take a [`Tx`](crate::db::Tx). The domain's struct (`Trading`, ...), which
//! [`App`](crate::App) hands out, runs them on the domain's own database. They know [`db`](crate::db) and the entities,
//! and not each other's tables.

pub mod alerting;
pub(crate) mod calendar;
pub mod catalog;
pub mod identity;
pub mod insights;
pub mod inventory;
pub mod journal;
pub mod mall;
pub mod market;
pub mod marketing;
mod once;
pub mod ordering;
pub(crate) mod partitions;
mod state;
pub mod trading;

pub(crate) use once::insert_once;
pub(crate) use state::{State, Transition};

/// Gives a filter with a field `page` the setters of a page: every list has the same.
macro_rules! paged {
    ($filter:ty) => {
        impl $filter {
            /// In this order of time.
            #[must_use]
            pub const fn order(mut self, order: $crate::db::Order) -> Self {
                self.page.order = order;
                self
            }

            /// At most so many, and never more than [`MAX_LIMIT`]($crate::db::page::MAX_LIMIT).
            #[must_use]
            pub const fn limit(mut self, limit: u32) -> Self {
                self.page.limit = limit;
                self
            }

            /// Beginning after this cursor's row.
            #[must_use]
            pub const fn after(mut self, cursor: Option<$crate::db::Cursor>) -> Self {
                self.page.after = cursor;
                self
            }
        }
    };
}

pub(crate) use paged;
