use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::{sleep, timeout_at};

use super::name::{LockName, Owner};
use super::store::LockStore;

/// The pauses between attempts while a store cannot be used: the first, and the longest.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(20);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A lock that is asked for. Whatever way that ends, a failure or a dropped future included, nothing stays behind: what may
/// have been granted is given back in the background, unless [`settled`](Self::settled).
pub(super) struct Pending {
    pub(super) store: Arc<dyn LockStore>,
    pub(super) name: LockName,
    pub(super) owner: Owner,
    pub(super) ttl: Duration,
    pub(super) settled: bool,
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.settled {
            let until = Instant::now() + self.ttl;
            release_later(Arc::clone(&self.store), self.name.clone(), self.owner.clone(), until);
        }
    }
}

/// Gives a lock back without anybody waiting for it, and tries again until then; after that its lease is over anyhow.
pub(super) fn release_later(store: Arc<dyn LockStore>, name: LockName, owner: Owner, until: Instant) {
    if store.release_at_once(&name, &owner).is_some() {
        return;
    }
    // Without a runtime nothing can be sent: its lease ends it.
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async move {
        let mut pause = FIRST_PAUSE;
        // The first attempt is sent even when the lease is over: it may have begun late.
        let mut limit = until.max(Instant::now() + Duration::from_secs(1));
        while let Ok(Err(error)) = timeout_at(limit.into(), store.release(&name, &owner)).await {
            tracing::debug!(%error, "a lock could not be given back yet");
            limit = until;
            if Instant::now() + pause >= until {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    });
}
