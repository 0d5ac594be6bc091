//! The shapes of Stanchion's tables, and the portable value types that they are made of.
//!
//! [`types`] holds the values that mean the same on SQLite, PostgreSQL and MySQL/MariaDB; it is all that the generic
//! layer needs. The tables follow with the feature `tables` (on by default): one folder a domain, one file a table, and
//! [`shape`], which says what they look like as data. This crate knows no other crate of the workspace:
//! `stanchion-migration` builds what is described here, and the domain services of `stanchion` read and write it.

pub mod types;

#[cfg(feature = "tables")]
pub mod alerting;
#[cfg(feature = "tables")]
pub mod catalog;
#[cfg(feature = "tables")]
pub mod identity;
#[cfg(feature = "tables")]
pub mod inventory;
#[cfg(feature = "tables")]
pub mod journal;
#[cfg(feature = "tables")]
pub mod mall;
#[cfg(feature = "tables")]
pub mod market;
#[cfg(feature = "tables")]
pub mod marketing;
#[cfg(feature = "tables")]
pub mod ordering;
#[cfg(feature = "tables")]
pub mod shape;
#[cfg(feature = "tables")]
pub mod trading;
#[cfg(feature = "tables")]
mod words;

#[cfg(feature = "tables")]
use words::words;
