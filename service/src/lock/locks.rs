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
    instance: String,
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
        Self { shared: Arc::new(Shared { store, instance: instance.into(), on_outage, keeper, meter }) }
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
        self.ask(name, &options, Duration::ZERO).await
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
        let begun = Instant::now();
        match self.ask(name.clone(), &options, options.wait).await? {
            Some(guard) => Ok(guard),
            None => Err(LockError::Held { name, waited: begun.elapsed() }.into()),
        }
    }

    /// What is held now, by name; up to `limit` locks. By all instances where the store is shared. For people: it may be
    /// over when it is read.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn held(&self, limit: usize) -> Result<Vec<HeldLock>, Error> {
        Ok(self.shared.store.held(limit).await?)
    }

    async fn ask(&self, name: LockName, options: &LockOptions, wait: Duration) -> Result<Option<LockGuard>, Error> {
        options.check()?;
        let Shared { store, meter, .. } = self.shared.as_ref();
        let owner = Owner::new(&self.shared.instance);
        let store = Arc::clone(store);
        let mut pending = Pending { store, name, owner, ttl: options.ttl, settled: false, doubted: false };
        let begun = Instant::now();
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
                    let guard = self.guard(pending, options, since, false).await?;
                    meter.waited(begun.elapsed());
                    return Ok(Some(guard));
                }
                Ok(Attempt::Held) => {
                    // After a failure an earlier request may still be under way.
                    pending.settled = !pending.doubted;
                    meter.asked(if wait.is_zero() { Outcome::Conflict } else { Outcome::Timeout });
                    return Ok(None);
                }
                Err(error) if error.is_unavailable() => {
                    pending.doubted = true;
                    if self.shared.on_outage == OnOutage::Degrade && options.fence.is_some() {
                        tracing::warn!(store = pending.store.kind(), %error, "a lock is granted without its store: its fence decides");
                        return Ok(Some(self.guard(pending, options, Instant::now(), true).await?));
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

    /// What is granted, with its fence. `degraded`: without the store, which then is told to forget what it may have granted
    /// all the same.
    async fn guard(
        &self,
        mut pending: Pending,
        options: &LockOptions,
        since: Instant,
        degraded: bool,
    ) -> Result<LockGuard, Error> {
        let (name, owner, ttl, doubted) = (pending.name.clone(), pending.owner.clone(), options.ttl, pending.doubted);
        let grant = Grant { name, owner, ttl, since, renew_for: options.renew_for, degraded, doubted };
        pending.settled = !degraded;
        let mut guard = LockGuard { held: Held::new(grant, Arc::clone(&self.shared)), fence: None };
        drop(pending);
        if let Some(db) = &options.fence {
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
