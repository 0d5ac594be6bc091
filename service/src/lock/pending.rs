use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::time::{sleep, timeout_at};

use super::held::Grant;
use super::name::{LockName, Owner};
use super::options::LockOptions;
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
    /// A request for it had no answer, and may still come to the store.
    pub(super) doubted: bool,
}

impl Pending {
    /// What was granted. `degraded`: without the store, which then is told to forget what it may have granted all the same.
    pub(super) fn granted(mut self, since: Instant, options: &LockOptions, degraded: bool) -> Grant {
        self.settled = !degraded;
        let (name, owner, ttl, doubted) = (self.name.clone(), self.owner.clone(), self.ttl, self.doubted);
        Grant { name, owner, ttl, since, renew_for: options.renew_for, degraded, doubted }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.settled {
            let until = Instant::now() + self.ttl;
            release_later(Arc::clone(&self.store), self.name.clone(), self.owner.clone(), until, None);
        }
    }
}

/// Gives a lock back without anybody waiting for it, and tries again until then; after that its lease is over anyhow. It is
/// sent from the runtime of the caller, else from the one given. Without one, and on one that ends before it was sent,
/// nothing can be: the store ends what a lease does not.
pub(super) fn release_later(
    store: Arc<dyn LockStore>,
    name: LockName,
    owner: Owner,
    until: Instant,
    runtime: Option<Handle>,
) {
    if store.release_at_once(&name, &owner, Instant::now()).is_some() {
        return;
    }
    let unsent = Unsent { store, name, owner, sent: false };
    if let Some(runtime) = Handle::try_current().ok().or(runtime) {
        runtime.spawn(unsent.send(until));
    }
}

/// A release that is to be sent.
struct Unsent {
    store: Arc<dyn LockStore>,
    name: LockName,
    owner: Owner,
    sent: bool,
}

impl Unsent {
    async fn send(mut self, until: Instant) {
        let mut pause = FIRST_PAUSE;
        // The first attempt is sent even when the lease is over: it may have begun late.
        let mut limit = until.max(Instant::now() + Duration::from_secs(1));
        loop {
            match timeout_at(limit.into(), self.store.release(&self.name, &self.owner)).await {
                Ok(Ok(_)) => {
                    self.sent = true;
                    return;
                }
                Ok(Err(error)) => tracing::debug!(%error, "a lock could not be given back yet"),
                Err(_) => return,
            }
            limit = until;
            if Instant::now() + pause >= until {
                return;
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        if !self.sent {
            self.store.abandon(&self.name, &self.owner);
        }
    }
}
