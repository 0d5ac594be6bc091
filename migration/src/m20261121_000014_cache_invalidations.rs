//! Invalidations of the cache that are written down with the change that asks for them, until they are published.
//!
//! The generic layer uses the table, which has no entity: `stanchion::cache::outbox_table` says the same in plain SQL.

use crate::schema::{Table, long_text, table};

pub(crate) fn tables() -> Vec<Table> {
    vec![table("cache_invalidations").id().columns([long_text("targets")]).created_at()]
}

crate::domain_migration!("m20261121_000014_cache_invalidations");
