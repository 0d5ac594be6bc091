//! Market data: ticks, candles and metrics.
//!
//! Each is read by ranges of its primary key, and old rows are deleted by such ranges too, one series at a time: so ticks
//! and candles, which are written most, have no second index.

use crate::schema::{Table, bigint, boolean, decimal, double, enumeration, json, table, text, timestamp, uuid};

pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("ticks")
            .columns([
                text("exchange", 32),
                text("symbol", 32),
                timestamp("ts"),
                bigint("seq"),
                decimal("price", 28, 12),
                decimal("quantity", 28, 12),
                enumeration("side", &["buy", "sell"]).null(),
            ])
            .created_at()
            .primary_key(&["exchange", "symbol", "ts", "seq"])
            .check("quantity_not_negative", "quantity >= 0"),
        table("candles")
            .columns([
                text("exchange", 32),
                text("symbol", 32),
                enumeration("period", &["1m", "5m", "15m", "30m", "1h", "4h", "1d"]),
                timestamp("open_time"),
                decimal("open", 28, 12),
                decimal("high", 28, 12),
                decimal("low", 28, 12),
                decimal("close", 28, 12),
                decimal("volume", 28, 12),
                decimal("quote_volume", 28, 16),
                bigint("trade_count"),
                boolean("closed"),
            ])
            .timestamps()
            .primary_key(&["exchange", "symbol", "period", "open_time"])
            .check("low_to_high", "low <= high")
            .check("volume_not_negative", "volume >= 0")
            .check("trade_count_not_negative", "trade_count >= 0"),
        table("trading_metrics")
            .columns([text("name", 100), uuid("labels_hash"), timestamp("ts"), json("labels"), double("value")])
            .created_at()
            .primary_key(&["name", "labels_hash", "ts"])
            .index(&["name", "ts"]),
    ]
}

crate::domain_migration!("m20261120_000004_market");
