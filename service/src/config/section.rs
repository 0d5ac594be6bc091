//! Reading typed values out of the tree, and collecting what is wrong instead of stopping at it.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use super::error::{Problem, key_name};
use super::tree::{Node, Origin, Value};
use super::yaml;

/// A map of the tree, with the path that leads to it. Values that are missing are `None`; values that are wrong are
/// `None` too, and noted.
#[derive(Clone)]
pub(super) struct Section<'a> {
    path: String,
    node: Option<&'a Node>,
    problems: &'a RefCell<Vec<Problem>>,
}

/// A text that was found, with its key.
pub(super) struct Field<'a> {
    pub(super) key: String,
    pub(super) text: String,
    pub(super) origin: &'a Origin,
}

impl<'a> Section<'a> {
    /// The whole tree, whose keys are `known`.
    pub(super) fn root(node: &'a Node, known: &[&str], problems: &'a RefCell<Vec<Problem>>) -> Self {
        let root = Self { path: String::new(), node: Some(node), problems };
        root.refuse_unknown(known);
        root
    }

    /// The section under `key`, whose own keys are `known`.
    pub(super) fn section(&self, key: &str, known: &[&str]) -> Self {
        let section = self.open(key);
        section.refuse_unknown(known);
        section
    }

    /// The section under `key`, with keys that are names given by the user.
    pub(super) fn open(&self, key: &str) -> Self {
        let path = self.key(key);
        let node = match self.node.and_then(|node| node.get(key)) {
            None => None,
            Some(node) => match node.value {
                Value::Map(_) => Some(node),
                Value::Null => None,
                Value::Text(_) | Value::List(_) => {
                    self.note(
                        Problem::new(&path, "must be a section with keys of its own, not a single value")
                            .from(&node.origin),
                    );
                    None
                }
            },
        };
        Self { path, node, problems: self.problems }
    }

    /// The keys there are, with where they are.
    pub(super) fn keys(&self) -> impl Iterator<Item = (&'a str, &'a Origin)> + use<'a> {
        let entries = match self.node.map(|node| &node.value) {
            Some(Value::Map(entries)) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|(name, node)| (name.as_str(), &node.origin))
    }

    /// Whether `key` is there, with a value or without.
    pub(super) fn has(&self, key: &str) -> bool {
        self.node.is_some_and(|node| node.get(key).is_some())
    }

    /// The full path of `key`.
    pub(super) fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Notes what is wrong.
    pub(super) fn note(&self, problem: Problem) {
        self.problems.borrow_mut().push(problem);
    }

    /// A text that may be left empty, which counts as not given.
    pub(super) fn optional(&self, key: &str) -> Option<Field<'a>> {
        let node = self.node?.get(key)?;
        match &node.value {
            Value::Null => None,
            Value::Text(text) if text.is_empty() => None,
            Value::Text(text) => Some(Field { key: self.key(key), text: text.clone(), origin: &node.origin }),
            Value::List(_) | Value::Map(_) => {
                self.note(Problem::new(&self.key(key), "must be a single value, not a list or map").from(&node.origin));
                None
            }
        }
    }

    /// A text that says something if its key is there at all.
    pub(super) fn text(&self, key: &str) -> Option<Field<'a>> {
        let node = self.node?.get(key)?;
        let empty = match &node.value {
            Value::Null => true,
            Value::Text(text) => text.trim().is_empty(),
            Value::List(_) | Value::Map(_) => false,
        };
        if empty {
            let hint = "give it one, or leave the key out";
            self.note(Problem::new(&self.key(key), "has no value").from(&node.origin).hint(hint));
            return None;
        }
        self.optional(key)
    }

    /// A value that `parse` reads; it says what is wrong without quoting the text.
    pub(super) fn parse<T>(&self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.text(key).and_then(|field| self.read(&field, parse))
    }

    /// The same for a field at hand.
    pub(super) fn read<T>(&self, field: &Field<'_>, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        match parse(field.text.trim()) {
            Ok(value) => Some(value),
            Err(message) => {
                self.note(Problem::new(&field.key, message).from(field.origin));
                None
            }
        }
    }

    /// A whole number.
    pub(super) fn number(&self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        self.parse(key, |text| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
        })
    }

    /// `true` or `false`, also `yes`, `on`, `1` and their opposites.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.parse(key, |text| match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Ok(true),
            "false" | "no" | "off" | "0" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        })
    }

    /// A duration with its unit. `zero` says what 0 means; without it, 0 is refused.
    pub(super) fn duration(&self, key: &str, longest: Duration, zero: Zero) -> Option<Duration> {
        let example = "write it with its unit, such as 30s, 200ms or 30m";
        self.parse(key, |text| {
            let duration = match text {
                "0" if zero == Zero::Allowed => Duration::ZERO,
                _ if text.bytes().all(|c| c.is_ascii_digit()) => return Err(format!("must be a duration: {example}")),
                _ => humantime::parse_duration(text).map_err(|_| format!("is not a duration: {example}"))?,
            };
            if duration.is_zero() && zero == Zero::Refused {
                return Err(format!("must be longer than zero: {example}"));
            }
            if duration > longest {
                return Err(format!("is longer than {}", humantime::format_duration(longest)));
            }
            Ok(duration)
        })
    }

    /// A list: one of the file's, or a text with commas, or a text in YAML's brackets.
    pub(super) fn list(&self, key: &str) -> Option<Vec<Field<'a>>> {
        let node = self.node?.get(key)?;
        let found = match &node.value {
            Value::Null => Some(Vec::new()),
            Value::List(items) => texts(items),
            Value::Text(text) if text.trim().starts_with('[') => {
                let parsed = yaml::parse(Path::new(""), &format!("list: {text}"));
                match parsed.as_ref().ok().and_then(|tree| tree.get("list")).map(|node| &node.value) {
                    Some(Value::List(items)) => texts(items),
                    _ => None,
                }
            }
            Value::Text(text) => {
                Some(text.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
            }
            Value::Map(_) => None,
        };
        let Some(found) = found else {
            let message = "must be a list of texts, such as [A, B], or in a variable A,B";
            self.note(Problem::new(&self.key(key), message).from(&node.origin));
            return None;
        };
        let field = |(i, text)| Field { key: format!("{}[{i}]", self.key(key)), text, origin: &node.origin };
        Some(found.into_iter().enumerate().map(field).collect())
    }

    fn refuse_unknown(&self, known: &[&str]) {
        for (name, origin) in self.keys().filter(|(name, _)| !known.contains(name)) {
            self.note(
                Problem::new(&self.key(key_name(name)), "unknown key").from(origin).hint(suggestion(name, known)),
            );
        }
    }
}

fn texts(items: &[Node]) -> Option<Vec<String>> {
    let text = |item: &Node| match &item.value {
        Value::Text(text) => Some(text.clone()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    };
    items.iter().map(text).collect()
}

/// What a duration of zero means for a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    /// Something, such as "no limit".
    Allowed,
    /// Nothing sensible.
    Refused,
}

/// "did you mean ...", or what there is.
pub(super) fn suggestion(name: &str, known: &[&str]) -> String {
    let name = name.to_ascii_lowercase();
    let near = known.iter().map(|known| (strsim::jaro_winkler(&name, known), known));
    match near.max_by(|(one, _), (other, _)| one.total_cmp(other)) {
        Some((likeness, known)) if likeness > 0.8 => format!("did you mean {known}?"),
        _ => format!("known are {}", known.join(", ")),
    }
}
