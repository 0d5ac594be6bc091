use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use sea_orm::{DbErr, EntityTrait, IdenStatic, Iterable, ModelTrait, PrimaryKeyToColumn, QueryResult, Value};

use crate::types::Timestamp;

/// Rows of one table, to be inserted as often as a transaction is tried.
///
/// No two have the same primary key: of those that do, the first is kept and the others are counted.
#[derive(Clone)]
pub struct Rows {
    pub(super) table: String,
    pub(super) columns: Vec<&'static str>,
    /// Those of the primary key.
    pub(super) key: Vec<&'static str>,
    models: Arc<dyn Models>,
    repeated: u64,
}

/// Models of whichever entity. They become values as they are sent: all values at once would take more memory than the
/// models themselves.
trait Models: Any + Send + Sync {
    fn len(&self) -> usize;

    /// A row's primary key, in the order of its columns.
    fn key(&self, row: usize) -> Vec<Value>;

    /// Appends a row's values, in the order of the columns.
    fn append(&self, row: usize, values: &mut Vec<Value>);
}

struct ModelsOf<E: EntityTrait> {
    columns: Vec<E::Column>,
    key: Vec<E::Column>,
    models: Vec<E::Model>,
}

impl<E> Models for ModelsOf<E>
where
    E: EntityTrait,
    E::Column: Send + Sync,
    E::Model: Send + Sync,
{
    fn len(&self) -> usize {
        self.models.len()
    }

    fn key(&self, row: usize) -> Vec<Value> {
        self.key.iter().map(|column| self.models[row].get(*column)).collect()
    }

    fn append(&self, row: usize, values: &mut Vec<Value>) {
        values.extend(self.columns.iter().map(|column| self.models[row].get(*column)));
    }
}

impl Rows {
    /// The rows of these models, every column of them.
    pub fn of<E>(models: impl IntoIterator<Item = E::Model>) -> Self
    where
        E: EntityTrait,
        E::Column: Send + Sync,
        E::Model: Send + Sync,
    {
        let columns: Vec<E::Column> = E::Column::iter().collect();
        let names: Vec<&'static str> = columns.iter().map(IdenStatic::as_str).collect();
        let key: Vec<E::Column> = E::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column).collect();
        let key_names = key.iter().map(IdenStatic::as_str).collect();

        let mut models: Vec<E::Model> = models.into_iter().collect();
        let given = models.len();
        let mut seen = HashSet::with_capacity(given);
        models.retain(|model| seen.insert(self::key(key.iter().map(|column| model.get(*column)))));
        let repeated = (given - models.len()) as u64;
        let models = Arc::new(ModelsOf::<E> { columns, key, models });
        Self { table: E::default().table_name().to_owned(), columns: names, key: key_names, models, repeated }
    }

    /// The models that the rows were made of, in their order, without those that were left out; none for another entity.
    pub fn models<E: EntityTrait>(&self) -> &[E::Model] {
        let models: &dyn Any = &*self.models;
        models.downcast_ref::<ModelsOf<E>>().map_or(&[], |models| &models.models)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows that were left out because one with their key was there already.
    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    pub(super) fn width(&self) -> usize {
        self.columns.len().max(1)
    }

    /// Appends a row's values.
    pub(super) fn append(&self, row: usize, values: &mut Vec<Value>) {
        self.models.append(row, values);
    }

    /// The values of these rows, one row after the other.
    pub(super) fn values(&self, rows: impl ExactSizeIterator<Item = usize>) -> Vec<Value> {
        let mut values = Vec::with_capacity(rows.len() * self.width());
        rows.for_each(|row| self.append(row, &mut values));
        values
    }

    /// The primary key of a row, in the order of its columns.
    pub(super) fn key_values(&self, row: usize) -> Vec<Value> {
        self.models.key(row)
    }

    /// The primary key of a row.
    pub(super) fn key_of(&self, row: usize) -> Key {
        key(self.models.key(row))
    }

    /// The rows, so many at a time; the last time what is left.
    pub(super) fn batches(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let len = self.len();
        (0..len).step_by(rows.max(1)).map(move |start| start..len.min(start + rows))
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, repeated, .. } = self;
        f.debug_struct("Rows").field("table", table).field("len", &self.len()).field("repeated", repeated).finish()
    }
}

/// A primary key, as bytes: equal keys are equal bytes.
pub(super) type Key = Vec<u8>;

pub(super) fn key(values: impl IntoIterator<Item = Value>) -> Key {
    let mut bytes = Key::new();
    for value in values {
        match value {
            Value::Uuid(Some(id)) => bytes.extend_from_slice(id.as_bytes()),
            Value::String(Some(text)) => {
                bytes.extend_from_slice(text.as_bytes());
                // No text contains a NUL, so parts cannot run into each other.
                bytes.push(0);
            }
            Value::BigInt(Some(number)) => bytes.extend_from_slice(&number.to_be_bytes()),
            Value::ChronoDateTime(Some(at)) => bytes.extend_from_slice(&at.and_utc().timestamp_micros().to_be_bytes()),
            other => bytes.extend_from_slice(format!("{other:?}\0").as_bytes()),
        }
    }
    bytes
}

/// The key in a row that holds nothing else, its values of the same kinds as those of `like`.
pub(super) fn read_key(row: &QueryResult, like: &[Value]) -> Result<Key, DbErr> {
    let values = like.iter().enumerate().map(|(at, like)| read_like(row, at, like));
    Ok(key(values.collect::<Result<Vec<Value>, DbErr>>()?))
}

/// Column `at` of a row, as the same kind of value as `like`.
fn read_like(row: &QueryResult, at: usize, like: &Value) -> Result<Value, DbErr> {
    Ok(match like {
        Value::Uuid(_) => row.try_get_by::<uuid::Uuid, _>(at)?.into(),
        Value::Int(_) => row.try_get_by::<i32, _>(at)?.into(),
        Value::BigInt(_) => row.try_get_by::<i64, _>(at)?.into(),
        Value::ChronoDateTime(_) => row.try_get_by::<Timestamp, _>(at)?.into(),
        Value::ChronoDate(_) => row.try_get_by::<chrono::NaiveDate, _>(at)?.into(),
        _ => row.try_get_by::<String, _>(at)?.into(),
    })
}
