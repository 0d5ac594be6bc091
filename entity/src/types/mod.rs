//! Values that are the same on every back end: what you write is what you read, and it sorts, compares and sums alike.
//!
//! | value | Rust | PostgreSQL | MySQL/MariaDB | SQLite |
//! | --- | --- | --- | --- | --- |
//! | id | [`Uuid`](uuid::Uuid), version 7 | `uuid` | `binary(16)` | blob of 16 bytes |
//! | amount | [`Fixed<P, S>`](Fixed) | `numeric(p,s)` | `decimal(p,s)` | text at full scale, collation `decimal` |
//! | instant | [`Timestamp`], microseconds, UTC | `timestamptz` | `datetime(6)` | text that sorts as time |
//! | day | [`Day`] | `date` | `date` | text that sorts as days |
//! | text | [`Text<N>`](Text), [`LongText`] | `varchar(n)`, `text` | `varchar(n)`, `longtext` | `varchar(n)`, `text` |
//! | secret | [`Secret<N>`](Secret), hidden in `Debug` | `varchar(n)` | `varchar(n)` | `varchar(n)` |
//! | JSON | [`Json`] | `jsonb` | `json` | text |
//! | float | [`Float`], finite | `double precision` | `double` | `double` |
//!
//! A value that a column could not hold is refused when it is made, with a [`ValueError`], the same on every back end;
//! no engine truncates or rounds in silence. That is also why these types have no unchecked constructor.
//!
//! They hold on connections that were set up with [`session`]; `stanchion` and `stanchion-migration` both use it.

mod column;
mod day;
mod error;
mod fixed;
mod float;
mod id;
mod json;
pub mod session;
mod text;
mod timestamp;

#[cfg(feature = "tables")]
pub(crate) use column::{column_value, corrupt};
pub use day::Day;
pub use error::{AtColumn, Problem, ValueError};
pub use fixed::{Fixed, Money, Price, Quantity, QuoteAmount, Rating, decimal_cmp};
pub use float::Float;
pub use id::{TimeRange, id_at, id_bounds, id_for, id_time, lowest_id, new_id};
pub use json::Json;
pub use text::{Email, LONG_TEXT, LongText, Secret, Text};
pub use timestamp::Timestamp;
