//! Marketing: campaigns, coupons, and who holds them.

use crate::schema::{OnDelete, Table, bigint, decimal, enumeration, int, json, table, text, timestamp, uuid};

pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("campaigns")
            .id()
            .columns([
                text("name", 100),
                text("kind", 50),
                json("rules"),
                timestamp("starts_at"),
                timestamp("ends_at"),
                enumeration("status", &["draft", "active", "paused", "ended"]),
            ])
            .timestamps()
            .check("ends_after_start", "ends_at > starts_at")
            .index(&["status", "ends_at"]),
        table("coupons")
            .id()
            .columns([
                uuid("campaign_id").null(),
                text("code", 50).unique(),
                enumeration("kind", &["amount", "percent"]),
                decimal("face_value", 19, 4),
                decimal("min_spend", 19, 4),
                decimal("max_discount", 19, 4).null(),
                bigint("total_quantity"),
                bigint("issued_quantity"),
                int("per_user_limit"),
                timestamp("starts_at"),
                timestamp("ends_at"),
                enumeration("status", &["active", "paused", "expired"]),
            ])
            .timestamps()
            .references("campaign_id", "campaigns", OnDelete::Restrict)
            .check("face_value_positive", "face_value > 0")
            .check("percent_at_most_100", "kind <> 'percent' OR face_value <= 100")
            .check("limits_not_negative", "min_spend >= 0 AND (max_discount IS NULL OR max_discount >= 0)")
            .check("issued_at_most_total", "issued_quantity >= 0 AND issued_quantity <= total_quantity")
            .check("ends_after_start", "ends_at > starts_at")
            .index(&["status", "ends_at"]),
        table("user_coupons")
            .id()
            .columns([
                uuid("user_id"),
                uuid("coupon_id"),
                enumeration("status", &["unused", "used", "expired"]),
                // Nulls are no values to a unique key, on any engine.
                uuid("order_id").null().unique(),
                timestamp("used_at").null(),
            ])
            .timestamps()
            .references("coupon_id", "coupons", OnDelete::Restrict)
            .check("used_by_an_order", "status <> 'used' OR order_id IS NOT NULL")
            .index(&["user_id", "status", "id"])
            .index(&["coupon_id", "user_id"]),
        table("coupon_redemptions")
            .columns([
                uuid("order_id"),
                uuid("user_coupon_id"),
                decimal("discount", 19, 4),
                enumeration("status", &["redeemed", "returned"]),
            ])
            .primary_key(&["order_id"])
            .timestamps()
            .references("user_coupon_id", "user_coupons", OnDelete::Restrict)
            .check("discount_not_negative", "discount >= 0"),
    ]
}

crate::domain_migration!("m20261120_000008_marketing");
