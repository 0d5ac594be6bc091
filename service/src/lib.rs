//! A data-access layer for Rust services: one configuration switches a service between SQLite, PostgreSQL and
//! MySQL/MariaDB.
//!
//! [`config`] reads and validates; [`db`] connects and gives a reader and a writer, transactions that are retried, pages
//! and bulk inserts. They name no table, so a service uses them with entities of its own (`default-features = false`). The
//! feature `domain` (on by default) adds the tables, migrations and domain services that come with it, and [`App`], which
//! puts everything together.

#[cfg(feature = "domain")]
mod app;
pub mod cache;
mod clock;
pub mod config;
pub mod db;
#[cfg(feature = "domain")]
pub mod domain;
mod error;
pub mod lock;
pub mod redis;
#[cfg(feature = "domain")]
pub mod upkeep;

#[cfg(feature = "domain")]
pub use app::App;
pub use clock::{Clock, SystemClock};
pub use error::Error;
pub use sea_orm;
pub use stanchion_entity::types;
#[cfg(feature = "domain")]
pub use {stanchion_entity as entity, stanchion_migration as migration};
