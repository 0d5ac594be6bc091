//! Locks in a database: as rows with leases ([`TableStore`], on every engine), or as locks of its sessions
//! ([`SessionStore`], on PostgreSQL, MySQL and MariaDB).
//!
//! It touches the database it is given and names the table `locks` only. Rows go through the pools of a
//! [`Db`](crate::db::Db); sessions are connections of their own, so that locks that are held or waited for never starve
//! the service's statements. Those of one process who wait for the same lock queue here, and the first of them asks.
//! Called by the room of locks.

mod mysql;
mod postgres;
mod rows;
mod session;
mod sessions;
mod table;
mod turns;

pub use sessions::SessionStore;
pub use table::TableStore;
