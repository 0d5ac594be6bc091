//! The keys that secrets in tables are encrypted with.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use secrecy::{ExposeSecret, SecretBox};
use serde::{Serialize, Serializer};

use super::error::{Problem, key_name};
use super::secret::HIDDEN;
use super::section::Section;

/// The longest id of a key, in characters.
const ID_LENGTH: usize = 32;

/// The keys that secrets in tables, such as the numbers of identity cards, are encrypted with. Without an active one, none
/// can be stored; everything else works.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Encryption {
    /// The id of the key that encrypts: one of `keys`. Default none.
    pub active: Option<String>,
    /// The keys that decrypt, by their ids of up to 32 lower-case letters, digits, _ and -. One that is not active any more
    /// stays here until nothing is encrypted with it. Default none.
    pub keys: BTreeMap<String, EncryptionKey>,
}

impl Encryption {
    /// The keys of `encryption`.
    pub(super) const KEYS: &'static [&'static str] = &["active", "keys"];

    pub(super) fn read(section: &Section<'_>) -> Self {
        let active = section.optional("active");
        let active = active.and_then(|field| section.read(&field, |text| valid_id(text).map(str::to_owned)));
        let given = section.open("keys");
        let mut keys = BTreeMap::new();
        for (id, origin) in given.keys() {
            if let Err(message) = valid_id(id) {
                given.note(Problem::new(&given.key(key_name(id)), message).from(origin));
                continue;
            }
            keys.extend(given.parse(id, str::parse).map(|key| (id.to_owned(), key)));
        }
        Self { active, keys }
    }

    /// What is wrong with it as a whole.
    pub(super) fn problem(&self) -> Option<Problem> {
        match &self.active {
            None if self.keys.is_empty() => None,
            None => {
                let problem =
                    Problem::new("encryption.active", "is missing, and there are keys").and("encryption.keys");
                Some(problem.hint("name the key that encrypts"))
            }
            Some(id) if self.keys.contains_key(id) => None,
            Some(id) => {
                let key = format!("encryption.keys.{}", key_name(id));
                let problem = Problem::new("encryption.active", "the first names the second, which is missing");
                Some(problem.and(&key).hint("make one with `openssl rand -base64 32`"))
            }
        }
    }
}

fn valid_id(id: &str) -> Result<&str, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let valid = !id.is_empty() && id.len() <= ID_LENGTH && id.chars().all(allowed);
    valid.then_some(id).ok_or_else(|| {
        format!("must be the id of a key: up to {ID_LENGTH} lower-case letters, digits, _ and -, such as 2026")
    })
}

/// A key of 32 bytes, written in base64: wiped from memory when dropped, `***` in Debug and Serialize.
pub struct EncryptionKey(SecretBox<[u8; 32]>);

impl EncryptionKey {
    /// The key itself. Keep it out of logs, errors and metrics.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl From<[u8; 32]> for EncryptionKey {
    fn from(key: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(key)))
    }
}

impl FromStr for EncryptionKey {
    type Err = String;

    /// The error says what is expected, and nothing of the text.
    fn from_str(text: &str) -> Result<Self, String> {
        let hint = "make one with `openssl rand -base64 32`";
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| format!("must be base64: {hint}"))?;
        let length = bytes.len();
        let key: [u8; 32] = bytes.try_into().map_err(|_| format!("must be 32 bytes, not {length}: {hint}"))?;
        Ok(key.into())
    }
}

impl Clone for EncryptionKey {
    fn clone(&self) -> Self {
        Self::from(*self.expose())
    }
}

impl PartialEq for EncryptionKey {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for EncryptionKey {}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Serialize for EncryptionKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(HIDDEN)
    }
}
