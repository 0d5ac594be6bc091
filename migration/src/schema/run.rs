use sea_orm_migration::SchemaManager;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbErr};

use super::{Dialect, Table};

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
