//! One vocabulary of tables and columns for three engines: a migration says what a table is, this room says it in SQL.
//!
//! A [`Table`] is plain data; [`Table::statements`] is a pure function of it and the [`Dialect`], so that what a migration
//! runs can be listed, compared and repeated without a database. [`create`] and [`drop`] run it, [`add_columns`] expands a
//! table that was released. Released migrations depend on this room, so a word of it never changes its meaning: a new
//! meaning is a new word.

mod column;
mod dialect;
mod render;
mod run;
mod table;

pub use column::{
    Column, bigint, boolean, bytes, date, decimal, double, enumeration, int, json, long_text, text, timestamp, uuid,
};
pub use dialect::Dialect;
pub use run::{add_columns, create, drop, drop_columns, execute_all};
pub use table::{OnDelete, Table, table};
