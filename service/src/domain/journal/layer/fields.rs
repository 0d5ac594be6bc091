use std::error::Error as StdError;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Map, Number, Value};
use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

use super::LayerOptions;
use crate::domain::journal::{LogError, NewLogEntry};
use crate::entity::journal::{LogCategory, LogLevel};
use crate::types::{Json, LongText, Text, Timestamp, ValueError};

/// What stands for a value that is not logged.
const HIDDEN: &str = "***";
/// What ends a text that was cut.
const CUT: &str = "… (cut)";
/// Causes of an error that are kept.
const CAUSES: usize = 16;

/// The fields of an event or a span.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    pub(super) values: Map<String, Value>,
    error: Option<LogError>,
}

impl Fields {
    /// Takes over what `other` has; where both have a field, the other's.
    pub(super) fn extend(&mut self, other: &Self) {
        self.values.extend(other.values.clone());
        if other.error.is_some() {
            self.error.clone_from(&other.error);
        }
    }

    fn take_text(&mut self, name: &str) -> Option<String> {
        Some(match self.values.remove(name)? {
            Value::String(text) => text,
            other => other.to_string(),
        })
    }

    /// Takes a field if it is what its column holds; what is not stays among the data.
    fn take_as<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<T> {
        let taken = self.values.get(name).and_then(read);
        if taken.is_some() {
            self.values.remove(name);
        }
        taken
    }

    fn error(&mut self) -> Option<LogError> {
        let text = self.take_text("error");
        self.error.take().or_else(|| text.map(|message| LogError { message, ..LogError::default() }))
    }

    /// The log entry of an event with these fields, at `ts`.
    pub(super) fn into_entry(
        mut self,
        metadata: &Metadata<'_>,
        ts: Timestamp,
        options: &LayerOptions,
    ) -> Result<NewLogEntry, ValueError> {
        let message = self.take_text("message").unwrap_or_default();
        let category = self.take_as("category", |value| value.as_str()?.parse::<LogCategory>().ok());
        let user_id = self.take_as("user_id", |value| value.as_str()?.parse().ok());
        let duration_ms = self.take_as("duration_ms", whole).filter(|duration| *duration >= 0);
        let tags = self.take_as("tags", |value| Some(tags(value.as_str()?))).unwrap_or_default();
        let [action, request_id, session_id] = ["action", "request_id", "session_id"]
            .map(|name| self.take_text(name).filter(|text| !text.is_empty()).map(|text| short(&text)));
        let error = self.error();
        self.values.entry("target").or_insert_with(|| clean(metadata.target(), options.longest).into());
        let mut entry = NewLogEntry {
            ts,
            level: level(*metadata.level()),
            service: options.service.clone(),
            category: category.unwrap_or(LogCategory::System),
            action: action.transpose()?,
            request_id: request_id.transpose()?,
            user_id,
            session_id: session_id.transpose()?,
            message: LongText::try_from(message)?,
            data: Json::of(&self.values)?,
            tags,
            error,
            duration_ms,
            expires_at: None,
        };
        options.retention.apply(&mut entry);
        Ok(entry)
    }
}

fn level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warn,
        Level::INFO => LogLevel::Info,
        Level::DEBUG => LogLevel::Debug,
        Level::TRACE => LogLevel::Trace,
    }
}

/// A number of milliseconds: whole ones of a fraction, and what a text says.
fn whole(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "a cast stops at the ends of the range")]
            let truncated = || number.as_f64().map(|float| float as i64);
            number.as_i64().or_else(truncated)
        }
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Tags as they are given: `["a", "b"]`, which is also the `Debug` of a list of texts, or `a, b`.
fn tags(text: &str) -> Vec<String> {
    serde_json::from_str(text)
        .unwrap_or_else(|_| text.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect())
}

/// A text as a column of 64 characters takes it.
fn short(text: &str) -> Result<Text<64>, ValueError> {
    const LONGEST: usize = 64;
    if text.chars().count() <= LONGEST {
        return text.parse();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect::<String>().try_into()
}

/// A text without NUL and of bounded length.
fn clean(text: &str, longest: usize) -> String {
    let cut = text.char_indices().nth(longest).map(|(at, _)| at);
    let kept = cut.map_or(text, |at| &text[..at]);
    let mut kept = if kept.contains('\0') { kept.replace('\0', "\u{fffd}") } else { kept.to_owned() };
    if cut.is_some() {
        kept.push_str(CUT);
    }
    kept
}

/// Takes up the fields of an event or a span, hiding those that are secret.
pub(super) struct Visitor<'a> {
    pub(super) fields: Fields,
    pub(super) options: &'a LayerOptions,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(options: &'a LayerOptions) -> Self {
        Self { fields: Fields::default(), options }
    }

    fn set(&mut self, field: &Field, value: impl FnOnce(&LayerOptions) -> Value) {
        // A raw identifier, `r#type`, is named without its mark.
        let name = field.name().strip_prefix("r#").unwrap_or_else(|| field.name());
        let value = if self.options.hides(name) { HIDDEN.into() } else { value(self.options) };
        self.fields.values.insert(clean(name, self.options.longest), value);
    }
}

impl Visit for Visitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, |_| Number::from_f64(value).map_or_else(|| value.to_string().into(), Value::Number));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, |_| value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, |_| value.into());
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.set(field, |_| value.to_string().into());
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.set(field, |_| value.to_string().into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, |_| value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, |options| clean(value, options.longest).into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn StdError + 'static)) {
        let longest = self.options.longest;
        let text = printed(longest, format_args!("{value}"));
        if field.name() == "error" && !self.options.hides("error") {
            let causes = std::iter::successors(caught(|| value.source()).flatten(), |cause| {
                let cause: &(dyn StdError + 'static) = *cause;
                caught(|| cause.source()).flatten()
            });
            let causes: Vec<String> =
                causes.take(CAUSES).map(|cause| printed(longest, format_args!("{cause}"))).collect();
            let stack = clean(&causes.join("\n"), longest);
            self.fields.error = Some(LogError { message: text.clone(), stack, ..LogError::default() });
        }
        self.set(field, |_| text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, |options| printed(options.longest, format_args!("{value:?}")).into());
    }
}

/// What a value prints as; its own code may panic, or print without end.
fn printed(longest: usize, value: fmt::Arguments<'_>) -> String {
    let mut text = Bounded { text: String::new(), left: longest.saturating_add(1) };
    match caught(|| fmt::write(&mut text, value)) {
        // An error means that it is longer than it may be, or that the value's own code failed; what there is is kept.
        Some(_) => clean(&text.text, longest),
        None => "(panicked while it was printed)".to_owned(),
    }
}

fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    // Nothing of what the closures touch is used after a panic.
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// A text that ends after so many characters.
struct Bounded {
    text: String,
    left: usize,
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            self.left = self.left.checked_sub(1).ok_or(fmt::Error)?;
            self.text.push(character);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_with_a_mark_and_have_no_nul() {
        assert_eq!(clean("a\0b", 10), "a\u{fffd}b");
        assert_eq!(clean("émoji 🦀🦀", 7), "émoji 🦀… (cut)");
        assert_eq!(short(&"x".repeat(64)).unwrap().as_str(), "x".repeat(64));
        assert_eq!(short(&"é".repeat(65)).unwrap().as_str(), format!("{}…", "é".repeat(63)));
    }

    #[test]
    fn what_prints_without_end_or_panics_does_no_harm() {
        struct Endless;
        impl fmt::Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("more")?;
                }
            }
        }
        struct Broken;
        impl fmt::Display for Broken {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("broken")
            }
        }
        assert_eq!(printed(6, format_args!("{Endless}")), "moremo… (cut)");
        assert_eq!(printed(6, format_args!("{Broken}")), "(panicked while it was printed)");
    }

    #[test]
    fn tags_are_a_list_in_either_form() {
        assert_eq!(tags("a, b,,"), ["a", "b"]);
        assert_eq!(tags(&format!("{:?}", ["a", "b, c"])), ["a", "b, c"]);
    }
}
