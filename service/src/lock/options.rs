use std::ops::RangeInclusive;
use std::time::Duration;

use super::error::LockError;
use crate::db::Db;

const HOUR: Duration = Duration::from_secs(60 * 60);
/// The leases that make sense: a shorter one is over before a round trip, a longer one is no lease.
pub(super) const TTL: RangeInclusive<Duration> = Duration::from_millis(10)..=HOUR.saturating_mul(24);
/// The longest wait, and the longest time a lock is renewed.
const LONGEST: Duration = HOUR.saturating_mul(24 * 7);

/// How a lock is to be acquired and kept.
///
/// ```
/// use std::time::Duration;
/// use stanchion::lock::LockOptions;
///
/// let options = LockOptions::ttl(Duration::from_secs(5)).wait(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug)]
pub struct LockOptions {
    pub(super) ttl: Duration,
    pub(super) wait: Duration,
    pub(super) renew_for: Duration,
    pub(super) fence: Option<Db>,
}

impl LockOptions {
    /// A lease of 10 milliseconds to 24 hours: how long a lock stays held when its holder dies. It is renewed when a third
    /// of it is over, for ten minutes at most ([`renew_for`](Self::renew_for)); others that hold it are waited for ten
    /// seconds at most ([`wait`](Self::wait)).
    #[must_use]
    pub const fn ttl(ttl: Duration) -> Self {
        Self { ttl, wait: Duration::from_secs(10), renew_for: Duration::from_secs(600), fence: None }
    }

    /// How long [`Locks::acquire`](super::Locks::acquire) waits for others at most, up to seven days. Default 10 seconds.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// How long after the grant the lock is renewed at most, up to seven days: work that hangs does not hold it for ever.
    /// Default 10 minutes; the lease itself, where that is longer.
    #[must_use]
    pub fn renew_for(mut self, longest: Duration) -> Self {
        self.renew_for = longest;
        self
    }

    /// It is not renewed: it ends with its first lease, unless [`LockGuard::extend`](super::LockGuard::extend) is called.
    #[must_use]
    pub fn no_renewal(self) -> Self {
        self.renew_for(Duration::ZERO)
    }

    /// With a fence, minted in the database that is written to under the lock: [`Tx::check_fence`](crate::db::Tx::check_fence)
    /// refuses a holder that was overtaken there. One round trip more.
    #[must_use]
    pub fn fenced(mut self, db: &Db) -> Self {
        self.fence = Some(db.clone());
        self
    }

    pub(super) fn check(&self) -> Result<(), LockError> {
        check_ttl(self.ttl)?;
        for (what, time) in [("wait", self.wait), ("renew_for", self.renew_for)] {
            if time > LONGEST {
                return Err(LockError::Options(format!("the {what} of a lock must be at most 7 days")));
            }
        }
        Ok(())
    }
}

pub(super) fn check_ttl(ttl: Duration) -> Result<(), LockError> {
    if TTL.contains(&ttl) {
        return Ok(());
    }
    Err(LockError::Options("the ttl of a lock must be 10 milliseconds to 24 hours".to_owned()))
}
