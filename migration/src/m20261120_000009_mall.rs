//! The mall: shops, purchases between users, and points.

use crate::schema::{OnDelete, Table, bigint, decimal, enumeration, int, long_text, table, text, uuid};

pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("shops")
            .id()
            .columns([
                uuid("owner_id"),
                text("name", 100),
                int("level"),
                enumeration("status", &["pending", "active", "suspended", "closed"]),
            ])
            .timestamps()
            .check("level_positive", "level > 0")
            .index(&["owner_id", "id"])
            .index(&["status", "id"]),
        table("purchase_orders")
            .id()
            .columns([
                uuid("buyer_id"),
                uuid("seller_id"),
                uuid("product_id"),
                bigint("quantity"),
                decimal("unit_price", 19, 4),
                decimal("amount", 19, 4),
                enumeration("status", &["pending", "approved", "completed", "rejected"]),
                bigint("processing_ms").null(),
            ])
            .timestamps()
            .check("quantity_positive", "quantity > 0")
            .check("amounts_not_negative", "unit_price >= 0 AND amount >= 0")
            .index(&["buyer_id", "id"])
            .index(&["seller_id", "id"])
            .index(&["status", "id"])
            .index(&["created_at"]),
        table("points_accounts")
            .id()
            .columns([uuid("user_id").unique(), decimal("balance", 19, 4), int("version")])
            .timestamps()
            .check("balance_not_negative", "balance >= 0"),
        table("points_transactions")
            .id()
            .columns([
                uuid("transfer_id"),
                uuid("account_id"),
                decimal("amount", 19, 4),
                decimal("balance_after", 19, 4),
                enumeration("kind", &["transfer", "recharge", "withdraw", "purchase", "refund"]),
                text("idempotency_key", 100).unique(),
                long_text("remark").null(),
            ])
            .created_at()
            .references("account_id", "points_accounts", OnDelete::Restrict)
            .check("balance_after_not_negative", "balance_after >= 0")
            .index(&["account_id", "id"])
            .index(&["transfer_id"])
            .index(&["created_at"]),
    ]
}

crate::domain_migration!("m20261120_000009_mall");
