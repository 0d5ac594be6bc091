//! Text search in products (by words) and in log messages.
//!
//! Each engine has its own kind of index, none of which an entity sees:
//!
//! - PostgreSQL: GIN over the words of a product (`SEARCH_VECTOR` in the entity), and over the trigrams of a product's name
//!   and of a log message, which serve `ILIKE '%...%'`. It folds case by the database's locale.
//! - MySQL and MariaDB: FULLTEXT over the generated, invisible column `search_text`, in lower case. The columns themselves
//!   compare with case, and MariaDB's index over such a column holds the words of old rows in lower case and those of new
//!   ones as they are, so half of them would not be found. What is searched for has to be in lower case too. No word is a
//!   stop word; words shorter than `innodb_ft_min_token_size` (3 unless the server says otherwise) are not in the index.
//! - SQLite: the FTS5 tables `products_search` (words) and `log_entries_search` (trigrams), without a copy of the text; they
//!   are tied to the column `docid` and kept in step by triggers.

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

/// What products are searched by, as it was when this migration was released; the entity says what queries use.
const SEARCH_VECTOR: &str = "to_tsvector('simple', regexp_replace(name || ' ' || left(description, 100000), \
    '[!-/:-@[-`{-~]', ' ', 'g'))";

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
        format!("CREATE INDEX idx_products_search ON products USING gin ({SEARCH_VECTOR})"),
        "CREATE INDEX idx_products_name_trgm ON products USING gin (name gin_trgm_ops)".into(),
        "CREATE INDEX idx_log_entries_message_trgm ON log_entries USING gin (message gin_trgm_ops)".into(),
    ]
}

fn postgres_down() -> Vec<String> {
    vec![
        "DROP INDEX IF EXISTS idx_log_entries_message_trgm, idx_products_name_trgm, idx_products_search".into(),
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
    Searched {
        table: "products",
        columns: &["name", "description"],
        tokenizer: "unicode61 remove_diacritics 0",
        text: "CONCAT(`name`, ' ', `description`)",
    },
    Searched { table: "log_entries", columns: &["message"], tokenizer: "trigram", text: "`message`" },
];

/// A table whose text is searched.
#[derive(Clone, Copy)]
struct Searched {
    table: &'static str,
    columns: &'static [&'static str],
    /// How SQLite cuts the text.
    tokenizer: &'static str,
    /// All of the text, as MySQL says it.
    text: &'static str,
}

impl Searched {
    fn sqlite_up(self) -> Vec<String> {
        let Self { table, columns, tokenizer, .. } = self;
        let listed = columns.join(", ");
        let values = |row: &str| columns.iter().map(|column| format!("{row}.{column}")).collect::<Vec<_>>().join(", ");
        let add = format!("INSERT INTO {table}_search (rowid, {listed}) VALUES (new.docid, {});", values("new"));
        let remove = format!(
            "INSERT INTO {table}_search ({table}_search, rowid, {listed}) VALUES ('delete', old.docid, {});",
            values("old")
        );
        let trigger = |name: &str, event: &str, body: &str| {
            format!("CREATE TRIGGER {table}_search_{name} AFTER {event} ON {table} BEGIN {body} END")
        };
        vec![
            format!(
                "CREATE VIRTUAL TABLE {table}_search USING fts5({listed}, content='{table}', content_rowid='docid', \
                 tokenize='{tokenizer}')"
            ),
            format!("INSERT INTO {table}_search ({table}_search) VALUES ('rebuild')"),
            trigger("insert", "INSERT", &add),
            trigger("delete", "DELETE", &remove),
            trigger("update", &format!("UPDATE OF docid, {listed}"), &format!("{remove} {add}")),
        ]
    }

    fn sqlite_down(self) -> Vec<String> {
        let table = self.table;
        let triggers =
            ["insert", "delete", "update"].map(|name| format!("DROP TRIGGER IF EXISTS {table}_search_{name}"));
        [triggers.as_slice(), &[format!("DROP TABLE IF EXISTS {table}_search")]].concat()
    }

    fn mysql_index(self) -> String {
        format!("idx_{}_search_text", self.table)
    }

    /// The column and its index are one statement, so that there are both or none. InnoDB takes an underscore for a letter;
    /// the other engines do not.
    fn mysql_up(self) -> Vec<String> {
        let Self { table, text, .. } = self;
        let index = self.mysql_index();
        vec![
            // The index remembers the setting that it was made under.
            "SET SESSION innodb_ft_enable_stopword = OFF".into(),
            format!(
                "ALTER TABLE `{table}` ADD COLUMN `search_text` longtext \
                 GENERATED ALWAYS AS (LOWER(REPLACE({text}, '_', ' '))) STORED INVISIBLE, \
                 ADD FULLTEXT INDEX `{index}` (`search_text`)"
            ),
            "SET SESSION innodb_ft_enable_stopword = DEFAULT".into(),
        ]
    }

    fn mysql_down(self) -> String {
        format!("ALTER TABLE `{}` DROP INDEX `{}`, DROP COLUMN `search_text`", self.table, self.mysql_index())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn queries_say_what_the_index_says() {
        assert_eq!(super::SEARCH_VECTOR, stanchion_entity::catalog::product::SEARCH_VECTOR);
    }
}
