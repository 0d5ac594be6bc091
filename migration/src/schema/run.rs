use sea_orm_migration::SchemaManager;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbErr};

use super::{Column, Dialect, Table};

/// Creates the tables in this order: one that is referred to comes before the one that refers to it.
///
/// # Errors
/// Those of the database.
pub async fn create(manager: &SchemaManager<'_>, tables: &[Table]) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let dialect = Dialect::of(db).await?;
    let statements: Vec<String> = tables.iter().flat_map(|table| table.statements(dialect)).collect();
    execute_all(manager, &statements).await
}

/// Drops the tables, the last one first. One that is gone already is no error, so that it can be repeated.
///
/// # Errors
/// Those of the database.
pub async fn drop(manager: &SchemaManager<'_>, tables: &[Table]) -> Result<(), DbErr> {
    let dialect = Dialect::of(manager.get_connection()).await?;
    for table in tables.iter().rev() {
        // SQLite deletes the rows one by one first, and would refuse to while rows of the same table refer to each other.
        if dialect == Dialect::Sqlite && manager.has_table(table.name()).await? {
            execute_all(manager, &table.detach_statements(dialect)).await?;
        }
        execute_all(manager, &[format!("DROP TABLE IF EXISTS {}", dialect.quote(table.name()))]).await?;
    }
    Ok(())
}

/// Adds columns to a table that is there already. They are null in the rows of before, or have a default. One that is there
/// already is no error, so that it can be repeated.
///
/// # Errors
/// Those of the database.
pub async fn add_columns(manager: &SchemaManager<'_>, table: &str, columns: &[Column]) -> Result<(), DbErr> {
    let dialect = Dialect::of(manager.get_connection()).await?;
    for column in columns {
        if !manager.has_column(table, column.name).await? {
            let statement = format!("ALTER TABLE {} ADD COLUMN {}", dialect.quote(table), column.sql(dialect));
            execute_all(manager, &[statement]).await?;
        }
    }
    Ok(())
}

/// Drops columns, with what they hold. One that is gone already is no error, so that it can be repeated.
///
/// # Errors
/// Those of the database.
pub async fn drop_columns(manager: &SchemaManager<'_>, table: &str, columns: &[Column]) -> Result<(), DbErr> {
    let dialect = Dialect::of(manager.get_connection()).await?;
    for column in columns {
        if manager.has_column(table, column.name).await? {
            let statement = format!("ALTER TABLE {} DROP COLUMN {}", dialect.quote(table), dialect.quote(column.name));
            execute_all(manager, &[statement]).await?;
        }
    }
    Ok(())
}

/// Runs statements one after the other.
///
/// # Errors
/// That of the first statement that fails; the rest is not run.
pub async fn execute_all(manager: &SchemaManager<'_>, statements: &[impl AsRef<str>]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement.as_ref()).await?;
    }
    Ok(())
}
