//! Text search in products (by words) and in log messages.
//!
//! The words of a product come as terms of ASCII letters and digits (`product_terms`), which every engine takes for words as
//! they are: PostgreSQL by GIN over `to_tsvector('simple', terms)`, MySQL and MariaDB by FULLTEXT, SQLite by FTS5. A query
//! has to say PostgreSQL's expression as it stands here for its index to be used.
//!
//! Log messages are searched as they are, for which each engine has its own kind of index, that an entity does not see:
//!
//! - PostgreSQL: GIN over the trigrams, which serve `ILIKE '%...%'`. It folds case by the database's locale.
//! - MySQL and MariaDB: FULLTEXT over the generated, invisible column `search_text`, in lower case. The column itself
//!   compares with case, and MariaDB's index over such a column holds the words of old rows in lower case and those of new
//!   ones as they are, so half of them would not be found. What is searched for has to be in lower case too. No word is a
//!   stop word; words shorter than `innodb_ft_min_token_size` (3 unless the server says otherwise) are not in the index.
//! - SQLite: FTS5 over trigrams.
//!
//! SQLite's FTS5 tables (`product_terms_search`, `log_entries_search`) hold no copy of the text; they are tied to the column
//! `docid` and kept in step by triggers.

use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::schema::{Dialect, execute_all};

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
            Dialect::Postgres => execute_all(manager, &postgres_up()).await?,
            Dialect::Sqlite => execute_all(manager, &SEARCHED.map(Searched::sqlite_up).concat()).await?,
            Dialect::MariaDb | Dialect::MySql => {
                for searched in SEARCHED {
                    if !manager.has_index(searched.table, &searched.mysql_index()).await? {
                        execute_all(manager, &searched.mysql_up()).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match Dialect::of(manager.get_connection()).await? {
            Dialect::Postgres => execute_all(manager, &postgres_down()).await?,
            Dialect::Sqlite => execute_all(manager, &SEARCHED.map(Searched::sqlite_down).concat()).await?,
            Dialect::MariaDb | Dialect::MySql => {
                for searched in SEARCHED {
                    if manager.has_index(searched.table, &searched.mysql_index()).await? {
                        execute_all(manager, &[searched.mysql_down()]).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Marks the extension as ours, so that one that was there before is left alone.
const OURS: &str = "created by stanchion-migration";

fn postgres_up() -> Vec<String> {
    vec![
        format!(
            "DO $$ BEGIN
               IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
                 CREATE EXTENSION pg_trgm;
                 COMMENT ON EXTENSION pg_trgm IS '{OURS}';
               END IF;
             END $$"
        ),
        "CREATE INDEX idx_product_terms_terms ON product_terms USING gin (to_tsvector('simple', terms))".into(),
        "CREATE INDEX idx_log_entries_message_trgm ON log_entries USING gin (message gin_trgm_ops)".into(),
    ]
}

fn postgres_down() -> Vec<String> {
    vec![
        "DROP INDEX IF EXISTS idx_log_entries_message_trgm, idx_product_terms_terms".into(),
        // Somebody else's index may use the extension by now; then it stays.
        format!(
            "DO $$ BEGIN
               IF EXISTS (SELECT FROM pg_extension
                          WHERE extname = 'pg_trgm' AND obj_description(oid, 'pg_extension') = '{OURS}') THEN
                 DROP EXTENSION pg_trgm;
               END IF;
             EXCEPTION WHEN dependent_objects_still_exist THEN NULL;
             END $$"
        ),
    ]
}

const SEARCHED: [Searched; 2] = [
    Searched { table: "product_terms", column: "terms", tokenizer: "ascii", as_it_is: true },
    Searched { table: "log_entries", column: "message", tokenizer: "trigram", as_it_is: false },
];

/// A table with a column whose text is searched.
#[derive(Clone, Copy)]
struct Searched {
    table: &'static str,
    column: &'static str,
    /// How SQLite cuts the text.
    tokenizer: &'static str,
    /// Whether MySQL can index the column as it is.
    as_it_is: bool,
}

impl Searched {
    fn sqlite_up(self) -> Vec<String> {
        let Self { table, column, tokenizer, .. } = self;
        let add = format!("INSERT INTO {table}_search (rowid, {column}) VALUES (new.docid, new.{column});");
        let remove = format!(
            "INSERT INTO {table}_search ({table}_search, rowid, {column}) VALUES ('delete', old.docid, old.{column});"
        );
        let trigger = |name: &str, event: &str, body: &str| {
            format!("CREATE TRIGGER {table}_search_{name} AFTER {event} ON {table} BEGIN {body} END")
        };
        vec![
            format!(
                "CREATE VIRTUAL TABLE {table}_search USING fts5({column}, content='{table}', content_rowid='docid', \
                 tokenize='{tokenizer}')"
            ),
            format!("INSERT INTO {table}_search ({table}_search) VALUES ('rebuild')"),
            trigger("insert", "INSERT", &add),
            trigger("delete", "DELETE", &remove),
            trigger("update", &format!("UPDATE OF docid, {column}"), &format!("{remove} {add}")),
        ]
    }

    fn sqlite_down(self) -> Vec<String> {
        let table = self.table;
        let triggers =
            ["insert", "delete", "update"].map(|name| format!("DROP TRIGGER IF EXISTS {table}_search_{name}"));
        [triggers.as_slice(), &[format!("DROP TABLE IF EXISTS {table}_search")]].concat()
    }

    fn mysql_index(self) -> String {
        let Self { table, column, as_it_is, .. } = self;
        format!("idx_{table}_{}", if as_it_is { column } else { "search_text" })
    }

    /// A column and its index are one statement, so that there are both or none. InnoDB takes an underscore for a letter;
    /// the other engines do not.
    fn mysql_up(self) -> Vec<String> {
        let Self { table, column, as_it_is, .. } = self;
        let index = self.mysql_index();
        let alter = if as_it_is {
            format!("ALTER TABLE `{table}` ADD FULLTEXT INDEX `{index}` (`{column}`)")
        } else {
            format!(
                "ALTER TABLE `{table}` ADD COLUMN `search_text` longtext \
                 GENERATED ALWAYS AS (LOWER(REPLACE(`{column}`, '_', ' '))) STORED INVISIBLE, \
                 ADD FULLTEXT INDEX `{index}` (`search_text`)"
            )
        };
        vec![
            // The index remembers the setting that it was made under.
            "SET SESSION innodb_ft_enable_stopword = OFF".into(),
            alter,
            "SET SESSION innodb_ft_enable_stopword = DEFAULT".into(),
        ]
    }

    fn mysql_down(self) -> String {
        let drop_column = if self.as_it_is { "" } else { ", DROP COLUMN `search_text`" };
        format!("ALTER TABLE `{}` DROP INDEX `{}`{drop_column}", self.table, self.mysql_index())
    }
}
