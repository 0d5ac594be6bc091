//! Ordering: orders, what is in them, how they were paid, and what happened to them.

use crate::schema::{
    OnDelete, Table, bigint, decimal, enumeration, int, json, long_text, table, text, timestamp, uuid,
};

const ORDER_STATUS: &[&str] = &["pending", "confirmed", "paid", "shipped", "delivered", "cancelled", "refunded"];
const PAYMENT_STATUS: &[&str] = &["pending", "success", "failed", "refunded"];

pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("orders")
            .id()
            .columns([
                text("order_no", 50),
                uuid("user_id"),
                decimal("total_amount", 19, 4),
                decimal("discount_amount", 19, 4),
                decimal("shipping_fee", 19, 4),
                decimal("final_amount", 19, 4),
                enumeration("status", ORDER_STATUS),
                text("payment_method", 20).null(),
                enumeration("payment_status", PAYMENT_STATUS),
                json("shipping_address"),
                uuid("coupon_id").null(),
                long_text("remark").null(),
                timestamp("paid_at").null(),
                timestamp("shipped_at").null(),
                timestamp("delivered_at").null(),
                int("version"),
            ])
            .timestamps()
            .big()
            .check(
                "amounts_not_negative",
                "total_amount >= 0 AND discount_amount >= 0 AND shipping_fee >= 0 AND final_amount >= 0",
            )
            .index(&["user_id", "id"])
            .index(&["status", "id"]),
        table("order_items")
            .id()
            .columns([
                uuid("order_id"),
                uuid("product_id"),
                text("product_name", 200),
                text("product_image", 255).null(),
                decimal("price", 19, 4),
                bigint("quantity"),
                decimal("total_amount", 19, 4),
            ])
            .created_at()
            .big()
            .references("order_id", "orders", OnDelete::Cascade)
            .check("quantity_positive", "quantity > 0"),
        table("order_payments")
            .id()
            .columns([
                uuid("order_id"),
                text("payment_no", 50).unique(),
                text("payment_method", 20),
                decimal("amount", 19, 4),
                enumeration("status", PAYMENT_STATUS),
                text("transaction_id", 100).null(),
                json("gateway_response").null(),
                timestamp("refund_due_at").null(),
            ])
            .timestamps()
            .references("order_id", "orders", OnDelete::Cascade)
            .index(&["refund_due_at", "id"])
            .check("amount_not_negative", "amount >= 0"),
        table("order_status_history")
            .id()
            .columns([
                uuid("order_id"),
                enumeration("old_status", ORDER_STATUS).null(),
                enumeration("new_status", ORDER_STATUS),
                long_text("remark").null(),
            ])
            .created_at()
            .big()
            .references("order_id", "orders", OnDelete::Cascade)
            .index(&["order_id", "id"]),
        table("idempotency_keys")
            .columns([
                text("scope", 50),
                text("idempotency_key", 100),
                text("request_hash", 64),
                uuid("resource_id"),
                timestamp("expires_at"),
            ])
            .created_at()
            .primary_key(&["scope", "idempotency_key"])
            .index(&["expires_at"]),
        table("outbox")
            .id()
            .columns([
                text("topic", 100),
                text("message_key", 200),
                json("payload"),
                timestamp("published_at").null(),
                int("attempts"),
            ])
            .timestamps()
            // What is not published yet lies together, in the order of writing; so does what may be deleted.
            .index(&["published_at", "id"]),
    ]
}

crate::domain_migration!("m20261120_000006_ordering");
