//! Alerting: rules, the state they are in, the alerts they raise, and how those reach people.

use crate::schema::{
    OnDelete, Table, boolean, double, enumeration, int, json, long_text, table, text, timestamp, uuid,
};

const SEVERITIES: &[&str] = &["info", "warning", "high", "critical"];

pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("alert_rules")
            .id()
            .columns([
                uuid("user_id"),
                text("name", 255),
                long_text("description"),
                enumeration("rule_type", &["threshold", "price", "change_rate", "absence", "composite"]),
                json("conditions"),
                enumeration("severity", SEVERITIES),
                int("cooldown_s"),
                boolean("is_active"),
                int("version"),
            ])
            .timestamps()
            .check("cooldown_not_negative", "cooldown_s >= 0")
            .index(&["user_id", "id"])
            .index(&["is_active", "rule_type", "id"]),
        table("alert_rule_subjects")
            .columns([uuid("rule_id"), text("subject", 200)])
            .primary_key(&["rule_id", "subject"])
            .references("rule_id", "alert_rules", OnDelete::Cascade)
            .index(&["subject", "rule_id"]),
        table("alert_rule_states")
            .columns([
                uuid("rule_id"),
                double("last_observed").null(),
                timestamp("last_observed_at").null(),
                timestamp("breached_since").null(),
                timestamp("last_fired_at").null(),
                json("memory"),
                timestamp("due_at").null(),
            ])
            .timestamps()
            .primary_key(&["rule_id"])
            .references("rule_id", "alert_rules", OnDelete::Cascade)
            .index(&["due_at", "rule_id"]),
        table("alerts")
            .id()
            .columns([
                uuid("rule_id").null(),
                uuid("user_id"),
                text("title", 255),
                long_text("message"),
                enumeration("severity", SEVERITIES),
                enumeration("status", &["pending", "sending", "sent", "failed", "acknowledged"]),
                json("metadata").null(),
                text("dedup_key", 200).null().unique(),
                int("attempts"),
                int("max_attempts"),
                timestamp("next_attempt_at").null(),
                timestamp("sent_at").null(),
            ])
            .timestamps()
            .check("attempts_not_negative", "attempts >= 0")
            .references("rule_id", "alert_rules", OnDelete::Cascade)
            .index(&["next_attempt_at", "id"])
            .index(&["status", "id"])
            .index(&["user_id", "id"])
            .index(&["rule_id", "id"])
            .index(&["severity", "id"]),
        table("alert_deliveries")
            .id()
            .columns([
                uuid("alert_id"),
                enumeration("channel", &["email", "wechat", "sms", "slack", "telegram", "webhook", "log"]),
                enumeration("status", &["pending", "delivered", "failed", "skipped"]),
                int("attempts"),
                long_text("last_error").null(),
                timestamp("delivered_at").null(),
            ])
            .timestamps()
            .unique(&["alert_id", "channel"])
            .check("attempts_not_negative", "attempts >= 0")
            .references("alert_id", "alerts", OnDelete::Cascade),
    ]
}

crate::domain_migration!("m20261120_000002_alerting");
