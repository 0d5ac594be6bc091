//! Inventory: how much of a product is where, and every change of it.
//!
//! A row of the stock says how many of a product a warehouse has (`on_hand`), and how many of them are put aside for
//! orders (`reserved`). It changes only together with an entry of its log, in one transaction, so at all times
//!
//! - `on_hand` is the sum of the deltas of `inbound`, `outbound`, `adjust` and `commit`, and `balance_after` of those
//!   entries is `on_hand`;
//! - `reserved` is the sum of the deltas of `reserve`, `release` and `commit`, and `balance_after` of the first two is
//!   `reserved`.
//!
//! [`audit`] finds a row of which that is not true. What an order wants goes through `reserve`, then `release` or `commit`,
//! and `restock` for what comes back: each once for an order, however often it is called. The other changes are made once
//! for their reference. Rows are locked in one order, so that none of it deadlocks.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = format!("sqlite://{}/s.db", folder.path().display()).parse().unwrap();
//! # let config = stanchion::config::Config::new(stanchion::config::Database::new(url));
//! # stanchion::App::migrate(&config).await?;
//! # let app = stanchion::App::start(config).await?;
//! use stanchion::domain::inventory::{Line, NewWarehouse, Receipt};
//! use stanchion::types::new_id;
//!
//! let (product_id, order) = (new_id(), new_id());
//! let code = "north".parse()?;
//! let north = app.inventory().open_warehouse(NewWarehouse { code, name: "North".parse()?, ..Default::default() }).await?;
//! let reference = "delivery 4711".parse()?;
//! app.inventory().receive(&Receipt { product_id, warehouse_id: north.id, quantity: 5, reference }).await?;
//!
//! app.inventory().reserve(order, &[Line { product_id, quantity: 2 }]).await?;
//! assert_eq!(app.inventory().availability(&[product_id]).await?[0].available(), 3);
//! let refused = app.inventory().reserve(new_id(), &[Line { product_id, quantity: 4 }]).await.unwrap_err();
//! assert!(refused.is_conflict());
//! app.inventory().commit(order).await?;
//! assert_eq!(app.inventory().audit().await?, []);
//! # app.close().await; Ok(()) }
//! ```

mod ledger;
mod movement;
mod query;
mod reservation;
mod warehouse;

use uuid::Uuid;

pub use movement::{Adjustment, Receipt, Transfer, adjust, receive, transfer};
pub use query::{Availability, Discrepancy, LogFilter, MAX_PRODUCTS, StockFilter, audit, availability, log, stocks};
pub use reservation::{Line, MAX_LINES, commit, release, reserve, restock};
pub use warehouse::{
    NewWarehouse, WarehouseChange, WarehouseFilter, change_warehouse, open_warehouse, warehouse, warehouse_by_code,
    warehouses,
};

use crate::Error;
use crate::clock::Clock;
use crate::db::{Db, Page};
use crate::entity::inventory::inventory_log::Model as LogEntry;
use crate::entity::inventory::stock::Model as Stock;
use crate::entity::inventory::warehouse::Model as Warehouse;

/// The inventory service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Inventory<'a> {
    db: &'a Db,
    clock: &'a dyn Clock,
}

impl<'a> Inventory<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock) -> Self {
        Self { db, clock }
    }

    /// [`reserve`] in a transaction of its own. Six round trips, however many lines.
    ///
    /// # Errors
    /// Those of [`reserve`].
    ///
    /// # Cancellation
    /// A dropped future reserves nothing, or everything if the commit had begun; the same order again is harmless.
    pub async fn reserve(&self, order_id: Uuid, lines: &[Line]) -> Result<(), Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| reserve(tx, order_id, lines, now).await).await
    }

    /// [`release`] in a transaction of its own. Seven round trips; five where nothing was reserved.
    ///
    /// # Errors
    /// Those of [`release`].
    pub async fn release(&self, order_id: Uuid) -> Result<(), Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| release(tx, order_id, now).await).await
    }

    /// [`commit`] in a transaction of its own. Seven round trips.
    ///
    /// # Errors
    /// Those of [`commit`].
    pub async fn commit(&self, order_id: Uuid) -> Result<(), Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| commit(tx, order_id, now).await).await
    }

    /// [`restock`] in a transaction of its own. Seven round trips.
    ///
    /// # Errors
    /// Those of [`restock`].
    pub async fn restock(&self, order_id: Uuid) -> Result<(), Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| restock(tx, order_id, now).await).await
    }

    /// [`receive`] in a transaction of its own. Six round trips; eight for the first of a product in a warehouse.
    ///
    /// # Errors
    /// Those of [`receive`].
    pub async fn receive(&self, receipt: &Receipt) -> Result<(), Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| receive(tx, receipt, now).await).await
    }

    /// [`adjust`] in a transaction of its own. Six round trips; eight for the first of a product in a warehouse.
    ///
    /// # Errors
    /// Those of [`adjust`].
    pub async fn adjust(&self, adjustment: &Adjustment) -> Result<(), Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| adjust(tx, adjustment, now).await).await
    }

    /// [`transfer`] in a transaction of its own. Eight round trips; ten for the first of a product in a warehouse.
    ///
    /// # Errors
    /// Those of [`transfer`].
    pub async fn transfer(&self, what: &Transfer) -> Result<(), Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| transfer(tx, what, now).await).await
    }

    /// How much of these products there is. One round trip.
    ///
    /// # Errors
    /// Those of [`availability`].
    pub async fn availability(&self, products: &[Uuid]) -> Result<Vec<Availability>, Error> {
        availability(self.db.reader(), products).await
    }

    /// A page of the stock. One round trip.
    ///
    /// # Errors
    /// Those of [`stocks`].
    pub async fn stocks(&self, filter: &StockFilter) -> Result<Page<Stock>, Error> {
        stocks(self.db.reader(), filter).await
    }

    /// A page of the log. One round trip.
    ///
    /// # Errors
    /// Those of [`log`].
    pub async fn log(&self, filter: &LogFilter) -> Result<Page<LogEntry>, Error> {
        log(self.db.reader(), filter).await
    }

    /// The rows of the stock whose log says something else. One round trip.
    ///
    /// # Errors
    /// Those of [`audit`].
    pub async fn audit(&self) -> Result<Vec<Discrepancy>, Error> {
        audit(self.db.reader()).await
    }

    /// Opens a warehouse. One round trip.
    ///
    /// # Errors
    /// Those of [`open_warehouse`].
    pub async fn open_warehouse(&self, new: NewWarehouse) -> Result<Warehouse, Error> {
        open_warehouse(self.db.writer(), new, self.clock.now()).await
    }

    /// Changes a warehouse. One round trip.
    ///
    /// # Errors
    /// Those of [`change_warehouse`].
    pub async fn change_warehouse(&self, id: Uuid, change: WarehouseChange) -> Result<(), Error> {
        change_warehouse(self.db.writer(), id, change, self.clock.now()).await
    }

    /// One warehouse. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn warehouse(&self, id: Uuid) -> Result<Warehouse, Error> {
        warehouse(self.db.reader(), id).await
    }

    /// The warehouse of a code. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn warehouse_by_code(&self, code: &str) -> Result<Warehouse, Error> {
        warehouse_by_code(self.db.reader(), code).await
    }

    /// A page of warehouses. One round trip.
    ///
    /// # Errors
    /// Those of [`warehouses`].
    pub async fn warehouses(&self, filter: &WarehouseFilter) -> Result<Page<Warehouse>, Error> {
        warehouses(self.db.reader(), filter).await
    }
}
