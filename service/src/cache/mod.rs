//! The cache: what was loaded once, kept in the process and in Redis, and never served after its invalidation.
//!
//! A [`Cache`] has a first level in the process and, if it is given a [`Redis`](crate::redis::Redis), a second one there,
//! which all instances share. A [`Namespace`] holds the values of one type under rules of their own; what it is asked for
//! and does not have, it loads once for all who ask. It touches Redis under its own prefix and nothing else; domains and
//! services call it, after the commit of what they changed. Why it is right: `docs/adr/0006-the-cache-never-lies.md`.

mod backplane;
mod codec;
mod core;
mod ends;
mod entry;
mod error;
mod flight;
mod function;
mod handle;
mod key;
mod level1;
mod level2;
mod load;
mod namespace;
mod options;
mod outbox;
mod script;
mod shared;
mod space;
mod statistics;
mod tag;
mod target;
mod time;
mod warm;

pub use error::CacheError;
pub use function::{Cached, cached};
pub use handle::Cache;
pub use namespace::Namespace;
pub use options::{CacheOptions, NamespaceOptions};
pub use outbox::outbox_table;
pub use statistics::{CacheStatistics, Statistics};
pub use target::{Target, Told};
pub use warm::Progress;
