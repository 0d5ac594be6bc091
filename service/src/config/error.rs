//! What is wrong with a configuration.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::Utf8Error;

use serde::Serialize;

use super::tree::Origin;

/// Why there is no configuration. No message holds a value from it, only keys and places, so none can hold a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file that was named does not exist.
    #[error("the configuration file {} does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is longer than any configuration.
    #[error("the configuration file {} is longer than {limit} bytes", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The most that is read, in bytes.
        limit: u64,
    },
    /// The file is not UTF-8.
    #[error("the configuration file {} is not UTF-8: line {line} holds other bytes", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was found.
        source: Utf8Error,
    },
    /// The file is not YAML, or YAML that a configuration is not written in.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, in characters from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
    /// The configuration was read, and cannot be meant.
    #[error("{}", Listed(.0))]
    Invalid(Vec<Problem>),
}

impl ConfigError {
    /// What is wrong with single keys; empty if the file could not be read at all.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Invalid(problems) => problems,
            _ => &[],
        }
    }
}

struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [only] => write!(f, "invalid configuration: {only}"),
            problems => {
                write!(f, "invalid configuration, {} problems:", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

/// One thing that is wrong with a configuration: which keys, where they were set, what is wrong and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// The full paths of the keys, such as `database.max_open_conns`.
    pub keys: Vec<String>,
    /// Where they were set: `stanchion.yaml:4:3` or the name of a variable; empty for a key that is missing.
    pub origins: Vec<String>,
    /// What is wrong, to be read after the keys.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub(super) fn new(key: &str, message: impl Into<String>) -> Self {
        Self { keys: vec![key.to_owned()], origins: Vec::new(), message: message.into(), hint: None }
    }

    /// Names a further key.
    pub(super) fn and(mut self, key: &str) -> Self {
        self.keys.push(key.to_owned());
        self
    }

    pub(super) fn from(mut self, origin: &Origin) -> Self {
        let origin = origin.to_string();
        if !self.origins.contains(&origin) {
            self.origins.push(origin);
        }
        self
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keys.join(" and "))?;
        if !self.origins.is_empty() {
            write!(f, " ({})", self.origins.join(", "))?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

/// A key as an error may repeat it. One that does not look like a key may be a value that slipped into its place, such
/// as the URL in `{url postgres://...}`.
pub(super) fn key_name(key: &str) -> &str {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.len() <= 40 && key.chars().all(allowed) { key } else { "(not a name)" }
}
