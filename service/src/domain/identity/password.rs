use std::fmt;
use std::sync::{Arc, LazyLock};

use aes_gcm::aead::Generate;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use crate::Error;
use crate::types::{Problem, Secret, ValueError};

/// The fewest characters of a password that is set, and the most of any: the rules of
/// [OWASP](https://cheatsheetseries.owasp.org/cheatsheets/Authentication_Cheat_Sheet.html#implement-proper-password-strength-controls),
/// which asks for no mixture of kinds of characters.
pub const SHORTEST_PASSWORD: usize = 8;
/// See [`SHORTEST_PASSWORD`].
pub const LONGEST_PASSWORD: usize = 128;

const COLUMN: &str = "users.password_hash";

/// What a hash costs, as
/// [OWASP](https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id) recommends at least:
/// 19 MiB, two passes, one lane. Raise it, and users who log in are hashed anew.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// A hash of no password, with the parameters above: checking against it takes as long as against a user's.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password as a user typed it: wiped from memory when dropped, and not shown in Debug. Letters that can be written in
/// two ways (é) count as the same.
#[derive(Clone)]
pub struct Password(SecretString);

impl TryFrom<&str> for Password {
    type Error = ValueError;

    /// A password to log in with, of at most [`LONGEST_PASSWORD`] characters.
    fn try_from(text: &str) -> Result<Self, ValueError> {
        // More bytes than that are too many characters, and not worth the work of normalizing them.
        let actual = if text.len() > LONGEST_PASSWORD * 16 { text.len() } else { text.nfc().count() };
        if actual > LONGEST_PASSWORD {
            return Err(ValueError::at(COLUMN, Problem::TooLong { limit: LONGEST_PASSWORD, actual }));
        }
        Ok(Self(text.nfc().collect::<String>().into()))
    }
}

impl std::str::FromStr for Password {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.try_into()
    }
}

impl Password {
    /// Itself, if it is long enough to be set.
    pub(super) fn long_enough(&self) -> Result<(), Error> {
        match self.0.expose_secret().chars().count() {
            0..SHORTEST_PASSWORD => {
                Err(Error::Invalid(format!("a password has {SHORTEST_PASSWORD} characters or more")))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What checking a password found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Another password, or none.
    Wrong,
    /// The right one.
    Right,
    /// The right one, hashed with less work than is asked for now.
    Outdated,
}

/// Hashes a password. Takes some tens of milliseconds of a thread made for such work.
pub(super) async fn hash(password: &Password) -> Result<Secret<255>, Error> {
    let password = password.clone();
    aside(move || {
        let salt = <[u8; argon2::RECOMMENDED_SALT_LEN]>::try_generate().map_err(Error::other)?;
        let hash = hasher()?.hash_password_with_salt(password.0.expose_secret().as_bytes(), &salt);
        Ok(Secret::try_from(hash.map_err(Error::other)?.to_string())?)
    })
    .await
}

/// Checks a password against a hash; where there is none, in the same time, it is wrong.
pub(super) async fn check(password: &Password, hash: Option<&Secret<255>>) -> Result<Check, Error> {
    let password = password.clone();
    let (hash, known) = (hash.map_or(NOBODY, Secret::expose).to_owned(), hash.is_some());
    aside(move || {
        // What is stored and no hash lets nobody in, like a wrong password.
        let Ok(hash) = PasswordHash::new(&hash) else { return Ok(Check::Wrong) };
        let right = Argon2::default().verify_password(password.0.expose_secret().as_bytes(), &hash).is_ok();
        Ok(match right && known {
            false => Check::Wrong,
            true if is_current(&hash) => Check::Right,
            true => Check::Outdated,
        })
    })
    .await
}

fn hasher() -> Result<Argon2<'static>, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(Error::other)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Whether a hash took as much work as is asked for now, or more.
fn is_current(hash: &PasswordHash) -> bool {
    let params = Params::try_from(hash);
    let strong = params.is_ok_and(|params| params.m_cost() >= MEMORY_KIB && params.t_cost() >= PASSES);
    strong && hash.algorithm.as_str() == Algorithm::Argon2id.as_str() && hash.version == Some(Version::V0x13.into())
}

/// Runs such work on a thread for it, as much at once as there are processors: each takes all of one, and its memory.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    static PROCESSORS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
        Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(2, std::num::NonZero::get)))
    });

    let permit = Arc::clone(&PROCESSORS).acquire_owned().await.map_err(Error::other)?;
    let done = tokio::task::spawn_blocking(move || {
        // Held to the end of the work, also when nobody waits for it any more.
        let _permit = permit;
        work()
    });
    done.await.map_err(Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_checked_with_the_parameters_of_today() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        assert!(is_current(&nobody));
        let params = Params::try_from(&nobody).unwrap();
        assert_eq!((params.m_cost(), params.t_cost(), params.p_cost()), (MEMORY_KIB, PASSES, LANES));
        assert_eq!(nobody.hash.map(|hash| hash.as_bytes().len()), Some(32));
    }

    #[test]
    fn a_password_has_8_to_128_characters_and_any_of_them() {
        let password = |text: &str| text.parse::<Password>();
        assert!(password("🔑🔑🔑🔑🔑🔑🔑🔑").unwrap().long_enough().is_ok());
        assert!(password("1234567").unwrap().long_enough().is_err());
        assert!(password(&"é".repeat(128)).is_ok());
        // Two characters each, until they are put together.
        assert!(password(&"e\u{301}".repeat(128)).is_ok());
        for length in [129, 10_000, 1_000_000] {
            assert!(password(&"x".repeat(length)).is_err());
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(format!("{:?}", "hunter2hunter2".parse::<Password>().unwrap()), "***");
    }
}
