//! Where a SQLite database is.

use std::fmt;
use std::path::Path;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::InvalidUrl;
use super::parts;
use crate::config::DEFAULT_DATABASE;

/// What sqlx would take for something else than a part of the path.
const IN_PATH: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#');

const MEMORY: &str = ":memory:";
const KNOWN: &[&str] = &["mode", "cache", "immutable", "vfs"];

/// A file, decoded, or memory, with sqlx's parameters.
#[derive(Clone)]
pub(super) struct Location {
    file: Option<String>,
    parameters: Vec<(String, String)>,
}

impl Default for Location {
    fn default() -> Self {
        Self { file: Some(DEFAULT_DATABASE.to_owned()), parameters: Vec::new() }
    }
}

impl Location {
    /// A path, taken as it is.
    pub(super) fn of_path(path: &str) -> Result<Self, InvalidUrl> {
        if path.is_empty() {
            return Err(InvalidUrl::new("names no file: sqlite://data/stanchion.db, or sqlite::memory: for none"));
        }
        if path.chars().any(char::is_control) {
            return Err(InvalidUrl::new("holds a control character, such as a line break"));
        }
        if path.ends_with('/') {
            return Err(InvalidUrl::new("names a folder; a SQLite database is a file"));
        }
        let mut path = path;
        while let Some(rest) = path.strip_prefix("./") {
            path = rest.trim_start_matches('/');
        }
        Ok(Self { file: Some(path.to_owned()), parameters: Vec::new() })
    }

    /// The `dsn` of `type: sqlite`: a path or `:memory:`.
    pub(super) fn of_dsn(dsn: &str) -> Result<Self, InvalidUrl> {
        if dsn == MEMORY {
            return Ok(Self { file: None, parameters: Vec::new() });
        }
        if dsn.starts_with("file:") || dsn.contains('?') {
            return Err(InvalidUrl::new("is not the path of a file; with parameters, write sqlite://path?mode=rwc"));
        }
        let of_a_server = dsn.contains("://")
            || dsn.to_ascii_lowercase().contains("password")
            || dsn.split_once(':').is_some_and(|(_, rest)| rest.contains('@'));
        if of_a_server {
            // Taken for a path it would be shown, and its password with it.
            return Err(InvalidUrl::new("looks like the address of a server, but the type given is sqlite"));
        }
        Self::of_path(dsn)
    }

    /// `sqlite:` and what follows.
    pub(super) fn of_url(text: &str) -> Result<Self, InvalidUrl> {
        let rest = text.split_once(':').map_or("", |(_, rest)| rest);
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
        if rest.contains('#') {
            return Err(InvalidUrl::new("has a #, which is written %23 in a URL"));
        }
        let parameters = parts::query(query)?;
        for (name, value) in &parameters {
            check(name, value)?;
        }
        let in_memory = path == MEMORY || parameters.iter().any(|(name, value)| name == "mode" && value == "memory");
        if in_memory {
            let parameters = parameters.into_iter().filter(|(name, _)| name != "mode").collect();
            return Ok(Self { file: None, parameters });
        }
        let location = Self::of_path(&parts::decode(path, "the path")?)?;
        Ok(Self { parameters, ..location })
    }

    /// The file, unless the database is in memory.
    pub(super) fn path(&self) -> Option<&Path> {
        self.file.as_deref().map(Path::new)
    }
}

fn check(name: &str, value: &str) -> Result<(), InvalidUrl> {
    let expected: &[&str] = match name {
        "mode" => &["ro", "rw", "rwc", "memory"],
        "cache" => &["private", "shared"],
        "immutable" => &["true", "false", "1", "0"],
        "vfs" => return Ok(()),
        _ => return Err(parts::unknown_parameter(name, KNOWN)),
    };
    if expected.contains(&value) {
        return Ok(());
    }
    Err(InvalidUrl::new(format!("has a {name} that is none of {}", expected.join(", "))))
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = match &self.file {
            None => format!("sqlite:{MEMORY}"),
            Some(path) => format!("sqlite://{}", utf8_percent_encode(path, IN_PATH)),
        };
        parts::write_query(&mut url, &self.parameters);
        f.write_str(&url)
    }
}
