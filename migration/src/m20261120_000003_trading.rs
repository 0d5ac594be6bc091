//! Trading: trades, exchange orders, statistics, reconciliation, risk, and who trades which symbol.

use crate::schema::{Table, bigint, boolean, date, decimal, enumeration, int, json, table, text, timestamp, uuid};

pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("trades")
            .id()
            .columns([
                text("exchange", 32),
                text("symbol", 32),
                text("exchange_trade_id", 64),
                uuid("order_id").null(),
                enumeration("side", &["buy", "sell"]),
                decimal("price", 28, 12),
                decimal("quantity", 28, 12),
                decimal("quote_quantity", 28, 16),
                decimal("fee", 28, 12),
                text("fee_asset", 16),
                boolean("is_maker"),
                decimal("pnl", 28, 12).null(),
                timestamp("traded_at"),
            ])
            .created_at()
            .big()
            .index(&["symbol", "id"])
            .index(&["order_id"]),
        table("trade_orders")
            .id()
            .columns([
                text("exchange", 32),
                text("symbol", 32),
                text("client_order_id", 64),
                text("exchange_order_id", 64).null(),
                enumeration("side", &["buy", "sell"]),
                enumeration("order_type", &["limit", "market", "stop_limit"]),
                decimal("price", 28, 12).null(),
                decimal("quantity", 28, 12),
                decimal("filled_quantity", 28, 12),
                decimal("avg_fill_price", 28, 12).null(),
                enumeration(
                    "status",
                    &["new", "submitted", "partially_filled", "filled", "cancelled", "rejected", "expired"],
                ),
                text("instance_id", 64),
                bigint("fence"),
                decimal("price_level", 28, 12).null(),
                int("version"),
            ])
            .timestamps()
            .unique(&["exchange", "client_order_id"])
            .unique_together_where(
                "live_level",
                &["exchange", "symbol", "side", "price_level"],
                "status IN ('new', 'submitted', 'partially_filled')",
            )
            .check("quantity_positive", "quantity > 0")
            .check("filled", "filled_quantity >= 0 AND filled_quantity <= quantity")
            .index(&["exchange", "exchange_order_id"])
            .index(&["symbol", "status", "id"])
            .index(&["instance_id"]),
        table("trade_statistics")
            .id()
            .columns([
                text("exchange", 32),
                text("symbol", 32),
                date("day"),
                bigint("trade_count"),
                decimal("buy_volume", 28, 12),
                decimal("sell_volume", 28, 12),
                decimal("buy_quote_volume", 28, 16),
                decimal("sell_quote_volume", 28, 16),
                decimal("fees", 28, 12),
                decimal("realized_pnl", 28, 12),
                bigint("win_count"),
                bigint("loss_count"),
                decimal("max_drawdown", 28, 12),
            ])
            .timestamps()
            .unique(&["exchange", "symbol", "day"])
            .index(&["day"]),
        table("reconciliations")
            .id()
            .columns([
                text("exchange", 32),
                text("symbol", 32),
                text("instance_id", 64),
                timestamp("started_at"),
                timestamp("finished_at").null(),
                bigint("local_count"),
                bigint("exchange_count"),
                bigint("missing_local"),
                bigint("missing_exchange"),
                bigint("mismatched"),
                json("details"),
                enumeration("status", &["running", "matched", "mismatched", "failed"]),
            ])
            .created_at()
            .index(&["symbol", "id"]),
        table("risk_checks")
            .id()
            .columns([
                text("exchange", 32),
                text("symbol", 32),
                text("check_type", 50),
                boolean("passed"),
                decimal("limit_value", 28, 12),
                decimal("observed_value", 28, 12),
                json("details"),
                text("instance_id", 64),
            ])
            .created_at()
            .index(&["symbol", "id"])
            .index(&["check_type", "id"]),
        table("instances")
            .columns([
                text("id", 64),
                int("slot"),
                int("slots"),
                enumeration("role", &["active", "standby"]),
                timestamp("started_at"),
                timestamp("heartbeat_at"),
                text("address", 255),
                int("version"),
            ])
            .timestamps()
            .primary_key(&["id"])
            .check("slot_in_slots", "slot >= 0 AND slot < slots")
            .index(&["heartbeat_at"]),
        table("symbol_assignments")
            .columns([
                text("exchange", 32),
                text("symbol", 32),
                text("instance_id", 64),
                bigint("fence"),
                timestamp("expires_at"),
            ])
            .timestamps()
            .primary_key(&["exchange", "symbol"])
            .index(&["instance_id"])
            .index(&["expires_at"]),
    ]
}

crate::domain_migration!("m20261120_000003_trading");
