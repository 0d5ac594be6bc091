use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, TransactionTrait};

use super::{Check, Column, ForeignKey, Schema, Table, add_words, query};

/// Tables that no migration of a domain makes: SQLite's own, the record of the migrations, and the full-text indexes, whose
/// hidden tables SQLite says are such.
const EXTRAS: [&str; 3] = ["sqlite_sequence", "seaql_migrations", "product_terms_search"];

pub(super) async fn read(db: &DatabaseConnection) -> Result<Schema, DbErr> {
    let mut schema = Schema::new();
    let tables: Vec<(String, String)> = query(
        db,
        "SELECT l.name, coalesce(m.sql, '') FROM pragma_table_list l JOIN sqlite_master m ON m.name = l.name
         WHERE l.schema = 'main' AND l.type <> 'shadow'",
    )
    .await?;
    let tables: Vec<(String, String)> =
        tables.into_iter().filter(|(name, _)| !EXTRAS.contains(&name.as_str())).collect();
    let mut checks = Vec::new();
    for (name, sql) in tables {
        schema.insert(name.clone(), table(db, &name).await?);
        checks.extend(constraints(&sql).filter_map(|constraint| {
            let condition = constraint.body.strip_prefix("CHECK ")?.to_owned();
            Some(Check { table: name.clone(), name: constraint.name.to_owned(), condition })
        }));
    }
    add_words(db, &mut schema, &checks).await?;
    Ok(schema)
}

async fn table(db: &DatabaseConnection, name: &str) -> Result<Table, DbErr> {
    let mut table = Table::default();
    let mut collations = collations(db, name).await?;
    let columns: Vec<(String, String, i32, i32)> =
        query(db, format!("SELECT name, lower(type), \"notnull\", pk FROM pragma_table_xinfo('{name}') ORDER BY pk"))
            .await?;
    for (column, sql_type, not_null, key) in columns {
        let sql_type = match collations.remove(&column) {
            Some(collation) if collation != "BINARY" => format!("{sql_type} COLLATE {collation}"),
            _ => sql_type,
        };
        if key > 0 {
            table.primary_key.push(column.clone());
        }
        table.columns.insert(column, Column { sql_type, nullable: not_null == 0, words: None });
    }

    let indexes: Vec<(String, String, i32)> = query(
        db,
        format!("SELECT name, origin, partial FROM pragma_index_list('{name}') WHERE \"unique\" AND origin <> 'pk'"),
    )
    .await?;
    for (index, _, partial) in indexes {
        if partial == 1 {
            table.partial_uniques.insert(index);
        } else {
            let columns: Vec<Option<String>> =
                query(db, format!("SELECT name FROM pragma_index_info('{index}')")).await?;
            let mut columns: Vec<String> = columns.into_iter().map(|name| name.unwrap_or_else(|| "?".into())).collect();
            columns.sort();
            table.uniques.insert(columns);
        }
    }

    let parts: Vec<(i32, String, String, String, String)> = query(
        db,
        format!(
            "SELECT id, \"from\", \"table\", \"to\", on_delete FROM pragma_foreign_key_list('{name}') ORDER BY id, seq"
        ),
    )
    .await?;
    let mut keys: BTreeMap<i32, ForeignKey> = BTreeMap::new();
    for (id, column, target, target_column, on_delete) in parts {
        let key = keys.entry(id).or_insert_with(|| ForeignKey {
            columns: Vec::new(),
            table: target,
            targets: Vec::new(),
            on_delete,
        });
        key.columns.push(column);
        key.targets.push(target_column);
    }
    table.foreign_keys = keys.into_values().collect();
    Ok(table)
}

/// The collation of every column. No pragma tells a column's, but one tells an index's, which takes it from the column.
async fn collations(db: &DatabaseConnection, table: &str) -> Result<BTreeMap<String, String>, DbErr> {
    let columns: Vec<String> = query(db, format!("SELECT name FROM pragma_table_xinfo('{table}')")).await?;
    let columns: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let tx = db.begin().await?;
    tx.execute_unprepared(&format!("CREATE INDEX temporary_probe ON \"{table}\" ({})", columns.join(", "))).await?;
    let collations: Vec<(String, String)> =
        query(&tx, "SELECT name, coll FROM pragma_index_xinfo('temporary_probe') WHERE key = 1").await?;
    tx.rollback().await?;
    Ok(collations.into_iter().collect())
}

/// A constraint of a table, as its statement says it.
pub(super) struct Constraint<'a> {
    pub(super) name: &'a str,
    /// From its kind on: `CHECK (...)`, `UNIQUE ("a", "b")`.
    pub(super) body: &'a str,
}

/// The named constraints in a CREATE TABLE statement.
pub(super) fn constraints(sql: &str) -> impl Iterator<Item = Constraint<'_>> {
    sql.split("CONSTRAINT \"").skip(1).filter_map(|rest| {
        let (name, body) = rest.split_once("\" ")?;
        Some(Constraint { name, body: up_to_closing_parenthesis(body) })
    })
}

fn up_to_closing_parenthesis(text: &str) -> &str {
    let mut open = 0_usize;
    for (at, character) in text.char_indices() {
        match character {
            '(' => open += 1,
            ')' if open == 1 => return text.get(..=at).unwrap_or(text),
            ')' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    text
}
