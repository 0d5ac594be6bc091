use sea_orm::{DatabaseConnection, DbErr};

use super::{Check, Column, ForeignKey, Schema, add_words, query, split, split_sorted};

/// Tables that are not partitions: those are made of what the partitioned table is.
const TABLE: &str = "t.relkind IN ('r', 'p') AND NOT t.relispartition \
    AND t.relnamespace = current_schema()::regnamespace AND t.relname <> 'seaql_migrations'";

pub(super) async fn read(db: &DatabaseConnection) -> Result<Schema, DbErr> {
    let mut schema = Schema::new();
    for (table, column, sql_type, collation, nullable) in columns(db).await? {
        let sql_type = collation.map_or(sql_type.clone(), |collation| format!("{sql_type} COLLATE {collation}"));
        let column_ = Column { sql_type, nullable, words: None };
        schema.entry(table).or_default().columns.insert(column, column_);
    }
    for (table, name, columns, primary, partial) in unique_indexes(db).await? {
        let table = schema.entry(table).or_default();
        if primary {
            table.primary_key = split(&columns);
        } else if partial {
            table.partial_uniques.insert(name);
        } else {
            table.uniques.insert(split_sorted(&columns));
        }
    }
    for (table, columns, target, targets, on_delete) in foreign_keys(db).await? {
        let key = ForeignKey { columns: split(&columns), table: target, targets: split(&targets), on_delete };
        schema.entry(table).or_default().foreign_keys.insert(key);
    }
    add_words(db, &mut schema, &checks(db).await?).await?;
    Ok(schema)
}

async fn columns(db: &DatabaseConnection) -> Result<Vec<(String, String, String, Option<String>, bool)>, DbErr> {
    let sql = format!(
        "SELECT t.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod),
           CASE WHEN a.attcollation <> y.typcollation THEN c.collname::text END, NOT a.attnotnull
         FROM pg_class t JOIN pg_attribute a ON a.attrelid = t.oid JOIN pg_type y ON y.oid = a.atttypid
           LEFT JOIN pg_collation c ON c.oid = a.attcollation
         WHERE {TABLE} AND a.attnum > 0 AND NOT a.attisdropped"
    );
    query(db, sql).await
}

async fn unique_indexes(db: &DatabaseConnection) -> Result<Vec<(String, String, String, bool, bool)>, DbErr> {
    let columns = names("t.oid", "x.indkey::int2[]");
    let sql = format!(
        "SELECT t.relname::text, i.relname::text, {columns}, x.indisprimary, x.indpred IS NOT NULL
         FROM pg_index x JOIN pg_class t ON t.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid
         WHERE {TABLE} AND x.indisunique"
    );
    query(db, sql).await
}

async fn foreign_keys(db: &DatabaseConnection) -> Result<Vec<(String, String, String, String, String)>, DbErr> {
    let (columns, targets) = (names("t.oid", "k.conkey"), names("k.confrelid", "k.confkey"));
    let sql = format!(
        "SELECT t.relname::text, {columns}, r.relname::text, {targets}, CASE k.confdeltype WHEN 'c' THEN 'CASCADE'
           WHEN 'r' THEN 'RESTRICT' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' ELSE 'NO ACTION' END
         FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_class r ON r.oid = k.confrelid
         WHERE {TABLE} AND k.contype = 'f' AND k.conparentid = 0"
    );
    query(db, sql).await
}

async fn checks(db: &DatabaseConnection) -> Result<Vec<Check>, DbErr> {
    let sql = format!(
        "SELECT t.relname::text, k.conname::text, pg_get_expr(k.conbin, k.conrelid)
         FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid WHERE {TABLE} AND k.contype = 'c'"
    );
    let checks: Vec<(String, String, String)> = query(db, sql).await?;
    Ok(checks.into_iter().map(|(table, name, condition)| Check { table, name, condition }).collect())
}

/// The names of a table's columns, joined by commas, from an array of their numbers. An expression has the name `?`.
fn names(table: &str, numbers: &str) -> String {
    format!(
        "(SELECT string_agg(coalesce(a.attname::text, '?'), ',' ORDER BY u.place)
          FROM unnest({numbers}) WITH ORDINALITY AS u (number, place)
          LEFT JOIN pg_attribute a ON a.attrelid = {table} AND a.attnum = u.number)"
    )
}
