use serde::{Deserialize, Serialize};

use super::key;

/// What is to be invalidated.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Target {
    /// One key.
    Key {
        /// Of this namespace.
        namespace: String,
        /// The key.
        key: String,
    },
    /// All entries that name a tag.
    Tag(String),
    /// All entries of a namespace.
    Namespace(String),
    /// Everything under the cache's prefix.
    All,
}

impl Target {
    /// A key of a namespace.
    pub fn key(namespace: impl Into<String>, key: impl Into<String>) -> Self {
        Self::Key { namespace: namespace.into(), key: key.into() }
    }

    /// A tag.
    pub fn tag(tag: impl Into<String>) -> Self {
        Self::Tag(tag.into())
    }

    /// A namespace.
    pub fn namespace(namespace: impl Into<String>) -> Self {
        Self::Namespace(namespace.into())
    }
}

/// How far an invalidation has come. On this instance it holds in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Redis has it, or there is none. Nothing that a load brings which begins from now on, on any instance, is from before;
    /// if it was a master that had been replaced and did not know it, from when this instance hears of that. What other
    /// instances have read goes when they hear of it, at the latest after
    /// [`max_staleness`](super::CacheOptions::max_staleness): values in the process, and of a tag or a namespace also that
    /// Redis's values of it count.
    Everywhere,
    /// Redis could not be told and is as soon as it answers; until then this instance reads nothing from it, and others may
    /// read what was before.
    Later,
}

impl Target {
    /// With its key or tag as it is written in Redis and in messages.
    pub(super) fn written(self) -> Self {
        match self {
            Self::Key { namespace, key } => Self::Key { namespace, key: key::written(&key).into_owned() },
            Self::Tag(tag) => Self::Tag(key::written(&tag).into_owned()),
            target => target,
        }
    }
}

/// What an instance announces to the others.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Message {
    /// Which instance.
    pub(super) origin: u64,
    /// As they are written.
    pub(super) targets: Vec<Target>,
}

impl Message {
    pub(super) fn written(&self) -> String {
        // Texts and numbers can be written; what cannot be read is taken for a gap.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A message as it comes: its number, and what it says if that can be read.
    pub(super) fn read(payload: &[u8]) -> Option<(u64, Self)> {
        let at = payload.iter().position(|byte| *byte == b'|')?;
        let number = std::str::from_utf8(&payload[..at]).ok()?.parse().ok()?;
        Some((number, serde_json::from_slice(&payload[at + 1..]).ok()?))
    }
}
