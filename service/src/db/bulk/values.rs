//! Inserts of many rows in one statement, for the engines that have no COPY a client could use.
//!
//! While the engine works on a statement, the values of the next one are made: neither waits for the other.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join;
use sea_orm::sqlx::mysql::MySqlArguments;
use sea_orm::sqlx::{self, AssertSqlSafe, IntoArguments, MySql, MySqlConnection, Sqlite, SqliteConnection};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value, Values};
use sea_query_sqlx::SqlxValues;

use super::rows::{Key, Rows, key, key_of};
use crate::db::raw::{Connection, exec_error};
use crate::db::{Kind, Tx, classify};

/// Values that one prepared statement can take, by the engines' limits.
const MOST_SQLITE: usize = 32_766;
const MOST_MYSQL: usize = 65_535;

/// Rows in a statement: more gain nothing, and take memory on both sides.
const ROWS_SQLITE: usize = 256;
const ROWS_MYSQL: usize = 500;

/// Rows that were inserted; those whose key is taken are passed over by the engine.
pub(super) async fn insert_sqlite(tx: &Tx, rows: &Rows) -> Result<u64, DbErr> {
    let per_statement = (MOST_SQLITE / rows.width()).clamp(1, ROWS_SQLITE);
    let head = format!("INSERT INTO \"{}\" ({}) VALUES ", rows.table, quoted(&rows.columns, '"'));
    let tail = format!(" ON CONFLICT ({}) DO NOTHING", quoted(&rows.key_columns(), '"'));
    let sql = |count| Arc::<str>::from(format!("{head}{}{tail}", tuples(count, rows.width())));
    let full: Arc<str> = sql(per_statement);
    let mut connection = tx.connection().await;
    let Connection::Sqlite(connection) = &mut *connection else { return Err(wrong_engine()) };
    let connection: &mut SqliteConnection = connection;
    let mut inserted = 0;
    let mut batches = rows.batches(per_statement).map(|batch| (batch.len(), encoded::<Sqlite>(rows.values(batch))));
    let mut next = batches.next();
    while let Some((count, arguments)) = next {
        // Only the size that comes again is worth keeping prepared.
        let again = count == per_statement;
        let sql = if again { Arc::clone(&full) } else { sql(count) };
        tx.count();
        let query = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(sql), arguments).persistent(again);
        let (done, following) = join(query.execute(&mut *connection), async { batches.next() }).await;
        inserted += done.map_err(exec_error)?.rows_affected();
        next = following;
    }
    Ok(inserted)
}

/// Rows that were inserted. MySQL's ways to pass over a duplicate hide other faults or count wrongly, so a batch that meets
/// one looks up which keys are taken and goes on without them.
pub(super) async fn insert_mysql(tx: &Tx, rows: &Rows) -> Result<u64, DbErr> {
    let per_statement = (MOST_MYSQL / rows.width()).clamp(1, ROWS_MYSQL);
    let full: Arc<str> = mysql_insert(rows, per_statement).into();
    let mut inserted = 0;
    let mut batches = rows.batches(per_statement).map(|batch| (batch.clone(), encoded::<MySql>(rows.values(batch))));
    let mut next = batches.next();
    while let Some((batch, arguments)) = next {
        let count = batch.len();
        let again = count == per_statement;
        let sql = if again { Arc::clone(&full) } else { mysql_insert(rows, count).into() };
        let (done, following) = join(insert_batch(tx, sql, arguments, again), async { batches.next() }).await;
        inserted += match done? {
            Ok(count) => count,
            Err(error) => insert_new(tx, rows, rows.values(batch), error).await?,
        };
        next = following;
    }
    Ok(inserted)
}

/// Inserts what is new of a batch that was refused with `error`.
async fn insert_new(tx: &Tx, rows: &Rows, mut batch: Vec<Value>, mut error: sqlx::Error) -> Result<u64, DbErr> {
    loop {
        if classify::classify_sqlx(&error).kind != Kind::UniqueViolation {
            return Err(exec_error(error));
        }
        let taken = taken(tx, rows, &batch).await?;
        let new = batch.chunks_exact(rows.width()).filter(|row| !taken.contains(&key_of(row, &rows.key)));
        let new: Vec<Value> = new.flatten().cloned().collect();
        // No primary key is to blame, so it is another unique key.
        if new.len() == batch.len() {
            return Err(exec_error(error));
        }
        if new.is_empty() {
            return Ok(0);
        }
        batch = new;
        let sql = Arc::from(mysql_insert(rows, batch.len() / rows.width()));
        // Somebody else may have inserted one of them meanwhile.
        match insert_batch(tx, sql, encoded::<MySql>(batch.clone()), false).await? {
            Ok(count) => return Ok(count),
            Err(again) => error = again,
        }
    }
}

/// One statement; what the server refuses is the inner error. It is kept prepared if it comes `again`.
async fn insert_batch(
    tx: &Tx,
    sql: Arc<str>,
    arguments: MySqlArguments,
    again: bool,
) -> Result<Result<u64, sqlx::Error>, DbErr> {
    tx.count();
    let mut connection = tx.connection().await;
    let Connection::MySql(connection) = &mut *connection else { return Err(wrong_engine()) };
    let connection: &mut MySqlConnection = connection;
    let query = sqlx::query_with::<MySql, _>(AssertSqlSafe(sql), arguments).persistent(again);
    Ok(query.execute(connection).await.map(|done| done.rows_affected()))
}

/// The values as a driver sends them.
fn encoded<D: sqlx::Database>(values: Vec<Value>) -> D::Arguments
where
    SqlxValues: IntoArguments<D>,
{
    SqlxValues(Values(values)).into_arguments()
}

fn mysql_insert(rows: &Rows, count: usize) -> String {
    format!("INSERT INTO `{}` ({}) VALUES {}", rows.table, quoted(&rows.columns, '`'), tuples(count, rows.width()))
}

/// The keys of these rows that the table has.
async fn taken(tx: &Tx, rows: &Rows, batch: &[Value]) -> Result<HashSet<Key>, DbErr> {
    let count = batch.len() / rows.width();
    let keys: Vec<Value> =
        batch.chunks_exact(rows.width()).flat_map(|row| rows.key.iter().map(|at| row[*at].clone())).collect();
    let like: Vec<Value> = keys[..rows.key.len()].to_vec();
    let names = quoted(&rows.key_columns(), '`');
    let sql = format!("SELECT {names} FROM `{}` WHERE ({names}) IN ({})", rows.table, tuples(count, rows.key.len()));
    let found = tx.query_all_raw(Statement::from_sql_and_values(DbBackend::MySql, sql, keys)).await?;
    let read = |row: &QueryResult| {
        let values = like.iter().enumerate().map(|(at, like)| read_like(row, at, like));
        Ok(key(values.collect::<Result<Vec<Value>, DbErr>>()?))
    };
    found.iter().map(read).collect()
}

/// Column `at` of a row, as the same kind of value as `like`.
fn read_like(row: &QueryResult, at: usize, like: &Value) -> Result<Value, DbErr> {
    Ok(match like {
        Value::Uuid(_) => row.try_get_by::<uuid::Uuid, _>(at)?.into(),
        Value::Int(_) => row.try_get_by::<i32, _>(at)?.into(),
        Value::BigInt(_) => row.try_get_by::<i64, _>(at)?.into(),
        Value::ChronoDateTime(_) => row.try_get_by::<chrono::NaiveDateTime, _>(at)?.into(),
        Value::ChronoDate(_) => row.try_get_by::<chrono::NaiveDate, _>(at)?.into(),
        _ => row.try_get_by::<String, _>(at)?.into(),
    })
}

/// `(?, ?), (?, ?)`.
fn tuples(rows: usize, width: usize) -> String {
    let tuple = format!("({})", vec!["?"; width].join(", "));
    vec![tuple.as_str(); rows].join(", ")
}

fn quoted(names: &[&str], quote: char) -> String {
    names.iter().map(|name| format!("{quote}{name}{quote}")).collect::<Vec<_>>().join(", ")
}

fn wrong_engine() -> DbErr {
    DbErr::Custom("the transaction is on another engine".into())
}
