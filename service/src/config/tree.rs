//! What the sources say, before anyone asks what it means: text in a tree, each piece with where it came from.
//!
//! Nothing here has a Debug, because the text may be a secret.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::Problem;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A line and column of a file, both from 1.
    File { path: Arc<PathBuf>, line: usize, column: usize },
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line, column } => write!(f, "{}:{line}:{column}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// A value and where it came from.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) value: Value,
}

/// Scalars stay the text they were written as; what type they have is for the key to say. So a password of digits
/// keeps its zeros.
#[derive(Clone)]
pub(super) enum Value {
    /// Nothing: `key:` or `key: null`, or a variable that is empty.
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

impl Node {
    pub(super) const fn new(origin: Origin, value: Value) -> Self {
        Self { origin, value }
    }

    /// The value of `key`, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The value at a path such as `database.url`.
    pub(super) fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |node, key| node.get(key))
    }

    /// Takes `key` out.
    pub(super) fn remove(&mut self, key: &str) {
        if let Value::Map(entries) = &mut self.value {
            entries.retain(|(name, _)| name != key);
        }
    }

    /// Puts `node` at `path`, making maps on the way. Fails with the path that holds something else than a map.
    pub(super) fn insert(&mut self, path: &[&str], node: Self) -> Result<(), String> {
        let Some((first, rest)) = path.split_first() else {
            merge(self, node);
            return Ok(());
        };
        if matches!(self.value, Value::Null) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else {
            return Err(String::new());
        };
        let at = entries.iter().position(|(name, _)| name == first).unwrap_or_else(|| {
            entries.push(((*first).to_owned(), Self::new(node.origin.clone(), Value::Null)));
            entries.len() - 1
        });
        let inner = entries.get_mut(at).map(|(_, inner)| inner.insert(rest, node));
        inner
            .unwrap_or(Ok(()))
            .map_err(|below| if below.is_empty() { (*first).to_owned() } else { format!("{first}.{below}") })
    }
}

/// Lays `over` on top of `base`: maps key by key, anything else is replaced. A section without content changes nothing.
pub(super) fn merge(base: &mut Node, over: Node) {
    match (&mut base.value, over.value) {
        (Value::Map(entries), Value::Map(news)) => {
            for (name, node) in news {
                match entries.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => merge(known, node),
                    None => entries.push((name, node)),
                }
            }
        }
        (Value::Map(_), Value::Null) => {}
        (value, new) => {
            *value = new;
            base.origin = over.origin;
        }
    }
}

/// Merges a later source into `base`. Where it says where a database is, the other way to say so is forgotten: `url`
/// replaces `type` and `dsn`, and the other way round.
pub(super) fn overlay(base: &mut Node, over: Node) {
    let sections = over.get("database").map(|section| (vec!["database"], section));
    let named = match over.get("databases").map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    let named = named.iter().map(|(name, section)| (vec!["databases", name], section));
    for (path, section) in sections.into_iter().chain(named) {
        let replaced: &[&str] = match (section.get("url"), section.get("dsn").or_else(|| section.get("type"))) {
            (Some(_), None) => &["type", "dsn"],
            (None, Some(_)) => &["url"],
            _ => &[],
        };
        if let Some(old) = path.iter().try_fold(&mut *base, |node, key| node.get_mut(key)) {
            replaced.iter().for_each(|key| old.remove(key));
        }
    }
    merge(base, over);
}

impl Node {
    fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Map(entries) => entries.iter_mut().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }
}

/// Both ways to say where a database is, in one source: nobody can know which was meant.
pub(super) fn contradictions(source: &Node) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut check = |path: String, section: &Node| {
        for other in ["dsn", "type"] {
            if let (Some(_), Some(node)) = (section.get("url"), section.get(other)) {
                found.push(
                    Problem::new(&format!("{path}.url"), "contradict each other: each says which database it is")
                        .and(&format!("{path}.{other}"))
                        .from(&node.origin)
                        .hint("keep the url, or type and dsn"),
                );
                break;
            }
        }
    };
    if let Some(section) = source.get("database") {
        check("database".to_owned(), section);
    }
    if let Some(Value::Map(entries)) = source.get("databases").map(|node| &node.value) {
        for (name, section) in entries {
            check(format!("databases.{}", super::error::key_name(name)), section);
        }
    }
    found
}
