use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::error::LockError;
use super::fence::{Fence, Fenced};
use super::held::Held;
use super::name::LockName;
use super::options::check_ttl;
use crate::Error;

/// A lock that is held. Its lease is renewed in the background as long as the guard lives, within the bound of
/// [`LockOptions::renew_for`](super::LockOptions::renew_for).
///
/// It is lost when its store no longer has it, when its lease could not be renewed in time, and when the bound is reached.
/// Then [`lost`](Self::lost) fires, once and for good: a guard never takes a lock again. It fires a tenth of the ttl before
/// the deadline (2 to 100 milliseconds), so that the holder hears of it while nobody else can have the lock yet.
///
/// The deadline is judged by this process's monotonic clock, from before the request that was granted. What it cannot know
/// (a process that is paused between a look at the guard and its write; a machine that is suspended, whose clock stands still
/// meanwhile; a store that forgot what it had granted) is what a fence is for.
///
/// Dropping it gives the lock back in the background; [`release`](Self::release) tells how that went. What the store cannot
/// be told within the lease, the end of the lease does.
#[must_use = "a lock is given back when its guard is dropped"]
pub struct LockGuard {
    pub(super) held: Arc<Held>,
    pub(super) fence: Option<Fence>,
}

impl LockGuard {
    /// What is locked.
    #[must_use]
    pub fn name(&self) -> &LockName {
        &self.held.name
    }

    /// When it ends, if it is not renewed before; it moves with every renewal.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.held.deadline()
    }

    /// Whether it is held, as far as this process can know: it was not lost, and its deadline lies ahead.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.is_live()
    }

    /// Whether it was granted without its store, which could not be used: then the fence alone keeps others from writing.
    /// It is not renewed, and cannot be extended.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.held.degraded
    }

    /// A token that fires when the lock is lost; never after a release.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.held.lost_token()
    }

    /// Its fence, if it was acquired with [`LockOptions::fenced`](super::LockOptions::fenced).
    #[must_use]
    pub fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    /// Begins the lease anew, with another ttl, which may be shorter; renewals go on as before. One round trip. After a
    /// shorter one whose answer was lost, leases count no longer than that: the request may still come.
    ///
    /// # Errors
    /// [`LockError::Lost`] when it is not held any more; the store's error when it cannot be used: the lease is then as
    /// it was, or the shorter one.
    ///
    /// # Cancellation
    /// As after the store's error.
    pub async fn extend(&self, ttl: Duration) -> Result<(), Error> {
        check_ttl(ttl)?;
        if self.is_degraded() {
            let why = "a lock that was granted without its store cannot be extended; acquire it again".to_owned();
            return Err(LockError::Options(why).into());
        }
        Ok(self.held.extend(ttl).await?)
    }

    /// Does work as long as the lock is held: it is dropped where it stands when the lock is lost.
    ///
    /// # Errors
    /// [`LockError::Lost`]; what the work says is its own output.
    ///
    /// # Cancellation
    /// The work is dropped, the lock stays held.
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, LockError> {
        if !self.is_held() {
            return Err(self.held.lost_error());
        }
        let lost = self.lost();
        tokio::select! {
            biased;
            () = lost.cancelled() => Err(self.held.lost_error()),
            done = work => Ok(done),
        }
    }

    /// Gives the lock back. One round trip; none in the process.
    ///
    /// # Errors
    /// [`LockError::Lost`] when it was not held any more: what was done under it may have been done by two. The store's
    /// error when it cannot be used: it is told again in the background until the lease ends.
    ///
    /// # Cancellation
    /// It is given back in the background.
    pub async fn release(self) -> Result<(), Error> {
        Ok(self.held.release().await?)
    }
}

impl Fenced for LockGuard {
    fn current_fence(&self) -> Result<&Fence, LockError> {
        if !self.is_held() {
            return Err(self.held.lost_error());
        }
        self.fence.as_ref().ok_or_else(|| LockError::Unfenced { name: self.name().clone() })
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        self.held.let_go();
    }
}

impl fmt::Debug for LockGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockGuard").field("held", &self.is_held()).field("deadline", &self.deadline()).finish()
    }
}
