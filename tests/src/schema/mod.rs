//! Schemas: what a database's catalog says, and what the entities say, as values that can be compared.
//!
//! [`read`] asks the engine (`pg_catalog`, `information_schema`, pragmas) and believes no migration; [`expected`] knows the
//! entities and no database; [`differences`] says in words where two of them are not the same, in both directions.
//! [`objects`] lists everything that has a name, for claims about names and about what is left behind. The tests of the
//! migrations call it.

mod difference;
mod expected;
mod mysql;
mod object;
mod postgres;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, Statement, TryGetableMany};
use stanchion_migration::schema::Dialect;

pub use difference::differences;
pub use expected::expected;
pub use object::{Kind, Object, objects};

/// Tables by their names.
pub type Schema = BTreeMap<String, Table>;

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its columns by their names.
    pub columns: BTreeMap<String, Column>,
    /// The columns of its primary key, in order.
    pub primary_key: Vec<String>,
    /// The sets of columns that are unique together, each sorted; without the primary key.
    pub uniques: BTreeSet<Vec<String>>,
    /// The names of the unique indexes that hold for some of the rows only.
    pub partial_uniques: BTreeSet<String>,
    /// Its references.
    pub foreign_keys: BTreeSet<ForeignKey>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The engine's name of its type, with length, precision and scale, and its collation where that is not the engine's own.
    pub sql_type: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// The words that its CHECK accepts, if it is one of a closed set.
    pub words: Option<BTreeSet<String>>,
}

/// A reference to another table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForeignKey {
    /// The referring columns.
    pub columns: Vec<String>,
    /// The table referred to.
    pub table: String,
    /// The columns referred to.
    pub targets: Vec<String>,
    /// What deleting the row that is referred to does, as SQL says it.
    pub on_delete: String,
}

/// The schema of a database, as its engine's catalog has it; without partitions and without the engine's own tables.
///
/// On SQLite it needs a connection that has the collation `decimal`.
///
/// # Errors
/// Those of the database.
pub async fn read(db: &DatabaseConnection) -> Result<Schema, DbErr> {
    match Dialect::of(db).await? {
        Dialect::Sqlite => sqlite::read(db).await,
        Dialect::Postgres => postgres::read(db).await,
        dialect => mysql::read(db, dialect).await,
    }
}

/// A CHECK, as the catalog has it.
struct Check {
    table: String,
    name: String,
    condition: String,
}

/// Puts the words that a CHECK of an enumeration accepts beside its column. Such a CHECK is named after the column.
///
/// It is not read but tried: with every text that is in it, and with one that is no word.
async fn add_words(db: &DatabaseConnection, schema: &mut Schema, checks: &[Check]) -> Result<(), DbErr> {
    let dialect = Dialect::of(db).await?;
    for check in checks {
        let Some(table) = schema.get_mut(&check.table) else { continue };
        let column = check
            .name
            .strip_prefix(&format!("ck_{}_", check.table))
            .and_then(|name| table.columns.get_mut(name).map(|column| (dialect.quote(name), column)));
        let (Some((name, column)), true) = (column, check.condition.contains('\'')) else { continue };
        let candidates: Vec<String> = literals(&check.condition)
            .chain(["no such word"])
            .map(|word| format!("SELECT '{word}' AS {name}"))
            .collect();
        let accepted =
            format!("SELECT {name} FROM ({}) AS candidates WHERE {}", candidates.join(" UNION ALL "), check.condition);
        column.words = Some(query(db, accepted).await?.into_iter().collect());
    }
    Ok(())
}

/// The texts in quotes.
fn literals(condition: &str) -> impl Iterator<Item = &str> {
    condition.split('\'').skip(1).step_by(2)
}

/// The rows of a query, each by the order of its columns.
async fn query<T: TryGetableMany>(db: &impl ConnectionTrait, sql: impl Into<String>) -> Result<Vec<T>, DbErr> {
    let statement = Statement::from_string(db.get_database_backend(), sql.into());
    db.query_all_raw(statement).await?.iter().map(QueryResult::try_get_many_by_index).collect()
}

/// Names that a query has joined by commas.
fn split(names: &str) -> Vec<String> {
    names.split(',').map(str::to_owned).collect()
}

/// The same, sorted.
fn split_sorted(names: &str) -> Vec<String> {
    let mut names = split(names);
    names.sort();
    names
}
