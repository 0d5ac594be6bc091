use std::collections::HashSet;

use sea_orm::{
    ActiveModelTrait, ActiveValue, EntityTrait, IdenStatic, IntoActiveModel, Iterable, PrimaryKeyToColumn, Value,
};

/// Rows of one table, made once and inserted as often as a transaction is tried.
///
/// No two have the same primary key: of those that do, the first is kept and the others are counted.
#[derive(Clone, Debug)]
pub struct Rows {
    pub(super) table: String,
    pub(super) columns: Vec<&'static str>,
    /// Which of the columns are the primary key.
    pub(super) key: Vec<usize>,
    /// A row is as many values as there are columns, in their order.
    values: Vec<Value>,
    repeated: u64,
}

impl Rows {
    /// The rows of these models, every column of them.
    pub fn of<E>(models: impl IntoIterator<Item = E::Model>) -> Self
    where
        E: EntityTrait,
        E::Model: IntoActiveModel<<E as EntityTrait>::ActiveModel>,
        E::ActiveModel: ActiveModelTrait<Entity = E>,
    {
        let columns: Vec<E::Column> = E::Column::iter().collect();
        let names: Vec<&'static str> = columns.iter().map(IdenStatic::as_str).collect();
        let key_names: Vec<&str> = E::PrimaryKey::iter().map(|key| key.into_column().as_str()).collect();
        let key: Vec<usize> = (0..names.len()).filter(|at| key_names.contains(&names[*at])).collect();
        let models = models.into_iter();
        let expected = models.size_hint().0;
        let mut values = Vec::with_capacity(expected * names.len());
        let mut seen = HashSet::with_capacity(expected);
        let mut repeated = 0;
        for model in models {
            let mut model = model.into_active_model();
            let start = values.len();
            for column in &columns {
                values.push(match model.take(*column) {
                    ActiveValue::Set(value) | ActiveValue::Unchanged(value) => value,
                    ActiveValue::NotSet => Value::String(None),
                });
            }
            if !seen.insert(key_of(&values[start..], &key)) {
                values.truncate(start);
                repeated += 1;
            }
        }
        Self { table: E::default().table_name().to_owned(), columns: names, key, values, repeated }
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.width()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Rows that were left out because one with their key was there already.
    pub const fn repeated(&self) -> u64 {
        self.repeated
    }

    pub(super) fn width(&self) -> usize {
        self.columns.len().max(1)
    }

    /// The rows, each a slice.
    pub(super) fn iter(&self) -> std::slice::ChunksExact<'_, Value> {
        self.values.chunks_exact(self.width())
    }

    /// The rows, so many at a time; the last time what is left.
    pub(super) fn batches(&self, rows: usize) -> impl Iterator<Item = &[Value]> {
        self.values.chunks(rows * self.width())
    }

    /// The names of the primary key's columns.
    pub(super) fn key_columns(&self) -> Vec<&'static str> {
        self.key.iter().map(|at| self.columns[*at]).collect()
    }
}

/// The primary key of a row.
pub(super) fn key_of(row: &[Value], key: &[usize]) -> Key {
    self::key(key.iter().map(|at| &row[*at]))
}

/// A primary key, as bytes: equal keys are equal bytes.
pub(super) type Key = Vec<u8>;

pub(super) fn key<'a>(values: impl IntoIterator<Item = &'a Value>) -> Key {
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
