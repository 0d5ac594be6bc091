use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::error::LockError;
use super::fence::{ended_early, mint_here};
use super::guard::LockGuard;
use super::held::{Grant, Held};
use super::keeper::Keeper;
use super::meter::{Meter, Outcome};
use super::name::{LockName, Owner};
use super::options::LockOptions;
use super::pending::{FIRST_PAUSE, LONGEST_PAUSE, Pending};
use super::store::{Attempt, HeldLock, LockStore};
use crate::Error;
use crate::config::OnOutage;
use crate::db::Db;

/// How long an outage of the store is waited out, within the wait that was asked for: a restart takes about as long, and
/// what takes longer should be heard of.
const PATIENCE: Duration = Duration::from_secs(2);

/// Locks of one store. It is cheap to clone; clones share everything.
///
/// ```no_run
/// # async fn example(app: stanchion::App) -> Result<(), stanchion::Error> {
/// use std::time::Duration;
/// use stanchion::lock::LockOptions;
///
/// let guard = app.locks().acquire("order:binance:ETHUSDT:1850", LockOptions::ttl(Duration::from_secs(5))).await?;
/// // What only one may do at a time.
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Locks {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) store: Arc<dyn LockStore>,
    instance: Arc<str>,
    on_outage: OnOutage,
    pub(super) keeper: Keeper,
    pub(super) meter: Meter,
}

impl Locks {
    /// Locks kept in `store`; `instance` is what others see as their holder. Without the store, nothing is granted.
    #[must_use]
    pub fn new(store: Arc<dyn LockStore>, instance: impl Into<String>) -> Self {
        Self::with(store, instance, OnOutage::Fail)
    }

    /// The same, with what is done when the store cannot be used.
    #[must_use]
    pub fn with(store: Arc<dyn LockStore>, instance: impl Into<String>, on_outage: OnOutage) -> Self {
        let (meter, keeper) = (Meter::new(store.kind()), Keeper::default());
        let instance = Arc::from(instance.into());
        Self { shared: Arc::new(Shared { store, instance, on_outage, keeper, meter }) }
    }

    /// Where they are kept.
    #[must_use]
    pub fn store(&self) -> &dyn LockStore {
        self.shared.store.as_ref()
    }

    /// Acquires a lock, or says at once (`None`) that somebody else holds it. A round trip; two where it is held.
    ///
    /// # Errors
    /// [`LockError::Name`] and [`LockError::Options`] for what makes no sense; the store's error when it cannot be used.
    ///
    /// # Cancellation
    /// As [`acquire`](Self::acquire).
    pub async fn try_acquire(&self, name: impl AsRef<str>, options: LockOptions) -> Result<Option<LockGuard>, Error> {
        let name = LockName::try_from(name.as_ref()).map_err(LockError::from)?;
        match self.ask(name, &options, Duration::ZERO).await {
            Ok(guard) => Ok(Some(guard)),
            Err(Error::Lock(LockError::Held { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Acquires a lock, and waits for others to give it back: they are heard, not polled, where the store can tell. Those
    /// who wait in one process get it in their order.
    ///
    /// While the store cannot be used it is asked again, for two seconds or the wait, whichever is shorter. An answer that
    /// is lost is found again by the number of this acquisition.
    ///
    /// # Errors
    /// [`LockError::Held`] when it was held as long as was waited; else as [`try_acquire`](Self::try_acquire).
    ///
    /// # Cancellation
    /// What may have been granted is given back in the background.
    pub async fn acquire(&self, name: impl AsRef<str>, options: LockOptions) -> Result<LockGuard, Error> {
        let name = LockName::try_from(name.as_ref()).map_err(LockError::from)?;
        self.ask(name, &options, options.wait).await
    }

    /// What is held now, by name; up to `limit` locks. By all instances where the store is shared. For people: it may be
    /// over when it is read.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn held(&self, limit: usize) -> Result<Vec<HeldLock>, Error> {
        Ok(self.shared.store.held(limit).await?)
    }

    async fn ask(&self, name: LockName, options: &LockOptions, wait: Duration) -> Result<LockGuard, Error> {
        options.check()?;
        let Shared { store, instance, meter, .. } = self.shared.as_ref();
        let (owner, ttl, begun) = (Owner::new(Arc::clone(instance)), options.ttl, Instant::now());
        match store.acquire_at_once(&name, &owner, ttl, begun) {
            Some(Attempt::Granted { since }) => {
                let renew_for = options.renew_for;
                let grant = Grant { name, owner, ttl, since, renew_for, degraded: false, doubted: false };
                let guard = self.guard(grant, options.fence.as_ref()).await?;
                // It did not wait, and reading the clock would take as long as half of the rest.
                meter.waited(if options.fence.is_none() { Duration::ZERO } else { begun.elapsed() });
                return Ok(guard);
            }
            Some(Attempt::Held) if wait.is_zero() => {
                meter.asked(Outcome::Conflict);
                return Err(LockError::Held { name, waited: begun.elapsed() }.into());
            }
            _ => {}
        }
        let store = Arc::clone(store);
        let mut pending = Pending { store, name, owner, ttl, settled: false, doubted: false };
        let until = begun + wait;
        let mut failing: Option<Instant> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match pending.store.acquire(&pending.name, &pending.owner, options.ttl, left).await {
                Ok(Attempt::Granted { since }) => {
                    // A grant that took longer than its lease is none: asked again, the same owner gets a new one.
                    if since.elapsed() >= options.ttl {
                        if Instant::now() < until {
                            continue;
                        }
                        meter.asked(Outcome::Error);
                        return Err(LockError::Lost { name: pending.name.clone() }.into());
                    }
                    let guard = self.guard(pending.granted(since, options, false), options.fence.as_ref()).await?;
                    meter.waited(begun.elapsed());
                    return Ok(guard);
                }
                Ok(Attempt::Held) => {
                    // After a failure an earlier request may still be under way.
                    pending.settled = !pending.doubted;
                    meter.asked(if wait.is_zero() { Outcome::Conflict } else { Outcome::Timeout });
                    return Err(LockError::Held { name: pending.name.clone(), waited: begun.elapsed() }.into());
                }
                Err(error) if error.is_unavailable() => {
                    pending.doubted = true;
                    if self.shared.on_outage == OnOutage::Degrade && options.fence.is_some() {
                        tracing::warn!(store = pending.store.kind(), %error, "a lock is granted without its store: its fence decides");
                        let grant = pending.granted(Instant::now(), options, true);
                        return self.guard(grant, options.fence.as_ref()).await;
                    }
                    let now = Instant::now();
                    let patience = *failing.get_or_insert(now) + PATIENCE;
                    if now + pause >= until.min(patience) {
                        meter.asked(Outcome::Error);
                        return Err(error.into());
                    }
                    tracing::debug!(%error, "a lock cannot be had yet; its store is asked again");
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    meter.asked(Outcome::Error);
                    return Err(error.into());
                }
            }
        }
    }

    /// What is granted, with its fence.
    async fn guard(&self, grant: Grant, fence: Option<&Db>) -> Result<LockGuard, Error> {
        let degraded = grant.degraded;
        let mut guard = LockGuard { held: Held::new(grant, Arc::clone(&self.shared)), fence: None };
        if let Some(db) = fence {
            guard = fenced(guard, db.clone()).await.inspect_err(|_| self.shared.meter.asked(Outcome::Error))?;
        }
        self.shared.meter.asked(if degraded { Outcome::Degraded } else { Outcome::Acquired });
        Ok(guard)
    }
}

/// Mints the fence of a lock that is held, and renewed as any other. It is carried to its end under the lock, though nobody
/// may wait for it any more: minted after the next holder's, it would make that one's stale.
async fn fenced(mut guard: LockGuard, db: Db) -> Result<LockGuard, Error> {
    let (lost, failure) = (guard.lost(), guard.held.lost_error());
    let minting = tokio::spawn(async move {
        guard.fence = Some(mint_here(&db, guard.name()).await?);
        Ok(guard)
    });
    tokio::select! {
        biased;
        () = lost.cancelled() => Err(failure.into()),
        minted = minting => minted.unwrap_or_else(|ended| Err(ended_early(&ended).into())),
    }
}

impl fmt::Debug for Locks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locks").field("store", &self.shared.store).field("on_outage", &self.shared.on_outage).finish()
    }
}
