use std::ops::Deref;

use sea_orm::ColumnType;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::column::{column_value, corrupt};
use super::{Problem, ValueError};

/// Levels of nesting that every engine and reader accepts (MariaDB stops at 32).
const DEPTH: usize = 31;

/// A JSON document: `jsonb`, `json` or text.
///
/// What comes back is equal as JSON: the order of an object's keys means nothing, and a number keeps its value, not its
/// spelling (`1e2` may come back as `100`; whole numbers from 2^53 on that were written as floats may come back as
/// integers). Refused, because not every engine stores them: NUL characters in strings and keys, and nesting beyond 31
/// levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct Json(Value);

impl Json {
    /// The document that `value` serializes to.
    ///
    /// # Errors
    /// What serde says of `value`, or what [`Json::try_from`] says of the document, both as `Malformed` or the problem
    /// itself.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, ValueError> {
        let document = serde_json::to_value(value)
            .map_err(|_| ValueError::new(Problem::Malformed { expected: "representable as JSON" }))?;
        <Self as TryFrom<Value>>::try_from(document)
    }

    /// Reads the document as a typed value.
    ///
    /// # Errors
    /// Serde's, naming what it expected and where.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.0)
    }

    /// The document, owned.
    pub fn into_value(self) -> Value {
        self.0
    }
}

fn check(document: &Value, depth: usize) -> Result<(), Problem> {
    if depth > DEPTH {
        return Err(Problem::TooDeep { limit: DEPTH });
    }
    let no_nul = |text: &str| if text.contains('\0') { Err(Problem::Nul) } else { Ok(()) };
    match document {
        Value::String(text) => no_nul(text),
        Value::Array(items) => items.iter().try_for_each(|item| check(item, depth + 1)),
        Value::Object(fields) => {
            fields.iter().try_for_each(|(key, value)| no_nul(key).and_then(|()| check(value, depth + 1)))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

impl TryFrom<Value> for Json {
    type Error = ValueError;

    fn try_from(document: Value) -> Result<Self, ValueError> {
        check(&document, 0).map(|()| Self(document)).map_err(ValueError::new)
    }
}

impl From<Json> for Value {
    fn from(document: Json) -> Self {
        document.0
    }
}

impl Deref for Json {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

column_value! {
    impl[] Json as Json {
        column_type: ColumnType::JsonBinary,
        into: |value| Box::new(value.0),
        from: |inner| <Json as TryFrom<Value>>::try_from(*inner),
        read: |row, index| {
            let document = <Value as sea_orm::TryGetable>::try_get_by(row, index)?;
            <Json as TryFrom<Value>>::try_from(document).map_err(|error| corrupt("Json", error))
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_refused_wherever_it_hides() {
        for document in [serde_json::json!("\0"), serde_json::json!({"a\0": 1}), serde_json::json!([[{"a": "b\0"}]])] {
            assert_eq!(Json::try_from(document).unwrap_err().problem(), &Problem::Nul);
        }
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |levels| (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert!(Json::try_from(nested(DEPTH)).is_ok());
        assert!(Json::try_from(nested(DEPTH + 1)).is_err());
    }
}
