//! Text search in products, by words. (Log messages have no such index: it would cost every write more than the entry.)
//!
//! The words of a product come as terms of ASCII letters and digits (`product_terms`), which every engine takes for words as
//! they are: PostgreSQL by GIN over `to_tsvector('simple', terms)`, MySQL and MariaDB by FULLTEXT without stop words, SQLite by
//! FTS5. A query has to say PostgreSQL's expression as it stands here for its index to be used.
//!
//! SQLite's FTS5 table holds no copy of the text; it is tied to the column `docid` and kept in step by triggers.

use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::schema::{Dialect, execute_all};

const TABLE: &str = "product_terms";
const INDEX: &str = "idx_product_terms_terms";

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261120_000011_text_search"
    }
}

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match Dialect::of(manager.get_connection()).await? {
            Dialect::Postgres => execute_all(manager, &[POSTGRES_UP]).await,
            Dialect::Sqlite => execute_all(manager, &SQLITE_UP).await,
            Dialect::MariaDb | Dialect::MySql if manager.has_index(TABLE, INDEX).await? => Ok(()),
            Dialect::MariaDb | Dialect::MySql => execute_all(manager, &MYSQL_UP).await,
        }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match Dialect::of(manager.get_connection()).await? {
            Dialect::Postgres => execute_all(manager, &[POSTGRES_DOWN]).await,
            Dialect::Sqlite => execute_all(manager, &SQLITE_DOWN).await,
            Dialect::MariaDb | Dialect::MySql if manager.has_index(TABLE, INDEX).await? => {
                execute_all(manager, &[MYSQL_DOWN]).await
            }
            Dialect::MariaDb | Dialect::MySql => Ok(()),
        }
    }
}

const POSTGRES_UP: &str =
    "CREATE INDEX idx_product_terms_terms ON product_terms USING gin (to_tsvector('simple', terms))";
const POSTGRES_DOWN: &str = "DROP INDEX IF EXISTS idx_product_terms_terms";

/// The index remembers whether it was made with stop words.
const MYSQL_UP: [&str; 3] = [
    "SET SESSION innodb_ft_enable_stopword = OFF",
    "ALTER TABLE `product_terms` ADD FULLTEXT INDEX `idx_product_terms_terms` (`terms`)",
    "SET SESSION innodb_ft_enable_stopword = DEFAULT",
];
const MYSQL_DOWN: &str = "ALTER TABLE `product_terms` DROP INDEX `idx_product_terms_terms`";

const SQLITE_UP: [&str; 5] = [
    "CREATE VIRTUAL TABLE product_terms_search USING fts5(terms, content='product_terms', content_rowid='docid', \
     tokenize='ascii')",
    "INSERT INTO product_terms_search (product_terms_search) VALUES ('rebuild')",
    "CREATE TRIGGER product_terms_search_insert AFTER INSERT ON product_terms BEGIN \
     INSERT INTO product_terms_search (rowid, terms) VALUES (new.docid, new.terms); END",
    "CREATE TRIGGER product_terms_search_delete AFTER DELETE ON product_terms BEGIN \
     INSERT INTO product_terms_search (product_terms_search, rowid, terms) VALUES ('delete', old.docid, old.terms); END",
    "CREATE TRIGGER product_terms_search_update AFTER UPDATE OF docid, terms ON product_terms BEGIN \
     INSERT INTO product_terms_search (product_terms_search, rowid, terms) VALUES ('delete', old.docid, old.terms); \
     INSERT INTO product_terms_search (rowid, terms) VALUES (new.docid, new.terms); END",
];
const SQLITE_DOWN: [&str; 4] = [
    "DROP TRIGGER IF EXISTS product_terms_search_insert",
    "DROP TRIGGER IF EXISTS product_terms_search_delete",
    "DROP TRIGGER IF EXISTS product_terms_search_update",
    "DROP TABLE IF EXISTS product_terms_search",
];
