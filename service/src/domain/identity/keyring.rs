use std::collections::BTreeMap;
use std::fmt;

use aes_gcm::aead::{Aead, Generate, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use data_encoding::BASE64URL_NOPAD;

/// What every sealed text starts with: how it is made.
const VERSION: &str = "v1";
/// Bytes of a nonce.
const NONCE: usize = 12;

type Nonce = [u8; NONCE];

/// The keys that secrets of rows are sealed with: one that seals, and all that open.
///
/// A sealed text is `v1.KEY.NONCE.CIPHERTEXT`: the id of its key, and the last two in base64url. The cipher is AES-256-GCM
/// with a nonce from the operating system's randomness, so a key is good for 2^32 texts
/// ([NIST SP 800-38D, 8.3](https://doi.org/10.6028/NIST.SP.800-38D)). Where a text belongs is authenticated with it: one
/// that was copied to another place does not open there.
#[derive(Default)]
pub struct Keyring {
    active: Option<String>,
    keys: BTreeMap<String, Aes256Gcm>,
}

/// Why a secret cannot be sealed or opened. No message holds any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// Nothing was configured to seal with.
    #[error("no encryption key is configured: set encryption.active and encryption.keys")]
    NoKey,
    /// It was sealed with a key that is not there.
    #[error("the encryption key `{id}` is not configured: add it to encryption.keys")]
    UnknownKey {
        /// The key's id.
        id: String,
    },
    /// It was changed, cut off or copied from another row, or the key of this id was another one.
    #[error(
        "an encrypted value cannot be decrypted: it is damaged, or was written for another row or with another key"
    )]
    Damaged,
    /// The operating system has no randomness.
    #[error("the operating system gives no random numbers")]
    NoRandomness,
}

impl Keyring {
    /// Keys by their ids, of which `active` seals. Without one, nothing can be sealed.
    ///
    /// # Errors
    /// [`KeyringError::UnknownKey`] when the active one is not among them.
    pub fn new<'k>(
        active: Option<&str>,
        keys: impl IntoIterator<Item = (&'k str, &'k [u8; 32])>,
    ) -> Result<Self, KeyringError> {
        let keys: BTreeMap<String, Aes256Gcm> =
            keys.into_iter().map(|(id, key)| (id.to_owned(), Aes256Gcm::new(key.into()))).collect();
        match active {
            Some(id) if !keys.contains_key(id) => Err(KeyringError::UnknownKey { id: id.to_owned() }),
            active => Ok(Self { active: active.map(str::to_owned), keys }),
        }
    }

    /// The id of the key that seals.
    pub fn active(&self) -> Option<&str> {
        self.active.as_deref()
    }

    /// Seals a secret for the place that `context` names. The same secret is another text every time.
    ///
    /// # Errors
    /// [`KeyringError::NoKey`], [`KeyringError::NoRandomness`].
    pub fn seal(&self, secret: &str, context: &[u8]) -> Result<String, KeyringError> {
        let id = self.active.as_deref().ok_or(KeyringError::NoKey)?;
        let cipher = self.keys.get(id).ok_or(KeyringError::NoKey)?;
        let nonce = Nonce::try_generate().map_err(|_| KeyringError::NoRandomness)?;
        let payload = Payload { msg: secret.as_bytes(), aad: context };
        // It fails for texts of tens of gigabytes alone.
        let sealed = cipher.encrypt(&nonce.into(), payload).map_err(|_| KeyringError::Damaged)?;
        Ok(format!("{VERSION}.{id}.{}.{}", BASE64URL_NOPAD.encode(&nonce), BASE64URL_NOPAD.encode(&sealed)))
    }

    /// Opens what was sealed for the place that `context` names.
    ///
    /// # Errors
    /// [`KeyringError::UnknownKey`], [`KeyringError::Damaged`].
    pub fn open(&self, sealed: &str, context: &[u8]) -> Result<String, KeyringError> {
        let parts = Parts::of(sealed).ok_or(KeyringError::Damaged)?;
        let unknown = || KeyringError::UnknownKey { id: parts.key.to_owned() };
        let cipher = self.keys.get(parts.key).ok_or_else(unknown)?;
        let payload = Payload { msg: &parts.ciphertext, aad: context };
        let opened = cipher.decrypt(&parts.nonce.into(), payload).map_err(|_| KeyringError::Damaged)?;
        String::from_utf8(opened).map_err(|_| KeyringError::Damaged)
    }

    /// Whether this was sealed with the key that seals now.
    pub fn is_current(&self, sealed: &str) -> bool {
        self.active.is_some() && Parts::of(sealed).map(|parts| parts.key) == self.active.as_deref()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&String> = self.keys.keys().collect();
        f.debug_struct("Keyring").field("active", &self.active).field("keys", &keys).finish()
    }
}

struct Parts<'t> {
    key: &'t str,
    nonce: Nonce,
    ciphertext: Vec<u8>,
}

impl<'t> Parts<'t> {
    fn of(sealed: &'t str) -> Option<Self> {
        let mut parts = sealed.split('.');
        let (version, key, nonce, ciphertext) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version != VERSION || parts.next().is_some() || !looks_like_an_id(key) {
            return None;
        }
        let nonce = BASE64URL_NOPAD.decode(nonce.as_bytes()).ok()?.try_into().ok()?;
        Some(Self { key, nonce, ciphertext: BASE64URL_NOPAD.decode(ciphertext.as_bytes()).ok()? })
    }
}

/// An id goes into an error, so a damaged text must not pass for one.
fn looks_like_an_id(key: &str) -> bool {
    key.len() <= 32 && key.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(active: &str, keys: &[(&str, u8)]) -> Keyring {
        let keys: Vec<(&str, [u8; 32])> = keys.iter().map(|(id, byte)| (*id, [*byte; 32])).collect();
        Keyring::new(Some(active), keys.iter().map(|(id, key)| (*id, key))).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place_alone() {
        let ring = ring("2026", &[("2026", 1)]);
        let sealed = ring.seal("310101199001011234", b"ann").unwrap();
        assert_eq!(ring.open(&sealed, b"ann").unwrap(), "310101199001011234");
        assert_eq!(ring.open(&sealed, b"bob"), Err(KeyringError::Damaged));
        assert_ne!(ring.seal("310101199001011234", b"ann").unwrap(), sealed);
        assert!(sealed.starts_with("v1.2026.") && !sealed.contains("3101"), "{sealed}");
    }

    #[test]
    fn every_key_opens_and_one_seals() {
        let old = ring("2025", &[("2025", 1)]).seal("x", b"").unwrap();
        let both = ring("2026", &[("2025", 1), ("2026", 2)]);
        assert_eq!(both.open(&old, b"").unwrap(), "x");
        assert!(!both.is_current(&old));
        let new = both.seal("x", b"").unwrap();
        assert!(both.is_current(&new));
        let unknown = KeyringError::UnknownKey { id: "2025".to_owned() };
        assert_eq!(ring("2026", &[("2026", 2)]).open(&old, b""), Err(unknown));
        assert_eq!(ring("2025", &[("2025", 9)]).open(&old, b""), Err(KeyringError::Damaged));
    }

    #[test]
    fn without_a_key_nothing_is_sealed() {
        let error = Keyring::default().seal("x", b"").unwrap_err();
        assert_eq!(error, KeyringError::NoKey);
        assert!(error.to_string().contains("encryption.active"));
        assert!(Keyring::new(Some("2026"), []).is_err());
    }

    #[test]
    fn any_change_of_a_sealed_text_is_noticed() {
        let ring = ring("k", &[("k", 1)]);
        let sealed = ring.seal("secret", b"").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(ring.open(&changed, b"").is_err(), "{changed}");
            assert!(ring.open(&sealed[..at], b"").is_err());
        }
        for nonsense in ["", "v1", "v1.k..", "v2.k.AAAA.AAAA", "310101199001011234", "v1.k.a.b.c", "....", "é"] {
            assert_eq!(ring.open(nonsense, b""), Err(KeyringError::Damaged), "{nonsense}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", ring("2026", &[("2026", 7)]));
        assert_eq!(shown, r#"Keyring { active: Some("2026"), keys: ["2026"] }"#);
    }
}
