//! What the environment says, as trees like the file's.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::error::{Problem, key_name};
use super::tree::{Node, Origin, Value};
use super::url::DatabaseUrl;

/// What the name of a variable that stands for a key starts with; `__` then separates the keys.
const PREFIX: &str = "STANCHION__";
const DATABASE_URL: &str = "DATABASE_URL";
const REDIS_URL: &str = "REDIS_URL";
const HOSTNAME: &str = "HOSTNAME";

/// The environment, sorted into what it says.
pub(super) struct Environment {
    /// `DATABASE_URL` and `REDIS_URL`.
    pub(super) plain: Node,
    /// The `STANCHION__` variables.
    pub(super) prefixed: Node,
    /// `REDIS_URL` again, for the locks.
    pub(super) redis: Option<Node>,
    /// The name of the machine, as containers are told it.
    pub(super) host: Option<String>,
    /// The names of the variables that were used.
    pub(super) used: Vec<String>,
}

/// Reads all variables that are ours; others are not looked at.
pub(super) fn read(variables: Vec<(OsString, OsString)>, problems: &mut Vec<Problem>) -> Environment {
    let empty = || Node::new(Origin::Variable(String::new()), Value::Map(Vec::new()));
    let mut environment = Environment { plain: empty(), prefixed: empty(), redis: None, host: None, used: Vec::new() };
    let variables = ours(variables, problems);
    for (name, value) in &variables {
        let node = |value| Node::new(Origin::Variable(name.clone()), value);
        let text = if value.is_empty() { node(Value::Null) } else { node(Value::Text(value.clone())) };
        match name.as_str() {
            HOSTNAME => {
                environment.host = Some(value.clone());
                continue;
            }
            DATABASE_URL => put(&mut environment.plain, &["database", "url"], text, problems),
            REDIS_URL if value.is_empty() => continue,
            REDIS_URL => {
                environment.redis = Some(text.clone());
                put(&mut environment.plain, &["cache", "redis"], text, problems);
            }
            _ => {
                let path = name.strip_prefix(PREFIX).unwrap_or_default().to_ascii_lowercase();
                let path: Vec<&str> = path.split("__").collect();
                if let Some(earlier) = path.iter().try_fold(&environment.prefixed, |node, key| node.get(key)) {
                    let problem = Problem::new(&path.join("."), "is set by two variables that differ in case alone");
                    problems.push(problem.from(&earlier.origin).from(&text.origin));
                } else {
                    put(&mut environment.prefixed, &path, text, problems);
                }
            }
        }
        environment.used.push(name.clone());
    }
    contradictions(&environment, problems);
    environment
}

/// The variables that mean something here, sorted by name.
fn ours(variables: Vec<(OsString, OsString)>, problems: &mut Vec<Problem>) -> BTreeMap<String, String> {
    let mut ours = BTreeMap::new();
    for (name, value) in variables {
        let lossy = name.to_string_lossy();
        if !(lossy.starts_with(PREFIX) || [DATABASE_URL, REDIS_URL, HOSTNAME].contains(&&*lossy)) {
            continue;
        }
        let keys = lossy.strip_prefix(PREFIX).unwrap_or(&lossy);
        let shown = format!("{}{}", if keys == lossy { "" } else { PREFIX }, key_name(keys));
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) if keys_are_names(&name) => {
                ours.insert(name, value);
            }
            (Ok(_), Ok(_)) => problems.push(
                Problem::new(&shown, "is not the name of a key")
                    .hint("write a key's path in capitals with __ between, such as STANCHION__DATABASE__URL"),
            ),
            (_, Err(_)) if shown == HOSTNAME => {}
            _ => problems.push(Problem::new(&shown, "is not UTF-8")),
        }
    }
    ours
}

fn keys_are_names(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_none_or(|keys| keys.split("__").all(|key| key_name(key) == key))
}

fn put(tree: &mut Node, path: &[&str], node: Node, problems: &mut Vec<Problem>) {
    let origin = node.origin.clone();
    if let Err(outer) = tree.insert(path, node) {
        let message = format!("contradicts the variable that sets {outer} as a whole");
        problems.push(Problem::new(&path.join("."), message).from(&origin));
    }
}

/// `DATABASE_URL` beside a variable that names another database: neither is more right than the other.
fn contradictions(environment: &Environment, problems: &mut Vec<Problem>) {
    let Some(plain) = environment.plain.at("database.url") else {
        return;
    };
    for key in ["database.url", "database.dsn", "database.type"] {
        let Some(prefixed) = environment.prefixed.at(key) else {
            continue;
        };
        if key == "database.url" && same(plain, prefixed) {
            continue;
        }
        problems.push(
            Problem::new(key, "is set by two variables that differ")
                .from(&plain.origin)
                .from(&prefixed.origin)
                .hint("unset one of them"),
        );
        return;
    }
}

fn same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::Text(one), Value::Text(other)) => {
            let parsed = |text: &str| text.parse::<DatabaseUrl>().ok();
            one.trim() == other.trim() || parsed(one).is_some_and(|url| Some(url) == parsed(other))
        }
        (Value::Null, Value::Null) => true,
        _ => false,
    }
}
