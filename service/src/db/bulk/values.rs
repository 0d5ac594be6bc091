//! Inserts of many rows in one statement, for the engines that have no COPY a client could use.
//!
//! While the engine works on a statement, the values of the next one are made: neither waits for the other.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use futures::future::join;
use sea_orm::sqlx::mysql::MySqlArguments;
use sea_orm::sqlx::sqlite::SqliteArguments;
use sea_orm::sqlx::{self, AssertSqlSafe, IntoArguments, MySql, MySqlConnection, Sqlite, SqliteConnection};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value, Values};
use sea_query_sqlx::SqlxValues;

use super::rows::{Key, Rows, read_key};
use crate::db::raw::{Connection, exec_error};
use crate::db::{Kind, Tx, classify};

/// An engine's limits and words.
struct Engine {
    backend: DbBackend,
    /// Values that one prepared statement can take.
    most_values: usize,
    /// Rows in a statement: more gain nothing, and take memory on both sides.
    most_rows: usize,
    quote: char,
}

const SQLITE: Engine = Engine { backend: DbBackend::Sqlite, most_values: 32_766, most_rows: 256, quote: '"' };
const MYSQL: Engine = Engine { backend: DbBackend::MySql, most_values: 65_535, most_rows: 500, quote: '`' };

/// Inserts the rows that are new, and says which are not. The engines' own ways to pass over a duplicate hide other faults,
/// count wrongly, or do not say which it was.
pub(super) async fn insert(tx: &Tx, rows: &Rows) -> Result<Vec<usize>, DbErr> {
    let engine = if tx.get_database_backend() == DbBackend::Sqlite { SQLITE } else { MYSQL };
    let per_statement = (engine.most_values / rows.width()).clamp(1, engine.most_rows);
    let full: Arc<str> = engine.insert(rows, per_statement).into();
    let mut taken = Vec::new();
    let mut batches = rows.batches(per_statement).map(|batch| (batch.clone(), engine.encoded(rows.values(batch))));
    let mut next = batches.next();
    while let Some((batch, arguments)) = next {
        let count = batch.len();
        // Only the size that comes again is worth keeping prepared.
        let again = count == per_statement;
        let sql = if again { Arc::clone(&full) } else { engine.insert(rows, count).into() };
        let (done, following) = join(run(tx, sql, arguments, again), async { batches.next() }).await;
        if let Err(error) = done? {
            taken.extend(insert_new(tx, &engine, rows, batch, error).await?);
        }
        next = following;
    }
    Ok(taken)
}

/// Inserts what is new of a batch that was refused with `error`, and says what is not.
async fn insert_new(
    tx: &Tx,
    engine: &Engine,
    rows: &Rows,
    batch: Range<usize>,
    mut error: sqlx::Error,
) -> Result<Vec<usize>, DbErr> {
    let mut new: Vec<usize> = batch.collect();
    let mut old = Vec::new();
    loop {
        if classify::classify_sqlx(&error).kind != Kind::UniqueViolation {
            return Err(exec_error(error));
        }
        let taken = taken(tx, engine, rows, &new).await?;
        let known = old.len();
        new.retain(|row| {
            let is_new = !taken.contains(&rows.key_of(*row));
            if !is_new {
                old.push(*row);
            }
            is_new
        });
        // No primary key is to blame, so it is another unique key.
        if old.len() == known {
            return Err(exec_error(error));
        }
        if !new.is_empty() {
            let sql = Arc::from(engine.insert(rows, new.len()));
            let arguments = engine.encoded(rows.values(new.iter().copied()));
            // Somebody else may have inserted one of them meanwhile.
            if let Err(again) = run(tx, sql, arguments, false).await? {
                error = again;
                continue;
            }
        }
        old.sort_unstable();
        return Ok(old);
    }
}

/// The values as a driver sends them.
enum Arguments {
    Sqlite(SqliteArguments),
    MySql(MySqlArguments),
}

/// One statement; what the engine refuses is the inner error. It is kept prepared if it comes `again`.
async fn run(tx: &Tx, sql: Arc<str>, arguments: Arguments, again: bool) -> Result<Result<(), sqlx::Error>, DbErr> {
    tx.count();
    let sql = AssertSqlSafe(sql);
    let done = match (&mut *tx.connection().await, arguments) {
        (Connection::Sqlite(connection), Arguments::Sqlite(arguments)) => {
            let connection: &mut SqliteConnection = connection;
            let query = sqlx::query_with::<Sqlite, _>(sql, arguments).persistent(again);
            query.execute(connection).await.map(drop)
        }
        (Connection::MySql(connection), Arguments::MySql(arguments)) => {
            let connection: &mut MySqlConnection = connection;
            let query = sqlx::query_with::<MySql, _>(sql, arguments).persistent(again);
            query.execute(connection).await.map(drop)
        }
        _ => return Err(DbErr::Custom("the transaction is on another engine".into())),
    };
    Ok(done)
}

/// The keys of these rows that the table has.
async fn taken(tx: &Tx, engine: &Engine, rows: &Rows, of: &[usize]) -> Result<HashSet<Key>, DbErr> {
    let keys: Vec<Value> = of.iter().flat_map(|row| rows.key_values(*row)).collect();
    let (table, names) = (engine.quoted(&[rows.table.as_str()]), engine.quoted(&rows.key));
    // SQLite compares several columns with rows of VALUES alone.
    let values = if engine.backend == DbBackend::Sqlite { "VALUES " } else { "" };
    let tuples = tuples(of.len(), rows.key.len());
    let sql = format!("SELECT {names} FROM {table} WHERE ({names}) IN ({values}{tuples})");
    let like = of.first().map(|row| rows.key_values(*row)).unwrap_or_default();
    let found = tx.query_all_raw(Statement::from_sql_and_values(engine.backend, sql, keys)).await?;
    found.iter().map(|row| read_key(row, &like)).collect()
}

impl Engine {
    fn insert(&self, rows: &Rows, count: usize) -> String {
        let (table, columns) = (self.quoted(&[rows.table.as_str()]), self.quoted(&rows.columns));
        format!("INSERT INTO {table} ({columns}) VALUES {}", tuples(count, rows.width()))
    }

    fn encoded(&self, values: Vec<Value>) -> Arguments {
        if self.backend == DbBackend::Sqlite {
            Arguments::Sqlite(encoded::<Sqlite>(values))
        } else {
            Arguments::MySql(encoded::<MySql>(values))
        }
    }

    fn quoted(&self, names: &[&str]) -> String {
        let quote = self.quote;
        names.iter().map(|name| format!("{quote}{name}{quote}")).collect::<Vec<_>>().join(", ")
    }
}

fn encoded<D: sqlx::Database>(values: Vec<Value>) -> D::Arguments
where
    SqlxValues: IntoArguments<D>,
{
    SqlxValues(Values(values)).into_arguments()
}

/// `(?, ?), (?, ?)`.
fn tuples(rows: usize, width: usize) -> String {
    let tuple = format!("({})", vec!["?"; width].join(", "));
    vec![tuple.as_str(); rows].join(", ")
}
