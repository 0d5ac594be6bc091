use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::types::{TimeRange, Timestamp};

/// Days that a [`Period`] has at most.
pub const MOST_DAYS: u32 = 3_660;

const DAY: Duration = Duration::from_secs(86_400);

/// A range of time that begins and ends: `from <= t < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Period {
    from: Timestamp,
    to: Timestamp,
}

impl Period {
    /// From one instant to another.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it does not end after it begins, or is longer than [`MOST_DAYS`].
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Self, Error> {
        if from >= to {
            return Err(Error::Invalid("a period ends after it begins".into()));
        }
        if to.since(from) > DAY * MOST_DAYS {
            return Err(Error::Invalid(format!("a period has at most {MOST_DAYS} days")));
        }
        Ok(Self { from, to })
    }

    /// The last so many times 24 hours, up to now.
    ///
    /// # Errors
    /// As [`Period::new`].
    pub fn last_days(now: Timestamp, days: u32) -> Result<Self, Error> {
        if days > MOST_DAYS {
            return Err(Error::Invalid(format!("a period has at most {MOST_DAYS} days")));
        }
        Self::new(now.minus(DAY * days)?, now)
    }

    /// The period of the same length that ends where this one begins.
    ///
    /// # Errors
    /// [`Error::Value`] when that would be before the year 1000.
    pub fn before(self) -> Result<Self, Error> {
        Ok(Self { from: self.from.minus(self.to.since(self.from))?, to: self.from })
    }

    /// When it begins.
    pub const fn from(self) -> Timestamp {
        self.from
    }

    /// The first instant after it.
    pub const fn to(self) -> Timestamp {
        self.to
    }

    pub(super) const fn range(self) -> TimeRange {
        TimeRange { from: Some(self.from), to: Some(self.to) }
    }
}
