//! Identity: users, their profiles and addresses, and how their levels changed.

use crate::schema::{OnDelete, Table, bigint, boolean, date, enumeration, int, long_text, table, text, uuid};

const LEVELS: &[&str] = &["normal", "vip", "star_1", "star_2", "star_3", "star_4", "star_5", "director"];

pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("users")
            .id()
            .columns([
                text("username", 50).null().unique(),
                text("email", 100).null().unique(),
                text("phone", 20).null(),
                text("password_hash", 255).null(),
                bigint("telegram_id").null().unique(),
                text("first_name", 255),
                text("last_name", 255),
                text("language_code", 10).default("'en'"),
                enumeration("level", LEVELS),
                boolean("is_active"),
                int("version"),
            ])
            .timestamps()
            .check("known_by", "username IS NOT NULL OR email IS NOT NULL OR telegram_id IS NOT NULL")
            .index(&["level", "id"])
            .index(&["is_active", "id"])
            .index(&["created_at"]),
        table("user_profiles")
            .id()
            .columns([
                uuid("user_id").unique(),
                text("nickname", 50),
                text("avatar_url", 255),
                enumeration("gender", &["unknown", "male", "female"]),
                date("birth_date").null(),
                text("real_name", 50),
                text("id_card", 512).null(),
            ])
            .timestamps()
            .references("user_id", "users", OnDelete::Cascade),
        table("user_addresses")
            .id()
            .columns([
                uuid("user_id"),
                text("receiver_name", 50),
                text("phone", 20),
                text("province", 50),
                text("city", 50),
                text("district", 50),
                long_text("detail_address"),
                boolean("is_default"),
            ])
            .timestamps()
            .unique_where("default", "user_id", "is_default")
            .references("user_id", "users", OnDelete::Cascade)
            .index(&["user_id", "id"]),
        table("user_level_changes")
            .id()
            .columns([
                uuid("user_id"),
                enumeration("from_level", LEVELS),
                enumeration("to_level", LEVELS),
                text("reason", 255),
                bigint("duration_ms"),
                boolean("succeeded"),
            ])
            .created_at()
            .check("duration_not_negative", "duration_ms >= 0")
            .references("user_id", "users", OnDelete::Cascade)
            .index(&["user_id", "id"])
            .index(&["created_at"]),
    ]
}

crate::domain_migration!("m20261120_000001_identity");
