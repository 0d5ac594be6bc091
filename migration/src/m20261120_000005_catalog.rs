//! The catalog: categories, products, their images and reviews.

use crate::schema::{OnDelete, Table, bigint, boolean, decimal, enumeration, int, json, long_text, table, text, uuid};

pub(crate) fn tables() -> Vec<Table> {
    vec![
        table("categories")
            .id()
            .columns([
                uuid("parent_id").null(),
                text("name", 100),
                text("slug", 100).unique(),
                long_text("description"),
                text("image_url", 255),
                int("sort_order"),
                enumeration("status", &["active", "hidden"]),
            ])
            .timestamps()
            .check("parent_is_another", "parent_id <> id")
            .references("parent_id", "categories", OnDelete::Restrict)
            .index(&["parent_id", "sort_order", "id"]),
        table("products")
            .id()
            .columns([
                text("name", 200),
                text("slug", 200).unique(),
                long_text("description"),
                uuid("category_id"),
                text("brand", 100),
                decimal("price", 19, 4),
                decimal("original_price", 19, 4).null(),
                bigint("sold_count"),
                decimal("rating", 3, 2),
                bigint("review_count"),
                bigint("rating_sum"),
                enumeration("status", &["on_sale", "off_sale"]),
                boolean("is_hot"),
                boolean("is_new"),
                boolean("is_recommend"),
                int("version"),
            ])
            .timestamps()
            .check("price_not_negative", "price >= 0")
            .check("original_price_not_negative", "original_price >= 0")
            .check("sold_count_not_negative", "sold_count >= 0")
            .check("rating_in_range", "rating >= 0 AND rating <= 5")
            .check("review_count_not_negative", "review_count >= 0")
            .check("one_to_five_stars_a_review", "rating_sum >= review_count AND rating_sum <= 5 * review_count")
            .references("category_id", "categories", OnDelete::Restrict)
            .index(&["category_id", "id"])
            .index(&["category_id", "price", "id"])
            .index(&["status", "id"])
            .index(&["status", "price", "id"])
            .index(&["brand", "id"])
            .index(&["price", "id"]),
        table("product_images")
            .id()
            .columns([uuid("product_id"), text("image_url", 255), int("sort_order"), boolean("is_cover")])
            .timestamps()
            .references("product_id", "products", OnDelete::Cascade)
            .index(&["product_id", "sort_order", "id"]),
        table("product_reviews")
            .id()
            .columns([
                uuid("product_id"),
                uuid("user_id"),
                uuid("order_id"),
                int("rating"),
                text("title", 200),
                long_text("content"),
                json("images"),
                boolean("is_verified"),
                enumeration("status", &["pending", "published", "hidden"]),
            ])
            .timestamps()
            .unique(&["product_id", "order_id"])
            .check("one_to_five_stars", "rating >= 1 AND rating <= 5")
            .references("product_id", "products", OnDelete::Cascade)
            .index(&["product_id", "status", "id"])
            .index(&["user_id", "id"])
            .index(&["status", "id"])
            .index(&["status", "created_at"]),
        table("product_terms")
            .columns([uuid("product_id"), long_text("terms")])
            .primary_key(&["product_id"])
            .full_text()
            .references("product_id", "products", OnDelete::Cascade),
    ]
}

crate::domain_migration!("m20261120_000005_catalog");
