//! Inventory: how much of a product is where, and every change of it.

use crate::schema::{OnDelete, Table, bigint, boolean, enumeration, int, long_text, table, text, uuid};

pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("warehouses")
            .id()
            .columns([text("code", 50).unique(), text("name", 100), long_text("address"), boolean("is_active")])
            .timestamps(),
        table("inventory")
            .id()
            .columns([uuid("product_id"), uuid("warehouse_id"), bigint("on_hand"), bigint("reserved"), int("version")])
            .timestamps()
            .unique(&["product_id", "warehouse_id"])
            .references("warehouse_id", "warehouses", OnDelete::Restrict)
            .check("on_hand_not_negative", "on_hand >= 0")
            .check("reserved_not_negative", "reserved >= 0")
            .check("reserved_on_hand", "reserved <= on_hand"),
        table("inventory_logs")
            .id()
            .columns([
                uuid("inventory_id"),
                bigint("delta"),
                enumeration("kind", &["inbound", "outbound", "reserve", "release", "commit", "adjust"]),
                text("reference", 100),
                bigint("balance_after"),
            ])
            .created_at()
            .unique(&["inventory_id", "kind", "reference"])
            .references("inventory_id", "inventory", OnDelete::Restrict)
            .index(&["reference"]),
        table("stock_reservations")
            .columns([uuid("order_id"), enumeration("status", &["reserved", "released", "committed", "restocked"])])
            .primary_key(&["order_id"])
            .timestamps(),
    ]
}

crate::domain_migration!("m20261120_000007_inventory");
