//! SeaORM's own way: `insert_many`, a thousand rows a statement, in one transaction.

use sea_orm::sqlx::sqlite::SqliteSynchronous;
use sea_orm::{ConnectOptions, Database, DatabaseConnection, EntityTrait, IntoActiveModel, TransactionTrait};
use stanchion::entity::trading::trade::{Entity, Model};
use stanchion::types::session;

use super::table::Table;

pub(crate) const NAME: &str = "SeaORM insert_many";

/// Rows in a statement.
const CHUNK: usize = 1_000;

/// A plain SeaORM connection. On SQLite with the session of ours where it makes a difference; the file is in WAL mode
/// whoever opens it.
pub(crate) async fn connect(table: &Table) -> anyhow::Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(table.database.url());
    options.sqlx_logging(false).map_sqlx_sqlite_opts(|options| {
        session::sqlite(options).synchronous(SqliteSynchronous::Normal).pragma("cache_size", "-16384")
    });
    Ok(Database::connect(options).await?)
}

pub(crate) async fn save(connection: DatabaseConnection, rows: Vec<Model>) -> anyhow::Result<()> {
    let tx = connection.begin().await?;
    let mut rows = rows.into_iter().map(IntoActiveModel::into_active_model).peekable();
    while rows.peek().is_some() {
        Entity::insert_many(rows.by_ref().take(CHUNK)).exec_without_returning(&tx).await?;
    }
    Ok(tx.commit().await?)
}
