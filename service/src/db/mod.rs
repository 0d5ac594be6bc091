//! Databases: connecting, pools, the reader and the writer, transactions that are retried, pages and bulk inserts.
//!
//! It touches the drivers and SeaORM and names no table: a service with tables of its own uses it as it is. What it offers
//! are SeaORM connections ([`Pool`], [`Tx`]: any SeaORM query runs on them); it adds what SeaORM leaves open: sessions that
//! are set up the same, transactions that a dropped future cannot leave behind, retries on structured codes, and errors
//! that say what happened. Called by the composition root, the domains, and services directly.

pub mod bulk;
mod by_id;
mod classify;
mod connect;
mod doubt;
mod error;
pub mod page;
mod pool;
mod raw;
mod resting;
mod retry;
pub mod sum;
mod tx;

pub use by_id::ById;
pub use connect::{ConnectError, Db, Options};
pub use error::{DatabaseError, Kind};
pub use page::{Cursor, CursorError, Order, Page};
pub(crate) use pool::Origin;
pub use pool::Pool;
pub use retry::{RetryPolicy, TxBody};
pub use tx::Tx;
