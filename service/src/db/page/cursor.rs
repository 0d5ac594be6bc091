use std::fmt;
use std::str::FromStr;

use chrono::DateTime;
use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, ColumnType, Value};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A place in a list. It is opaque: keep it, send it back, do not read it.
///
/// It belongs to the list that it came from. Used with another one (another filter, another order) it is refused, and so is
/// one that was altered in a way that can be seen. It grants nothing: what a list shows is decided by its filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    list: u64,
    /// The last row's key: each value a byte that says its type, and its own bytes; zeros after them.
    key: [u8; KEY_BYTES],
}

/// A cursor that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CursorError {
    /// It is not a cursor of this version.
    #[error("the cursor is not valid; begin again without one")]
    Malformed,
    /// It came from another list.
    #[error("the cursor belongs to another list; use it with the filter and order that it came from")]
    AnotherList,
    /// A list is ordered by a column that a cursor cannot hold: an error in the service.
    #[error("a list cannot be ordered by a column of that type, or by so many")]
    Unordered,
}

/// The version of the text of a cursor.
const VERSION: u8 = 2;
/// Three keys of the longest type.
const KEY_BYTES: usize = 3 * 17;

const UUID: u8 = 1;
const INSTANT: u8 = 2;
const DECIMAL: u8 = 3;
const I64: u8 = 4;
const I32: u8 = 5;

impl Cursor {
    /// The place after the row with this key.
    pub(super) fn at<const N: usize>(list: u64, values: [Value; N]) -> Result<Self, CursorError> {
        let mut bytes = Vec::with_capacity(KEY_BYTES);
        for value in values {
            match value {
                Value::Uuid(Some(id)) => push(&mut bytes, UUID, id.as_bytes()),
                Value::ChronoDateTime(Some(at)) => {
                    push(&mut bytes, INSTANT, &at.and_utc().timestamp_micros().to_be_bytes());
                }
                Value::Decimal(Some(number)) => push(&mut bytes, DECIMAL, &number.serialize()),
                Value::BigInt(Some(number)) => push(&mut bytes, I64, &number.to_be_bytes()),
                Value::Int(Some(number)) => push(&mut bytes, I32, &number.to_be_bytes()),
                _ => return Err(CursorError::Unordered),
            }
        }
        bytes.resize(KEY_BYTES.max(bytes.len()), 0);
        let key = bytes.try_into().map_err(|_| CursorError::Unordered)?;
        Ok(Self { list, key })
    }

    /// The values of its key, if it is one of this list.
    pub(super) fn values(&self, list: u64, columns: &[impl ColumnTrait]) -> Result<Vec<Value>, CursorError> {
        if self.list != list {
            return Err(CursorError::AnotherList);
        }
        let mut rest = self.key.as_slice();
        let values = columns.iter().map(|column| {
            let value = take(&mut rest)?.ok_or(CursorError::Malformed)?;
            // What was forged must not reach an engine, which would only wonder about the type.
            fits(&value, column.def().get_column_type()).then_some(value).ok_or(CursorError::Malformed)
        });
        values.collect()
    }

    /// Bytes of the key that are used.
    fn used(&self) -> Result<usize, CursorError> {
        let mut rest = self.key.as_slice();
        while take(&mut rest)?.is_some() {}
        Ok(KEY_BYTES - rest.len())
    }
}

fn push(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    bytes.push(kind);
    bytes.extend_from_slice(value);
}

/// The next value; `None` where the zeros begin.
fn take(rest: &mut &[u8]) -> Result<Option<Value>, CursorError> {
    fn array<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), CursorError> {
        bytes.split_first_chunk().map(|(first, rest)| (*first, rest)).ok_or(CursorError::Malformed)
    }

    let Some((kind, bytes)) = rest.split_first() else { return Ok(None) };
    let (value, after) = match *kind {
        0 if bytes.iter().all(|byte| *byte == 0) => return Ok(None),
        UUID => array(bytes).map(|(id, after)| (Uuid::from_bytes(id).into(), after))?,
        INSTANT => {
            let (micros, after) = array(bytes)?;
            let at = DateTime::from_timestamp_micros(i64::from_be_bytes(micros)).ok_or(CursorError::Malformed)?;
            (at.naive_utc().into(), after)
        }
        DECIMAL => {
            let (number, after) = array(bytes)?;
            (decimal(number).ok_or(CursorError::Malformed)?.into(), after)
        }
        I64 => array(bytes).map(|(number, after)| (i64::from_be_bytes(number).into(), after))?,
        I32 => array(bytes).map(|(number, after)| (i32::from_be_bytes(number).into(), after))?,
        _ => return Err(CursorError::Malformed),
    };
    *rest = after;
    Ok(Some(value))
}

/// A decimal of its own bytes; nothing that [`Decimal`] would not have written.
fn decimal(bytes: [u8; 16]) -> Option<Decimal> {
    let scale = bytes[2];
    (scale <= 28).then(|| Decimal::deserialize(bytes)).filter(|number| number.serialize() == bytes)
}

/// Whether a column of that type can be compared with the value.
fn fits(value: &Value, column: &ColumnType) -> bool {
    matches!(
        (value, column),
        (Value::Uuid(_), ColumnType::Uuid)
            | (Value::ChronoDateTime(_), ColumnType::TimestampWithTimeZone)
            | (Value::Decimal(_), ColumnType::Decimal(_))
            | (Value::BigInt(_), ColumnType::BigInteger)
            | (Value::Int(_), ColumnType::Integer)
    )
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.used().map_err(|_| fmt::Error)?;
        let mut bytes = Vec::with_capacity(9 + used);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.list.to_be_bytes());
        bytes.extend_from_slice(&self.key[..used]);
        f.write_str(&data_encoding::BASE64URL_NOPAD.encode(&bytes))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| CursorError::Malformed)?;
        let Some((&VERSION, bytes)) = bytes.split_first() else { return Err(CursorError::Malformed) };
        let (list, values) = bytes.split_first_chunk().ok_or(CursorError::Malformed)?;
        let mut key = [0; KEY_BYTES];
        key.get_mut(..values.len()).ok_or(CursorError::Malformed)?.copy_from_slice(values);
        let cursor = Self { list: u64::from_be_bytes(*list), key };
        // All of it is values, and at least one.
        if values.is_empty() || cursor.used()? != values.len() {
            return Err(CursorError::Malformed);
        }
        Ok(cursor)
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<Cursor> {
        let price: Decimal = "-12345678901234.5678".parse().unwrap();
        let at = DateTime::from_timestamp_micros(-1).unwrap().naive_utc();
        vec![
            Cursor::at(7, [Uuid::now_v7().into()]).unwrap(),
            Cursor::at(u64::MAX, [price.into(), Uuid::nil().into()]).unwrap(),
            Cursor::at(0, [at.into(), i64::MIN.into(), 0_i32.into()]).unwrap(),
            Cursor::at(1, [Uuid::max().into(), Uuid::max().into(), Uuid::max().into()]).unwrap(),
        ]
    }

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_is_one() {
        for cursor in keys() {
            let text = cursor.to_string();
            assert_eq!(text.parse(), Ok(cursor));
            for forged in
                ["", "a", "AAAA", "????", &text[1..], &format!("{text}A"), &format!("{text}AAAA"), "\u{1f600}"]
            {
                assert_eq!(forged.parse::<Cursor>(), Err(CursorError::Malformed), "{forged:?}");
            }
        }
    }

    #[test]
    fn bytes_of_any_kind_are_a_cursor_or_an_error() {
        for seed in 0_u8..=255 {
            let bytes: Vec<u8> = (0..60_u8).map(|at| at.wrapping_mul(31).wrapping_add(seed) % 7).collect();
            for length in 0..bytes.len() {
                let mut bytes = bytes[..length].to_vec();
                bytes.insert(0, VERSION);
                let text = data_encoding::BASE64URL_NOPAD.encode(&bytes);
                if let Ok(cursor) = text.parse::<Cursor>() {
                    assert_eq!(cursor.to_string(), text);
                }
            }
        }
    }
}
