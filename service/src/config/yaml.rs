//! YAML into a tree of text.
//!
//! A parser of events is used instead of a deserializer, because a deserializer has decided what a scalar is before
//! anyone knows what its key wants: `0123` would be a number, and no password any more. The traps of YAML end here:
//! duplicate keys, several documents and tags are errors, and aliases may not grow a file beyond [`MAX_NODES`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, Span, Tag};

use super::error::{ConfigError, key_name};
use super::tree::{Node, Origin, Value};

/// The most values a configuration may have, those of its aliases included.
const MAX_NODES: usize = 10_000;
/// The deepest a value may lie.
const MAX_DEPTH: usize = 32;

/// Reads one document. An empty one, or one of comments alone, is an empty map.
pub(super) fn parse(path: &Path, text: &str) -> Result<Node, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let path = Arc::new(path.to_owned());
    let mut builder =
        Builder { path: Arc::clone(&path), open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    let mut options = Options::default();
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    options.set_emit_comments(false);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let mark = error.marker();
            // The parser's messages are fixed texts that quote nothing but a bracket or a character.
            let mut reason = error.info();
            if is_about_tabs(error.kind()) {
                reason.push_str("; indent with spaces");
            }
            syntax(&path, mark.line(), mark.col() + 1, reason)
        })?;
        builder.take(event, &span)?;
    }
    let root = builder.root.unwrap_or_else(|| builder_root(&path));
    match root.value {
        Value::Map(_) => Ok(root),
        Value::Null => Ok(builder_root(&path)),
        Value::List(_) | Value::Text(_) => {
            let reason = "the file is not a map of keys and values, such as `database: {url: ...}`";
            Err(at(&root.origin, reason.to_owned()))
        }
    }
}

fn builder_root(path: &Arc<PathBuf>) -> Node {
    Node::new(Origin::File { path: Arc::clone(path), line: 1, column: 1 }, Value::Map(Vec::new()))
}

const fn is_about_tabs(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabAtBlockScalarStart
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
    )
}

fn syntax(path: &Path, line: usize, column: usize, reason: String) -> ConfigError {
    ConfigError::Syntax { path: path.to_owned(), line, column, reason }
}

fn at(origin: &Origin, reason: String) -> ConfigError {
    match origin {
        Origin::File { path, line, column } => syntax(path, *line, *column, reason),
        Origin::Variable(name) => syntax(Path::new(name), 1, 1, reason),
    }
}

/// A collection whose end has not come yet.
struct Open {
    anchor: usize,
    origin: Origin,
    kind: Kind,
}

enum Kind {
    List(Vec<Node>),
    /// The entries, and the key whose value comes next.
    Map(Vec<(String, Node)>, Option<(String, Origin)>),
}

struct Builder {
    path: Arc<PathBuf>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), ConfigError> {
        let origin =
            Origin::File { path: Arc::clone(&self.path), line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(at(&origin, "a second document starts here; a configuration is one".to_owned()))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let forced = check_tag(tag.as_deref(), &origin)?;
                let plain = style == ScalarStyle::Plain && !forced;
                let value = if plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
                    Value::Null
                } else {
                    Value::Text(text.into_owned())
                };
                self.add(Node::new(origin, value), anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), &origin)?;
                self.open.push(Open { anchor, origin, kind: Kind::List(Vec::new()) });
                Ok(())
            }
            Event::MappingStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), &origin)?;
                self.open.push(Open { anchor, origin, kind: Kind::Map(Vec::new(), None) });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).cloned();
                let (node, size) =
                    target.ok_or_else(|| at(&origin, "this alias refers to what it is a part of".to_owned()))?;
                self.add(node, 0, size)
            }
            _ => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), ConfigError> {
        let Some(Open { anchor, origin, kind }) = self.open.pop() else {
            return Ok(());
        };
        let value = match kind {
            Kind::List(items) => Value::List(items),
            Kind::Map(entries, _) => Value::Map(entries),
        };
        self.add(Node::new(origin, value), anchor, 1)
    }

    /// Puts a finished value into the innermost open collection; `size` is how many values it counts for.
    fn add(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), ConfigError> {
        self.nodes += size;
        if self.nodes > MAX_NODES {
            let reason = format!("the file has more than {MAX_NODES} values, those of its aliases included");
            return Err(at(&node.origin, reason));
        }
        if anchor != 0 {
            let size = count(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(Kind::List(items)) => items.push(node),
            Some(Kind::Map(entries, pending)) => match pending.take() {
                // The place of the key: that of a section's content would be a line below it.
                Some((key, origin)) => entries.push((key, Node { origin, ..node })),
                None => {
                    let Value::Text(key) = node.value else {
                        return Err(at(&node.origin, "a key is a name, not a list, a map or nothing".to_owned()));
                    };
                    if key == "<<" {
                        let reason = "merge keys (<<) are not supported; the databases take over what `database` says";
                        return Err(at(&node.origin, reason.to_owned()));
                    }
                    if let Some((_, first)) = entries.iter().find(|(known, _)| *known == key) {
                        let reason = format!("the key {} is given twice, first for {}", key_name(&key), first.origin);
                        return Err(at(&node.origin, reason));
                    }
                    *pending = Some((key, node.origin));
                }
            },
        }
        Ok(())
    }
}

fn count(node: &Node) -> usize {
    match &node.value {
        Value::Null | Value::Text(_) => 1,
        Value::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|(_, node)| count(node)).sum::<usize>(),
    }
}

/// Whether the tag makes the scalar text whatever it looks like. The other tags of YAML's core say nothing here, where
/// the key decides; tags of an application are refused.
fn check_tag(tag: Option<&Tag>, origin: &Origin) -> Result<bool, ConfigError> {
    match tag {
        None => Ok(false),
        Some(tag) if tag.is_yaml_core_schema() => Ok(tag.suffix() == "str"),
        Some(_) => {
            Err(at(origin, "tags (!) are not supported; put the value in quotes if it starts with !".to_owned()))
        }
    }
}
