//! Locks: the newest fencing token of each name, and the leases that are kept in rows.
//!
//! The generic layer uses them, which has no entities: `stanchion::lock::tables` says the same in plain SQL.

use crate::schema::{Table, bigint, table, text, timestamp};

pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("fences").columns([text("name", 200), bigint("token"), timestamp("updated_at")]).primary_key(&["name"]),
        table("locks")
            .columns([
                text("name", 200),
                text("owner", 200),
                bigint("version"),
                bigint("ttl_ms"),
                timestamp("acquired_at"),
                timestamp("renewed_at"),
            ])
            .primary_key(&["name"]),
    ]
}

crate::domain_migration!("m20261121_000015_locks");
