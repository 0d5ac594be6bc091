//! PostgreSQL's COPY, in its binary form: <https://www.postgresql.org/docs/current/sql-copy.html>.

use std::collections::HashSet;

use sea_orm::sqlx::postgres::PgArgumentBuffer;
use sea_orm::sqlx::{self, AssertSqlSafe, Encode, Executor, PgConnection, Postgres};
use sea_orm::{DbErr, QueryResult, Value};

use super::rows::{Key, Rows, read_key};
use crate::db::raw::{Connection, exec_error};
use crate::db::{Kind, Tx, classify};

/// Bytes that are sent at a time: the server parses one piece while the next is made.
const PIECE: usize = 256 * 1024;

/// What a binary COPY begins with: signature, flags, length of the extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// Inserts the rows that are new, and says which are not.
pub(super) async fn insert(tx: &Tx, rows: &Rows) -> Result<Vec<usize>, DbErr> {
    // A savepoint, the two ends of the COPY, and the savepoint's end.
    (0..4).for_each(|_| tx.count());
    let mut connection = tx.connection().await;
    let Connection::Postgres(connection) = &mut *connection else {
        return Err(DbErr::Custom("COPY needs PostgreSQL".into()));
    };
    let connection: &mut PgConnection = connection;
    // Few batches hold a duplicate; one that does has cost a COPY, and takes the longer way.
    run(connection, "SAVEPOINT stanchion_bulk").await?;
    match copy(connection, &rows.table, rows).await {
        Ok(()) => {
            run(connection, "RELEASE SAVEPOINT stanchion_bulk").await?;
            Ok(Vec::new())
        }
        Err(error) if classify::classify_sqlx(&error).kind == Kind::UniqueViolation => {
            run(connection, "ROLLBACK TO SAVEPOINT stanchion_bulk; RELEASE SAVEPOINT stanchion_bulk").await?;
            // A COPY and three statements.
            (0..5).for_each(|_| tx.count());
            let taken = insert_new(connection, rows).await?;
            Ok((0..rows.len()).filter(|row| taken.contains(&rows.key_of(*row))).collect())
        }
        Err(error) => Err(exec_error(error)),
    }
}

/// By way of a table of the transaction's own, from which only what is new goes on; the keys of the rest.
async fn insert_new(connection: &mut PgConnection, rows: &Rows) -> Result<HashSet<Key>, DbErr> {
    let (table, columns, key) = (&rows.table, quoted(&rows.columns), quoted(&rows.key));
    let beside = format!("stanchion_bulk_{table}");
    // Unlike a unique key, ON COMMIT DROP leaves nothing to clean up after a failure.
    let create =
        format!("CREATE TEMPORARY TABLE \"{beside}\" ON COMMIT DROP AS SELECT {columns} FROM \"{table}\" WITH NO DATA");
    connection.execute(AssertSqlSafe(create)).await.map_err(exec_error)?;
    copy(connection, &beside, rows).await.map_err(exec_error)?;
    let insert = format!(
        "WITH inserted AS (INSERT INTO \"{table}\" ({columns}) SELECT {columns} FROM \"{beside}\" \
         ON CONFLICT ({key}) DO NOTHING RETURNING {key}) \
         SELECT {key} FROM \"{beside}\" EXCEPT SELECT {key} FROM inserted"
    );
    let taken = sqlx::query(AssertSqlSafe(insert)).persistent(false).fetch_all(&mut *connection).await;
    let like = rows.key_values(0);
    let taken = taken.map_err(exec_error)?.into_iter().map(|row| read_key(&QueryResult::from(row), &like));
    let taken = taken.collect::<Result<_, _>>()?;
    connection.execute(AssertSqlSafe(format!("DROP TABLE \"{beside}\""))).await.map_err(exec_error)?;
    Ok(taken)
}

async fn copy(connection: &mut PgConnection, table: &str, rows: &Rows) -> Result<(), sqlx::Error> {
    let statement = format!("COPY \"{table}\" ({}) FROM STDIN (FORMAT binary)", quoted(&rows.columns));
    let mut copy = connection.copy_in_raw(&statement).await?;
    match send(&mut copy, rows).await {
        Ok(()) => copy.finish().await.map(drop),
        Err(error) => {
            // The server answers an abort with an error of its own; ours says more.
            let _aborted = copy.abort("a value could not be encoded").await;
            Err(error)
        }
    }
}

async fn send(copy: &mut sqlx::postgres::PgCopyIn<&mut PgConnection>, rows: &Rows) -> Result<(), sqlx::Error> {
    let mut buffer = PgArgumentBuffer::default();
    buffer.extend_from_slice(HEADER);
    let fields = i16::try_from(rows.width()).map_err(|error| sqlx::Error::Encode(error.into()))?.to_be_bytes();
    let mut values = Vec::with_capacity(rows.width());
    for row in 0..rows.len() {
        buffer.extend_from_slice(&fields);
        values.clear();
        rows.append(row, &mut values);
        for value in &values {
            encode(value, &mut buffer).map_err(sqlx::Error::Encode)?;
        }
        if buffer.len() >= PIECE {
            copy.send(buffer.as_slice()).await?;
            buffer.clear();
        }
    }
    buffer.extend_from_slice(&TRAILER);
    copy.send(buffer.as_slice()).await?;
    Ok(())
}

/// A field: its length, then the value as the driver writes it; -1 alone for null.
fn encode(value: &Value, buffer: &mut PgArgumentBuffer) -> Result<(), sqlx::error::BoxDynError> {
    let start = buffer.len();
    buffer.extend_from_slice(&(-1_i32).to_be_bytes());
    match value {
        Value::Bool(Some(value)) => field(value, buffer)?,
        Value::Int(Some(value)) => field(value, buffer)?,
        Value::BigInt(Some(value)) => field(value, buffer)?,
        Value::Double(Some(value)) => field(value, buffer)?,
        Value::String(Some(value)) => field(&value.as_str(), buffer)?,
        Value::Enum(sea_orm::sea_query::OptionEnum::Some(value)) => field(&value.value.as_ref(), buffer)?,
        Value::Bytes(Some(value)) => field(&value.as_slice(), buffer)?,
        Value::Uuid(Some(value)) => field(value, buffer)?,
        Value::Decimal(Some(value)) => field(value, buffer)?,
        Value::Json(Some(value)) => field(&sqlx::types::Json(value.as_ref()), buffer)?,
        Value::ChronoDate(Some(value)) => field(value, buffer)?,
        Value::ChronoDateTime(Some(value)) => field(value, buffer)?,
        other if *other == other.as_null() => return Ok(()),
        other => return Err(format!("a bulk insert has no encoding for {:?}", other.as_null()).into()),
    }
    let length = i32::try_from(buffer.len() - start - 4)?;
    buffer[start..start + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn field<'q, T: Encode<'q, Postgres>>(
    value: &T,
    buffer: &mut PgArgumentBuffer,
) -> Result<(), sqlx::error::BoxDynError> {
    value.encode_by_ref(buffer).map(drop)
}

async fn run(connection: &mut PgConnection, sql: &'static str) -> Result<(), DbErr> {
    connection.execute(sql).await.map(drop).map_err(exec_error)
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}
