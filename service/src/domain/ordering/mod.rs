//! Ordering: orders from checkout to delivery, how they were paid, and what happened to them.
//!
//! A checkout is a saga over ordering, inventory and marketing, each of which may live in a database of its own; there is
//! one code path whether they do or not. [`Checkout`] does one step at a time, each a transaction on one database, and each
//! harmless when it is repeated; so the same request again goes on where a crash has left it, and [`Ordering::sweep`]
//! brings to an end what nobody asks for again. What a cancelled, shipped or refunded order means for stock and coupon goes
//! through the [`outbox`].
//!
//! `pending -> confirmed -> paid -> shipped -> delivered`; `pending` and `confirmed` may become `cancelled`; `paid`,
//! `shipped` and `delivered` may become `refunded`. Every change is written into the order's history, in its transaction.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = format!("sqlite://{}/s.db", folder.path().display()).parse().unwrap();
//! # let config = stanchion::config::Config::new(stanchion::config::Database::new(url));
//! # stanchion::App::migrate(&config).await?;
//! # let app = stanchion::App::start(config).await?;
//! use stanchion::domain::ordering::{NewLine, NewOrder, OrderFilter, ShippingAddress};
//! use stanchion::types::{Money, new_id};
//!
//! let order = NewOrder {
//!     user_id: new_id(),
//!     idempotency_key: "basket-17".parse()?,
//!     lines: vec![NewLine { product_id: new_id(), quantity: 2 }],
//!     coupon: None,
//!     shipping_fee: "6.50".parse::<Money>()?,
//!     shipping_address: ShippingAddress {
//!         receiver_name: "Ada".parse()?,
//!         detail_address: "12 Analytical Row".parse()?,
//!         ..ShippingAddress::default()
//!     },
//!     remark: None,
//! };
//! // Nobody sells it, so nothing is placed.
//! assert!(app.ordering().checkout(order).await.unwrap_err().is_not_found());
//! assert!(app.ordering().orders(&OrderFilter::new()).await?.items.is_empty());
//! # app.close().await; Ok(()) }
//! ```

mod checkout;
mod draft;
mod effect;
mod lifecycle;
pub mod outbox;
mod payment;
mod place;
mod query;
mod status;
mod sweep;

use std::time::Duration;

use uuid::Uuid;

pub use checkout::{Checkout, Step};
pub use draft::{MAX_LINES, NewLine, NewOrder, ShippingAddress};
pub use payment::{Paid, Payment};
pub use place::KEY_LIFETIME;
pub use query::{
    FullOrder, OrderFilter, RefundFilter, Spending, full_order, full_orders, history, items, order, order_by_no,
    orders, payments, refunds_due, spending,
};
pub use sweep::{ABANDONED_AFTER, PUBLISHED_KEPT, Swept};

use super::partitions::Partitions;
use crate::Error;
use crate::clock::Clock;
use crate::db::{Db, Page};
use crate::entity::ordering::order::Model as Order;
use crate::entity::ordering::order_payment::Model as OrderPayment;
use crate::entity::ordering::order_status_history::Model as HistoryStep;
use crate::types::{TimeRange, Timestamp};

/// The ordering service, on the database that the domain lives in, beside those of the domains that a checkout needs.
#[derive(Clone, Copy, Debug)]
pub struct Ordering<'a> {
    db: &'a Db,
    catalog: &'a Db,
    inventory: &'a Db,
    marketing: &'a Db,
    clock: &'a dyn Clock,
    partitions: &'a Partitions,
    key_lifetime: Duration,
}

/// The databases that ordering works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Databases<'a> {
    pub(crate) ordering: &'a Db,
    pub(crate) catalog: &'a Db,
    pub(crate) inventory: &'a Db,
    pub(crate) marketing: &'a Db,
}

impl<'a> Ordering<'a> {
    pub(crate) const fn new(databases: Databases<'a>, clock: &'a dyn Clock, partitions: &'a Partitions) -> Self {
        let Databases { ordering, catalog, inventory, marketing } = databases;
        Self { db: ordering, catalog, inventory, marketing, clock, partitions, key_lifetime: KEY_LIFETIME }
    }

    /// The same service, which remembers the idempotency keys of its checkouts for so long instead of [`KEY_LIFETIME`].
    #[must_use]
    pub const fn key_lifetime(mut self, lifetime: Duration) -> Self {
        self.key_lifetime = lifetime;
        self
    }

    /// One order. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn order(&self, id: Uuid) -> Result<Order, Error> {
        order(self.db.reader(), id).await
    }

    /// One order by its number. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for what is no order number; those of the database.
    pub async fn order_by_no(&self, order_no: &str) -> Result<Order, Error> {
        order_by_no(self.db.reader(), order_no).await
    }

    /// One order with what is in it. Two round trips.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn full_order(&self, id: Uuid) -> Result<FullOrder, Error> {
        full_order(self.db.reader(), id).await
    }

    /// A page of orders. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn orders(&self, filter: &OrderFilter) -> Result<Page<Order>, Error> {
        orders(self.db.reader(), filter).await
    }

    /// A page of orders with what is in them. Two round trips.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn full_orders(&self, filter: &OrderFilter) -> Result<Page<FullOrder>, Error> {
        full_orders(self.db.reader(), filter).await
    }

    /// What happened to an order, from its beginning. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn history(&self, order: Uuid) -> Result<Vec<HistoryStep>, Error> {
        history(self.db.reader(), order).await
    }

    /// The newest payments of an order, at most 100. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn payments(&self, order: Uuid) -> Result<Vec<OrderPayment>, Error> {
        payments(self.db.reader(), order).await
    }

    /// A page of the payments that have to go back. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another list, and those of the database.
    pub async fn refunds_due(&self, filter: &RefundFilter) -> Result<Page<OrderPayment>, Error> {
        refunds_due(self.db.reader(), filter).await
    }

    /// What a user has spent on orders placed in a range of time, exactly. Three round trips.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn spending(&self, user: Uuid, placed: TimeRange) -> Result<Spending, Error> {
        spending(self.db.reader(), user, placed).await
    }

    /// Sees that what is written now has its partitions. Nothing to do after the first time in a month.
    async fn ensure_partitions(&self, now: Timestamp) -> Result<(), Error> {
        for table in ["orders", "order_items", "order_status_history"] {
            self.partitions.ensure(self.db, table, std::iter::once(now)).await?;
        }
        Ok(())
    }
}
