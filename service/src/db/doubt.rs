use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sea_orm::DbErr;

use super::Kind;
use super::classify::classify;

/// When the server was last seen to fail.
///
/// Connections are not pinged before use, so after a server has gone and come back each idle one would fail the caller
/// that gets it. The first failure is remembered here; what was idle at that time is pinged before it is lent again.
#[derive(Debug)]
pub(super) struct Doubt {
    origin: Instant,
    /// Microseconds from the origin to the failure; zero for none.
    failed_at: AtomicU64,
}

impl Default for Doubt {
    fn default() -> Self {
        Self { origin: Instant::now(), failed_at: AtomicU64::new(0) }
    }
}

impl Doubt {
    /// Remembers a failure that says something about the other connections too.
    pub(super) fn note(&self, error: &DbErr) {
        if classify(error).kind == Kind::Unavailable {
            self.failed_at.store(self.micros_now().max(1), Ordering::Relaxed);
        }
    }

    /// Whether a connection that has been idle for so long was so at the last failure.
    pub(super) fn covers(&self, idle_for: Duration) -> bool {
        let failed_at = self.failed_at.load(Ordering::Relaxed);
        failed_at > 0 && idle_for.as_micros() >= u128::from(self.micros_now().saturating_sub(failed_at))
    }

    fn micros_now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
