//! The journal: structured log entries, and an audit trail whose changes are found.

use crate::schema::{Table, bigint, boolean, enumeration, json, long_text, table, text, timestamp, uuid};

pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("log_entries")
            .id()
            .columns([
                timestamp("ts"),
                enumeration("level", &["error", "warn", "info", "debug", "trace"]),
                text("service", 64),
                enumeration(
                    "category",
                    &["system", "user_activity", "business_transaction", "security_audit", "performance"],
                ),
                text("action", 64).null(),
                text("request_id", 64).null(),
                uuid("user_id").null(),
                text("session_id", 64).null(),
                long_text("message"),
                json("data"),
                json("tags"),
                json("error").null(),
                bigint("duration_ms").null(),
                timestamp("expires_at").null(),
            ])
            .created_at()
            .big()
            .index(&["user_id", "id"])
            .index(&["level", "id"])
            .index(&["service", "id"])
            .index(&["category", "id"])
            .index(&["action", "id"])
            .index(&["request_id", "id"])
            .index(&["expires_at"]),
        table("audit_entries")
            .id()
            .columns([
                bigint("chain_no").unique(),
                uuid("actor_id").null(),
                text("action", 64),
                text("resource", 64),
                text("resource_id", 64).null(),
                boolean("granted"),
                json("state_before").null(),
                json("state_after").null(),
                text("ip", 45).null(),
                timestamp("occurred_at"),
                text("prev_hash", 64),
                text("hash", 64),
            ])
            .created_at()
            .check("chain_no_positive", "chain_no > 0")
            .index(&["actor_id", "id"])
            .index(&["action", "id"])
            .index(&["resource", "id"])
            .index(&["resource", "resource_id", "id"]),
        table("audit_heads")
            .columns([text("chain", 32), bigint("chain_no"), text("hash", 64), timestamp("updated_at")])
            .primary_key(&["chain"])
            .check("chain_no_not_negative", "chain_no >= 0"),
    ]
}

crate::domain_migration!("m20261120_000010_journal");
