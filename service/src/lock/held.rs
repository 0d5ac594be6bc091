use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::{sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::error::LockError;
use super::locks::Shared;
use super::name::{LockName, Owner};
use super::pending::{FIRST_PAUSE, LONGEST_PAUSE, release_later};

/// A lock that this process holds, or held: what its guard, its renewal and the keeper share.
pub(super) struct Held {
    pub(super) name: LockName,
    owner: Owner,
    shared: Arc<Shared>,
    ttl: Duration,
    /// What the first lease is counted from.
    since: Instant,
    /// Granted without the store, which could not be used.
    pub(super) degraded: bool,
    lease: Mutex<Lease>,
    lost: OnceLock<CancellationToken>,
    /// One request to begin the lease anew at a time, so that it is known which one the store has seen last.
    extending: tokio::sync::Mutex<()>,
}

struct Lease {
    state: State,
    deadline: Instant,
    /// How long it was when it began.
    length: Duration,
    /// It is not renewed past this; the holder's own wish may go further.
    bound: Instant,
    /// The shortest one that was asked for and not answered: that request may still come to the store, after others that
    /// were, so none counts for longer.
    doubted: Duration,
    /// When there is something to do: it is to be renewed, or over.
    due: Instant,
    /// The time that the keeper has it on its list for, no later than that; others that the list may have do not count.
    listed: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Live,
    Released,
    Lost,
}

/// What a grant says of a lock.
pub(super) struct Grant {
    pub(super) name: LockName,
    pub(super) owner: Owner,
    pub(super) ttl: Duration,
    pub(super) since: Instant,
    pub(super) renew_for: Duration,
    pub(super) degraded: bool,
    /// An earlier request for it had no answer.
    pub(super) doubted: bool,
}

impl Held {
    pub(super) fn new(grant: Grant, shared: Arc<Shared>) -> Arc<Self> {
        let Grant { name, owner, ttl, since, renew_for, degraded, doubted } = grant;
        let bound = if degraded { since } else { since + renew_for };
        let doubted = if doubted { ttl } else { Duration::MAX };
        let (state, deadline) = (State::Live, since + ttl);
        let mut lease = Lease { state, deadline, length: ttl, bound, doubted, due: deadline, listed: None };
        let due = lease.plan(ttl, since);
        lease.listed = Some(due);
        let (lease, lost, extending) = (Mutex::new(lease), OnceLock::new(), tokio::sync::Mutex::const_new(()));
        let held = Arc::new(Self { name, owner, shared, ttl, since, degraded, lease, lost, extending });
        held.list(due);
        held
    }

    fn lease(&self) -> MutexGuard<'_, Lease> {
        self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn deadline(&self) -> Instant {
        self.lease().deadline
    }

    pub(super) fn is_live(&self) -> bool {
        self.lease().is_live(Instant::now())
    }

    pub(super) fn lost_token(&self) -> CancellationToken {
        // Under the lock, so that a loss is told to every token.
        let lease = self.lease();
        let token = self.lost.get_or_init(CancellationToken::new).clone();
        if lease.state == State::Lost {
            token.cancel();
        }
        token
    }

    pub(super) fn lost_error(&self) -> LockError {
        LockError::Lost { name: self.name.clone() }
    }

    /// Has itself looked after when the time comes: to be renewed, or to be told that it is over.
    fn schedule(self: &Arc<Self>) {
        let due = {
            let mut lease = self.lease();
            if lease.state != State::Live {
                return;
            }
            let due = lease.plan(self.ttl, Instant::now());
            if lease.listed.is_some_and(|listed| listed <= due) {
                return;
            }
            lease.listed = Some(due);
            due
        };
        self.list(due);
    }

    fn list(self: &Arc<Self>, due: Instant) {
        self.shared.keeper.put(Arc::downgrade(self), due);
    }

    fn is_over(&self) -> bool {
        self.lease().end() <= Instant::now()
    }

    /// What the keeper calls at a time that it was listed for.
    pub(super) fn attend(self: Arc<Self>, at: Instant) {
        let (due, renewable) = {
            let mut lease = self.lease();
            if lease.state != State::Live || lease.listed != Some(at) {
                return;
            }
            // It may have been begun anew since, and is due later then.
            lease.listed = (at < lease.due).then_some(lease.due);
            (lease.due, lease.is_renewable())
        };
        if at < due {
            self.list(due);
        } else if self.is_over() {
            self.lose("its lease is over", true);
        } else if renewable {
            tokio::spawn(async move { self.renew().await });
        } else {
            self.schedule();
        }
    }

    /// Begins the lease anew until that is proved, or can no longer be in time.
    async fn renew(self: &Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let (live, seen, end) = {
                let lease = self.lease();
                (lease.state == State::Live, lease.deadline, lease.end())
            };
            if !live {
                return;
            }
            let attempt = async {
                let _one = self.extending.lock().await;
                let bound = {
                    let lease = self.lease();
                    if lease.deadline > seen {
                        // The holder has begun it anew meanwhile.
                        return Ok(true);
                    }
                    lease.bound
                };
                let ttl = self.ttl.min(bound.saturating_duration_since(Instant::now())).max(Duration::from_millis(1));
                self.begin_anew(ttl).await
            };
            match timeout_at(end.into(), attempt).await {
                Ok(Ok(true)) => return self.schedule(),
                Ok(Ok(false)) => return self.lose("its store no longer has it", false),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "a lock could not be renewed; it is tried again until its lease ends");
                    sleep_until(end.min(Instant::now() + pause).into()).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(_) => {}
            }
            // The holder may have begun it anew meanwhile.
            if self.is_over() {
                return self.lose("it could not be renewed in time", true);
            }
        }
    }

    /// Has the store begin the lease anew, one request at a time; whether it did.
    async fn begin_anew(&self, ttl: Duration) -> Result<bool, LockError> {
        let since = Instant::now();
        let doubted = {
            let mut lease = self.lease();
            let doubted = lease.doubted;
            lease.doubted = doubted.min(ttl);
            doubted
        };
        let has = self.shared.store.extend(&self.name, &self.owner, ttl).await?;
        let mut lease = self.lease();
        lease.doubted = doubted;
        if has {
            lease.begin(since, ttl.min(doubted));
        }
        Ok(has)
    }

    /// Begins the lease anew at the holder's wish.
    pub(super) async fn extend(self: &Arc<Self>, ttl: Duration) -> Result<(), LockError> {
        let _one = self.extending.lock().await;
        {
            let (mut lease, now) = (self.lease(), Instant::now());
            if !lease.is_live(now) {
                return Err(self.lost_error());
            }
            // A shorter lease counts from now on, whether the store's answer comes or not.
            if now + ttl < lease.deadline {
                lease.begin(now, ttl);
            }
        }
        self.schedule();
        if !self.begin_anew(ttl).await? {
            self.lose("its store no longer has it", false);
        }
        self.schedule();
        if self.lease().state == State::Live { Ok(()) } else { Err(self.lost_error()) }
    }

    /// It is lost: that is told, once, and for good. `perhaps_kept`: the store may still have it.
    fn lose(&self, why: &'static str, perhaps_kept: bool) {
        if !self.lease().end_as(State::Lost) {
            return;
        }
        let now = Instant::now();
        self.shared.meter.was_held(now - self.since);
        if let Some(token) = self.lost.get() {
            token.cancel();
        }
        self.shared.meter.lost();
        tracing::warn!(store = self.shared.store.kind(), why, "a lock was lost while it was held");
        if perhaps_kept && !self.degraded {
            // A request to renew it may still be under way.
            self.release_later(now + self.ttl);
        }
    }

    /// Gives it back, and tells whether it was held until then.
    pub(super) async fn release(&self) -> Result<(), LockError> {
        let now = Instant::now();
        if !self.lease().end_in_time(now) {
            self.lose("its lease is over", true);
            return Err(self.lost_error());
        }
        self.shared.meter.was_held(now - self.since);
        if self.degraded {
            return Ok(());
        }
        let store = &self.shared.store;
        let had = match store.release_at_once(&self.name, &self.owner, now) {
            Some(had) => had,
            None => {
                let unfinished = Unfinished(Some(self));
                let had = store.release(&self.name, &self.owner).await?;
                unfinished.forget();
                had
            }
        };
        if had { Ok(()) } else { Err(self.lost_error()) }
    }

    /// Gives it back in the background, if it has not ended yet.
    pub(super) fn let_go(&self) {
        if !self.lease().end_as(State::Released) {
            return;
        }
        let now = Instant::now();
        self.shared.meter.was_held(now - self.since);
        if !self.degraded {
            self.release_later(self.deadline().max(now + FIRST_PAUSE));
        }
    }

    fn release_later(&self, until: Instant) {
        let (store, runtime) = (Arc::clone(&self.shared.store), self.shared.keeper.runtime());
        release_later(store, self.name.clone(), self.owner.clone(), until, runtime);
    }
}

impl Lease {
    /// When it is given up: a little before the deadline, so that the holder hears of it no later than then.
    fn end(&self) -> Instant {
        let margin = (self.length / 10).clamp(Duration::from_millis(2), Duration::from_millis(100));
        self.deadline - margin
    }

    fn begin(&mut self, since: Instant, length: Duration) {
        (self.deadline, self.length) = (since + length, length);
    }

    /// Has it due when a third of the last `ttl`, or of what is left of it, is over; or in the end.
    fn plan(&mut self, ttl: Duration, now: Instant) -> Instant {
        let left = ttl.min(self.deadline.saturating_duration_since(now));
        self.due = if self.is_renewable() { self.deadline - left * 2 / 3 } else { self.end() };
        self.due
    }

    fn is_renewable(&self) -> bool {
        self.deadline < self.bound
    }

    fn is_live(&self, now: Instant) -> bool {
        self.state == State::Live && now < self.deadline
    }

    /// Ends it; whether it had not ended yet.
    fn end_as(&mut self, state: State) -> bool {
        let live = self.state == State::Live;
        if live {
            self.state = state;
        }
        live
    }

    /// It is given back; whether that comes in time.
    fn end_in_time(&mut self, now: Instant) -> bool {
        self.is_live(now) && self.end_as(State::Released)
    }
}

/// A release that failed or was dropped goes on in the background.
struct Unfinished<'a>(Option<&'a Held>);

impl Unfinished<'_> {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(held) = self.0 {
            held.release_later(held.deadline().max(Instant::now() + FIRST_PAUSE));
        }
    }
}
