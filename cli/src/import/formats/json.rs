//! JSON objects whose numbers are taken as the digits that are written, never through a float.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::import::draft::Fault;

/// A field as it is written; `None` when it is absent or null.
pub(super) type Field<'a> = Option<&'a RawValue>;

/// The fields of an object.
pub(super) fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Fault> {
    // A list would be taken for the fields of an object in their order.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Fault::whole("is not a JSON object"));
    }
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        let reason = message.split(" at line ").next().unwrap_or_default();
        Fault::whole(format!("is not valid JSON: {reason} (at its byte {})", offset(text, &error)))
    })
}

/// Where in the text the error is, in bytes from 0.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    let lines_before = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    lines_before + error.column().saturating_sub(1)
}

/// The text of a string or the digits of a number; `None` when there is none.
pub(super) fn optional<'a>(field: &'static str, key: &str, value: Field<'a>) -> Result<Option<Cow<'a, str>>, Fault> {
    let Some(text) = value.map(RawValue::get) else { return Ok(None) };
    match text.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<&str>(text) {
            Ok(text) => Ok(Some(Cow::Borrowed(text))),
            // It has escapes, so that it cannot be borrowed.
            Err(_) => serde_json::from_str(text)
                .map(|text: String| Some(Cow::Owned(text)))
                .map_err(|_| Fault::at(field, key, "is not a valid JSON string")),
        },
        Some(b'-' | b'0'..=b'9') => Ok(Some(Cow::Borrowed(text))),
        _ => Err(Fault::at(field, key, "is neither a string nor a number")),
    }
}

/// As [`optional`], of a field that has to be there.
pub(super) fn required<'a>(field: &'static str, key: &str, value: Field<'a>) -> Result<Cow<'a, str>, Fault> {
    optional(field, key, value)?.ok_or_else(|| Fault::missing(field, key))
}

/// A field that is `true` or `false`; `None` when there is none.
pub(super) fn boolean(field: &'static str, key: &str, value: Field<'_>) -> Result<Option<bool>, Fault> {
    match value.map(RawValue::get) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(Fault::at(field, key, "is neither true nor false")),
    }
}
