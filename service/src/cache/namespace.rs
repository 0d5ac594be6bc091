use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout_at;
use tracing::Instrument;

use super::core::{Boarded, Found, Landing};
use super::entry::Entry;
use super::error::CacheError;
use super::flight::{Flight, From, Landed, Progress, Purpose};
use super::handle::Cache;
use super::key::{self, KeyRef};
use super::load::Load;
use super::space::Space;
use super::statistics::{Counters, Statistics};
use super::target::{Target, Told};
use crate::Error;

/// The values of one type under one set of rules: [`Cache::namespace`]. It is cheap to clone.
///
/// # Keys and tags
/// A key is any text of up to 64 kB. An entry may have tags, up to 64 texts, and invalidating any of them invalidates the
/// entry. Tags are named with the call, not computed from the value: one that is known only after the load could have been
/// invalidated during it. Name the same tags at every call for a key; an entry that lacks one of them is loaded anew.
///
/// # Loaders
/// A loader runs in a task of its own, once for all who ask for its key meanwhile: who stops waiting neither ends nor
/// repeats it. All are given the same value, or the same error ([`CacheError::Load`]), its panic included
/// ([`CacheError::Panicked`]). Its error is not kept: the next call asks it again.
///
/// A loader that asks for its own key, be it by way of another key's loader, waits for itself until the hard timeout.
///
/// # There is no `put`
/// A value that was computed before a write and put after it would be stale for good. Invalidate after the write, and let
/// the next read load.
pub struct Namespace<V> {
    cache: Cache,
    space: Arc<Space>,
    weigher: Option<fn(&V) -> u32>,
    value: PhantomData<fn() -> V>,
}

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Namespace<V> {
    pub(super) fn new(cache: Cache, space: Arc<Space>, weigher: Option<fn(&V) -> u32>) -> Self {
        Self { cache, space, weigher, value: PhantomData }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.space.name
    }

    /// The cache it is of.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The value of a key, loaded if it is not there.
    ///
    /// No round trip if it is in the process; one if it is in Redis; two beside the loader's if it is loaded (three in a
    /// namespace for which Redis has most of what this process has not), and one for each tag that this process does not
    /// know yet.
    ///
    /// # Errors
    /// The loader's, in [`CacheError::Load`]; [`CacheError::Panicked`], [`CacheError::Timeout`]; [`CacheError::Key`]. Never
    /// because Redis fails.
    ///
    /// # Cancellation
    /// The load goes on, for whoever asks next.
    pub async fn get_or_load<F, Fut>(&self, key: impl AsRef<str>, loader: F) -> Result<Arc<V>, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, Error>> + Send + 'static,
    {
        self.get_or_load_tagged(key, &[], loader).await
    }

    /// As [`get_or_load`](Self::get_or_load); the entry has these tags.
    ///
    /// # Errors
    /// As there; [`CacheError::Tags`].
    ///
    /// # Cancellation
    /// As there.
    pub async fn get_or_load_tagged<F, Fut>(
        &self,
        key: impl AsRef<str>,
        tags: &[&str],
        loader: F,
    ) -> Result<Arc<V>, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<V, Error>> + Send + 'static,
    {
        let loader = || async { loader().await.map(Some) };
        let value = self.look(key.as_ref(), tags, Purpose::Load, loader).await?;
        Ok(value.ok_or_else(|| CacheError::Taken { namespace: Arc::clone(&self.space.name) })?)
    }

    /// As [`get_or_load_tagged`](Self::get_or_load_tagged), of something that may not exist: that it does not is kept for
    /// the namespace's negative TTL.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancellation
    /// As there.
    pub async fn get_or_load_optional<F, Fut>(
        &self,
        key: impl AsRef<str>,
        tags: &[&str],
        loader: F,
    ) -> Result<Option<Arc<V>>, Error>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, Error>> + Send + 'static,
    {
        Ok(self.look(key.as_ref(), tags, Purpose::LoadOptional, loader).await?)
    }

    /// What is kept of a key; nothing is loaded. One round trip at most.
    ///
    /// # Errors
    /// [`CacheError::Key`].
    pub async fn get(&self, key: impl AsRef<str>) -> Result<Option<Arc<V>>, Error> {
        key::check(key.as_ref())?;
        let (core, counters) = (self.cache.core(), &self.space.counters);
        let written = key::written(key.as_ref());
        let key = self.key(&written);
        match core.find(key, &[], true, core.timeline.now()) {
            Found::Fresh(entry) => {
                self.count(&entry, Counters::hit_l1);
                return Ok(self.value(&entry)?);
            }
            Found::Throttled(entry) => {
                counters.served_stale();
                return Ok(self.value(&entry)?);
            }
            Found::Stale(_) | Found::Nothing => {}
        }
        let Some(entry) = self.peek(key, &[]).await else {
            counters.miss();
            return Ok(None);
        };
        self.count(&entry, Counters::hit_l2);
        Ok(self.value(&entry)?)
    }

    /// What Redis has; kept in the process unless a load of it is under way.
    async fn peek(&self, key: KeyRef<'_>, tags: &[&str]) -> Option<Arc<Entry>> {
        let core = self.cache.core();
        let level2 = core.level2.as_deref().filter(|_| !self.space.rules.local_only)?;
        core.listen();
        let (flight, keep) = core.peek(&self.space, key, tags);
        let (core, space) = (Arc::clone(core), Arc::clone(&self.space));
        let landing =
            keep.then(|| Landing { core: Arc::clone(&core), space: Arc::clone(&space), flight: Arc::clone(&flight) });
        let load = Load { core, space, flight, weigher: self.weigher };
        let found = load.peek(level2).boxed().await;
        if let Err(error) = &found {
            self.space.counters.redis_failed();
            tracing::debug!(namespace = self.name(), %error, "the cache was read without Redis");
        }
        let entry = found.ok().flatten()?;
        if let Some(landing) = landing {
            landing.core.land(&landing.flight, Ok((Arc::clone(&entry), From::Redis)), true);
        }
        Some(entry)
    }

    /// What it has done.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.space.counters.read()
    }

    /// Invalidates a key: [`Cache::invalidate`].
    pub async fn invalidate(&self, key: impl AsRef<str>) -> Told {
        self.cache.invalidate([self.target(key)]).await
    }

    /// Invalidates all its entries: [`Cache::invalidate`].
    pub async fn invalidate_all(&self) -> Told {
        self.cache.invalidate([Target::Namespace(self.name().to_owned())]).await
    }

    /// A key of it, to be invalidated.
    pub fn target(&self, key: impl AsRef<str>) -> Target {
        Target::key(self.name(), key.as_ref())
    }

    fn key<'a>(&self, written: &'a str) -> KeyRef<'a> {
        KeyRef { namespace: self.space.id, key: written }
    }

    fn value(&self, entry: &Entry) -> Result<Option<Arc<V>>, CacheError> {
        // Only values of V come under this namespace's number.
        entry.value().ok_or_else(|| CacheError::Taken { namespace: Arc::clone(&self.space.name) })
    }

    async fn look<F, Fut>(
        &self,
        key: &str,
        tags: &[&str],
        purpose: Purpose,
        loader: F,
    ) -> Result<Option<Arc<V>>, CacheError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, Error>> + Send + 'static,
    {
        key::check(key)?;
        key::check_tags(tags)?;
        let written = key::written(key);
        let (core, key) = (self.cache.core(), self.key(&written));
        let (now, counters) = (core.timeline.now(), &self.space.counters);
        match core.find(key, tags, purpose != Purpose::Load, now) {
            Found::Fresh(entry) => {
                if entry.wants_refresh(now)
                    && let Boarded::Began(flight) = core.board(&self.space, key, tags, purpose, true)
                {
                    self.load(flight, true, loader);
                }
                self.count(&entry, Counters::hit_l1);
                return self.value(&entry);
            }
            Found::Throttled(entry) => {
                counters.served_stale();
                return self.value(&entry);
            }
            Found::Nothing if self.reads_first() => {
                let found = self.peek(key, tags).boxed().await;
                if let Some(entry) = found.filter(|entry| entry.value.is_some() || purpose != Purpose::Load) {
                    self.count(&entry, Counters::hit_l2);
                    return self.value(&entry);
                }
            }
            Found::Stale(_) | Found::Nothing => {}
        }
        core.listen();
        let flight = match core.board(&self.space, key, tags, purpose, false) {
            Boarded::Found(entry) => {
                self.count(&entry, if entry.is_fresh(now) { Counters::hit_l1 } else { Counters::served_stale });
                return self.value(&entry);
            }
            Boarded::Joined(flight) => flight,
            Boarded::Began(flight) => {
                self.load(Arc::clone(&flight), false, loader);
                flight
            }
        };
        let landed = self.land(&flight).await;
        let (entry, from) = landed.inspect_err(|_| counters.miss())?;
        match from {
            From::Loader => counters.miss(),
            From::Redis => self.count(&entry, Counters::hit_l2),
            From::Stale => counters.served_stale(),
        }
        self.value(&entry)
    }

    /// Whether to look into Redis before a load is begun. That costs half of what a load costs that finds its value there,
    /// and a round trip if nothing is there; so it is done where it mostly is. Who only looks is waited for by nobody.
    fn reads_first(&self) -> bool {
        let usable = self.cache.core().level2.as_ref().is_some_and(|level2| level2.is_usable());
        usable && !self.space.rules.local_only && self.space.counters.is_mostly_shared()
    }

    fn count(&self, entry: &Entry, hit: fn(&Counters)) {
        let counters = &self.space.counters;
        if entry.value.is_some() { hit(counters) } else { counters.hit_negative() }
    }

    fn load<F, Fut>(&self, flight: Arc<Flight>, refresh: bool, loader: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, Error>> + Send + 'static,
    {
        let (core, space) = (Arc::clone(self.cache.core()), Arc::clone(&self.space));
        // Made before the task, which a runtime that is shutting down may never run.
        let landing = Landing { core: Arc::clone(&core), space: Arc::clone(&space), flight: Arc::clone(&flight) };
        let load = Load { core, space, flight, weigher: self.weigher };
        tokio::spawn(load.fly(landing, refresh, loader).in_current_span());
    }

    /// Waits for a flight; with a stale entry at hand, no longer than the soft timeout.
    async fn land(&self, flight: &Flight) -> Landed {
        let core = self.cache.core();
        let cut_off = || CacheError::CutOff { namespace: Arc::clone(&self.space.name) };
        let mut progress = flight.watch().ok_or_else(cut_off)?;
        let over = |progress: &Progress| matches!(progress, Progress::Done(_));
        if let Some(soft) = self.space.rules.soft_timeout {
            let end = core.timeline.instant(flight.began.after(soft));
            if timeout_at(end.into(), progress.wait_for(over)).await.is_err() {
                // It may be found in Redis later than that.
                let found = |progress: &Progress| over(progress) || matches!(progress, Progress::Loading(Some(_)));
                let _ = progress.wait_for(found).await;
                if let Some(stale) = flight.stale() {
                    let now = core.timeline.now();
                    if flight.is_current(core.epoch()) && core.is_servable(&stale, now) && stale.is_usable_stale(now) {
                        return Ok((stale, From::Stale));
                    }
                }
            }
        }
        match progress.wait_for(over).await.as_deref() {
            Ok(Progress::Done(outcome)) => outcome.clone(),
            // The flight outlives its watchers, and always ends.
            Ok(Progress::Loading(_)) | Err(_) => Err(cut_off()),
        }
    }
}

impl<V> Clone for Namespace<V> {
    fn clone(&self) -> Self {
        let (cache, space) = (self.cache.clone(), Arc::clone(&self.space));
        Self { cache, space, weigher: self.weigher, value: PhantomData }
    }
}

impl<V> fmt::Debug for Namespace<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespace").field("name", &self.space.name).finish_non_exhaustive()
    }
}
