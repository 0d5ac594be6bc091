use std::borrow::Cow;
use std::hash::{Hash, Hasher};

use data_encoding::HEXLOWER;
use moka::Equivalent;
use sha2::{Digest, Sha256};

use super::error::CacheError;

/// The longest key and the longest tag, in bytes.
const LONGEST: usize = 64 * 1024;
/// The longest that is written as it is; longer ones are their digests.
const WRITTEN: usize = 200;
/// The most tags of an entry.
const TAGS: usize = 64;

/// A key in the process: of which namespace, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntryKey {
    pub(super) namespace: u32,
    pub(super) key: Box<str>,
}

/// The same, borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyRef<'a> {
    pub(super) namespace: u32,
    pub(super) key: &'a str,
}

impl EntryKey {
    pub(super) fn borrowed(&self) -> KeyRef<'_> {
        KeyRef { namespace: self.namespace, key: &self.key }
    }
}

impl KeyRef<'_> {
    pub(super) fn to_owned(self) -> EntryKey {
        EntryKey { namespace: self.namespace, key: self.key.into() }
    }
}

impl Hash for EntryKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.borrowed().hash(state);
    }
}

impl Hash for KeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The number has always four bytes, so that no two are written alike.
        state.write(self.key.as_bytes());
        state.write_u32(self.namespace);
    }
}

impl Equivalent<EntryKey> for KeyRef<'_> {
    fn equivalent(&self, other: &EntryKey) -> bool {
        self.namespace == other.namespace && *self.key == *other.key
    }
}

pub(super) fn check(key: &str) -> Result<(), CacheError> {
    if key.len() <= LONGEST { Ok(()) } else { Err(CacheError::Key { length: key.len(), limit: LONGEST }) }
}

pub(super) fn check_tags(tags: &[&str]) -> Result<(), CacheError> {
    if tags.len() > TAGS {
        return Err(CacheError::Tags("an entry of the cache may have 64 tags at most"));
    }
    if tags.iter().any(|tag| tag.len() > LONGEST) {
        return Err(CacheError::Tags("a tag of the cache may have 65536 bytes at most"));
    }
    Ok(())
}

/// A key or a tag as it is written in Redis and in messages: itself, or its digest if it is long. What looks like a digest
/// is digested too, so that no two are written alike.
pub(super) fn written(text: &str) -> Cow<'_, str> {
    if text.len() <= WRITTEN && !text.starts_with("sha256:") {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(text.as_bytes()))))
}

/// Whether it can be the name of a namespace: it is part of keys in Redis and of metrics.
pub(super) fn is_namespace(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    !name.is_empty() && name.len() <= 64 && name.chars().all(allowed)
}
