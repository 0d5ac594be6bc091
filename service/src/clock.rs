use std::fmt::Debug;

use crate::types::Timestamp;

/// Where the time comes from, so that a test can say what time it is.
pub trait Clock: Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the time comes from")]
    fn now(&self) -> Timestamp {
        // Only a clock set to before the year 1000 or after 9999 is out of range.
        Timestamp::try_from(chrono::Utc::now()).unwrap_or(Timestamp::EPOCH)
    }
}
