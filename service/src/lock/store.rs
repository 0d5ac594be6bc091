use std::fmt;
use std::time::{Duration, Instant};

use super::error::LockError;
use super::name::{LockName, Owner};

/// Where locks are kept.
///
/// Exclusive: between a call of [`acquire`](Self::acquire) that was granted and its release, the end of its lease or the
/// end of its session, whichever the store knows, nobody else is granted the same name. What a store cannot promise beyond
/// that (a failover that loses what was granted, a process that is paused past its lease) is what fences are for.
#[async_trait::async_trait]
pub trait LockStore: fmt::Debug + Send + Sync {
    /// What it is called in metrics and errors: `redis`.
    fn kind(&self) -> &'static str;

    /// How long a lock that is not released stays held.
    fn holding(&self) -> Holding;

    /// Asks for a lock, and waits for it at most `wait`; zero does not wait at all. An owner that holds it already, since
    /// the answer to its earlier call was lost, is granted it.
    ///
    /// # Errors
    /// When the store cannot be used. Then it may have been granted all the same: [`release`](Self::release) undoes that.
    ///
    /// # Cancellation
    /// As after an error.
    async fn acquire(
        &self,
        name: &LockName,
        owner: &Owner,
        ttl: Duration,
        wait: Duration,
    ) -> Result<Attempt, LockError>;

    /// Asks for a lock without waiting, where that takes no round trip: what is asked first. `now` is a moment before the
    /// call, and what a grant is counted from. `None` where it takes a round trip; [`acquire`](Self::acquire) does it then.
    fn acquire_at_once(&self, _name: &LockName, _owner: &Owner, _ttl: Duration, _now: Instant) -> Option<Attempt> {
        None
    }

    /// Begins the lease anew; `false` when this owner does not hold the lock any more: it is never taken again here.
    ///
    /// # Errors
    /// When the store cannot be used; the lease may have been begun anew or not.
    async fn extend(&self, name: &LockName, owner: &Owner, ttl: Duration) -> Result<bool, LockError>;

    /// Gives the lock back; `false` when this owner did not hold it.
    ///
    /// # Errors
    /// When the store cannot be used; it may have been given back or not. Calling it again is harmless.
    async fn release(&self, name: &LockName, owner: &Owner) -> Result<bool, LockError>;

    /// Gives the lock back without waiting, where that takes no round trip: what is asked first. `now` is a moment before
    /// the call. `None` where it takes a round trip; [`release`](Self::release) does it then.
    fn release_at_once(&self, _name: &LockName, _owner: &Owner, _now: Instant) -> Option<bool> {
        None
    }

    /// Lets go of what this owner may hold, without a word to anybody: a release cannot be sent, since there is no runtime
    /// any more. Nothing to do where a lease ends it.
    fn abandon(&self, _name: &LockName, _owner: &Owner) {}

    /// What is held now, by name; up to `limit` locks. By all instances where the store is shared.
    ///
    /// # Errors
    /// When the store cannot be used.
    async fn held(&self, limit: usize) -> Result<Vec<HeldLock>, LockError>;
}

/// The answer to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It is held from now on.
    Granted {
        /// A moment before the request that was granted was sent: the lease ends no earlier than the ttl after it.
        since: Instant,
    },
    /// Somebody else holds it.
    Held,
}

/// How long a lock that is not released stays held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holding {
    /// Until its lease is over.
    Lease,
    /// As long as the holder's session with the server lives; the ttl says only how often that is proved.
    Session,
    /// As long as the process lives.
    Process,
}

/// A lock that is held, as its store tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldLock {
    /// Its name; where the store keeps a digest only, that.
    pub name: String,
    /// The instance that holds it, or what the store knows of it.
    pub holder: String,
    /// What is left of its lease, where the store can say so.
    pub remaining: Option<Duration>,
}

impl HeldLock {
    /// A lock that is held.
    #[must_use]
    pub const fn new(name: String, holder: String, remaining: Option<Duration>) -> Self {
        Self { name, holder, remaining }
    }
}
