use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use uuid::Uuid;

/// The longest name, in characters, as the tables hold it.
const LONGEST: usize = 200;

/// What a lock is called: 1 to 200 characters, not all blank, none of them a control character. Names differ by case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockName(Arc<str>);

/// A text that is no name of a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a lock must have 1 to {LONGEST} characters, not all blank, and no control characters")]
pub struct InvalidName;

impl LockName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for LockName {
    type Error = InvalidName;

    fn try_from(text: &str) -> Result<Self, InvalidName> {
        // Most names are short, and of letters, digits and signs alone.
        let plain =
            (1..=LONGEST).contains(&text.len()) && text.bytes().fold(true, |all, byte| all & byte.is_ascii_graphic());
        let valid =
            plain || text.chars().count() <= LONGEST && !text.trim().is_empty() && !text.chars().any(char::is_control);
        if valid { Ok(Self(text.into())) } else { Err(InvalidName) }
    }
}

impl fmt::Display for LockName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Who holds a lock, or asks for it: an instance, and a number of this one acquisition that never comes again.
///
/// Written out (`to_string`) it is as a store keeps it: `instance/number`, the number being 32 hexadecimal digits. That is
/// left to the stores which keep text: it costs more than a whole lock in the process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    instance: Arc<str>,
    number: u64,
}

/// What tells this process from all others, ever.
static PROCESS: LazyLock<u64> = LazyLock::new(|| Uuid::new_v4().as_u64_pair().1);
/// How many owners it has had. Counting is what an acquisition can afford; asking for random bytes costs more than the
/// rest of it.
static OWNERS: AtomicU64 = AtomicU64::new(0);

impl Owner {
    /// A new one.
    #[must_use]
    pub fn new(instance: impl Into<Arc<str>>) -> Self {
        Self { instance: instance.into(), number: OWNERS.fetch_add(1, Ordering::Relaxed) }
    }

    /// The instance.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The instance of an owner that a store kept.
    #[must_use]
    pub fn instance_of(kept: &str) -> &str {
        kept.rsplit_once('/').map_or(kept, |(instance, _)| instance)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:016x}{:016x}", self.instance, *PROCESS, self.number)
    }
}
