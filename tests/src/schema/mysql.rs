use sea_orm::{DatabaseConnection, DbErr};
use stanchion_migration::schema::Dialect;

use super::{Check, Column, ForeignKey, Schema, add_words, query, split, split_sorted};

/// The database that the connection is in, without the record of the migrations.
const HERE: &str = "t.table_schema = database() AND t.table_name <> 'seaql_migrations'";

pub(super) async fn read(db: &DatabaseConnection, dialect: Dialect) -> Result<Schema, DbErr> {
    let mut schema = Schema::new();
    for (table, column, sql_type, collation, nullable) in columns(db).await? {
        let sql_type = collation.map_or(sql_type.clone(), |collation| format!("{sql_type} COLLATE {collation}"));
        let column_ = Column { sql_type, nullable: nullable == "YES", words: None };
        schema.entry(table).or_default().columns.insert(column, column_);
    }
    for (table, name, columns) in unique_indexes(db).await? {
        let table = schema.entry(table).or_default();
        if name == "PRIMARY" {
            table.primary_key = split(&columns);
        } else {
            table.uniques.insert(split_sorted(&columns));
        }
    }
    for (table, columns, target, targets, on_delete) in foreign_keys(db).await? {
        let key = ForeignKey { columns: split(&columns), table: target, targets: split(&targets), on_delete };
        schema.entry(table).or_default().foreign_keys.insert(key);
    }
    add_words(db, &mut schema, &checks(db, dialect).await?).await?;
    Ok(schema)
}

/// MySQL's catalog is of a type that does not read as text: hence the casts.
async fn columns(db: &DatabaseConnection) -> Result<Vec<(String, String, String, Option<String>, String)>, DbErr> {
    let sql = format!(
        "SELECT CAST(t.table_name AS CHAR), CAST(t.column_name AS CHAR), CAST(t.column_type AS CHAR),
           CAST(t.collation_name AS CHAR), CAST(t.is_nullable AS CHAR) FROM information_schema.columns t WHERE {HERE}"
    );
    query(db, sql).await
}

async fn unique_indexes(db: &DatabaseConnection) -> Result<Vec<(String, String, String)>, DbErr> {
    let sql = format!(
        "SELECT CAST(t.table_name AS CHAR), CAST(t.index_name AS CHAR),
           CAST(GROUP_CONCAT(t.column_name ORDER BY t.seq_in_index) AS CHAR)
         FROM information_schema.statistics t WHERE {HERE} AND t.non_unique = 0 GROUP BY t.table_name, t.index_name"
    );
    query(db, sql).await
}

async fn foreign_keys(db: &DatabaseConnection) -> Result<Vec<(String, String, String, String, String)>, DbErr> {
    let sql = format!(
        "SELECT CAST(t.table_name AS CHAR), CAST(GROUP_CONCAT(t.column_name ORDER BY t.ordinal_position) AS CHAR),
           CAST(t.referenced_table_name AS CHAR),
           CAST(GROUP_CONCAT(t.referenced_column_name ORDER BY t.ordinal_position) AS CHAR), CAST(r.delete_rule AS CHAR)
         FROM information_schema.key_column_usage t
         JOIN information_schema.referential_constraints r ON r.constraint_schema = t.constraint_schema
           AND r.table_name = t.table_name AND r.constraint_name = t.constraint_name
         WHERE {HERE} GROUP BY t.table_name, t.constraint_name, t.referenced_table_name, r.delete_rule"
    );
    query(db, sql).await
}

async fn checks(db: &DatabaseConnection, dialect: Dialect) -> Result<Vec<Check>, DbErr> {
    // MariaDB names the CHECK of a JSON column after the column, so a name alone does not say which table's it is.
    let same_table = if dialect == Dialect::MariaDb { "AND k.table_name = t.table_name" } else { "" };
    let sql = format!(
        "SELECT CAST(t.table_name AS CHAR), CAST(k.constraint_name AS CHAR), CAST(k.check_clause AS CHAR)
         FROM information_schema.check_constraints k
         JOIN information_schema.table_constraints t ON t.constraint_schema = k.constraint_schema
           AND t.constraint_name = k.constraint_name {same_table}
         WHERE {HERE} AND t.constraint_type = 'CHECK'"
    );
    let checks: Vec<(String, String, String)> = query(db, sql).await?;
    Ok(checks
        .into_iter()
        // MySQL shows a condition with its quotes escaped.
        .map(|(table, name, condition)| Check { table, name, condition: condition.replace("\\'", "'") })
        .collect())
}
