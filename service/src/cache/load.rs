use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::core::{Core, Landing};
use super::entry::{Entry, EntryMarks, Mark};
use super::error::CacheError;
use super::flight::{Flight, From};
use super::level2::Level2;
use super::shared::{Asked, Ticket};
use super::space::Space;
use super::tag::TagCell;
use super::time::Tick;
use crate::Error;

/// A flight that has begun: it loads, keeps, and tells all who wait.
pub(super) struct Load<V> {
    pub(super) core: Arc<Core>,
    pub(super) space: Arc<Space>,
    pub(super) flight: Arc<Flight>,
    pub(super) weigher: Option<fn(&V) -> u32>,
}

/// How long an entry lives from when it was loaded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    pub(super) fresh_for: Duration,
    pub(super) stale_for: Duration,
}

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Load<V> {
    /// Does it all; runs in a task of its own, so that no caller's end ends it; `landing` sees to its end. With `refresh`, an
    /// entry that is soon over is no answer.
    pub(super) async fn fly<F, Fut>(self, landing: Landing, refresh: bool, loader: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = Result<Option<V>, Error>> + Send + 'static,
    {
        let _landing = landing;
        let level2 = self.core.level2.as_deref().filter(|_| !self.space.rules.local_only);
        let asked = match level2 {
            Some(level2) => self.ask(level2, refresh).boxed().await,
            None => Asked::Alone,
        };
        let shared = match asked {
            Asked::Found(entry) => return self.core.land(&self.flight, Ok((entry, From::Redis)), true),
            Asked::Load(ticket) => level2.map(|level2| (level2, ticket)),
            Asked::Alone => None,
        };
        let marks = match &shared {
            Some((_, ticket)) => ticket.marks.clone(),
            None => self.local_marks(),
        };
        let began = self.core.timeline.now();
        let loaded = self.run(loader).await;
        self.space.counters.loaded(began.until(self.core.timeline.now()), loaded.is_ok());
        let kept = match loaded {
            Ok(value) => self.keep(value.map(Arc::new), shared.as_ref(), marks, began).boxed().await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            self.fail(error);
            if let Some((level2, ticket)) = &shared {
                self.give_up(level2, ticket).boxed().await;
            }
        }
    }

    async fn keep(
        &self,
        value: Option<Arc<V>>,
        shared: Option<&(&Level2, Ticket)>,
        marks: Box<[Mark]>,
        began: Tick,
    ) -> Result<(), CacheError> {
        let (rules, negative) = (&self.space.rules, value.is_none());
        let lifetime = Lifetime { fresh_for: rules.ttl_of(negative), stale_for: rules.stale_of(negative) };
        let keep = match shared {
            Some((level2, ticket)) => self.store(level2, ticket, value.as_deref(), lifetime).boxed().await?,
            None => true,
        };
        let entry = self.entry(value, marks, began, self.core.timeline.now(), lifetime);
        self.core.land(&self.flight, Ok((entry, From::Loader)), keep);
        Ok(())
    }

    fn local_marks(&self) -> Box<[Mark]> {
        let mark = |cell: &Arc<TagCell>| Mark { cell: Arc::clone(cell), generation: cell.generation_or_local() };
        self.flight.cells.iter().map(|(cell, _)| mark(cell)).collect()
    }

    /// Runs the loader to its end, its panic or its timeout.
    async fn run<F, Fut>(&self, loader: F) -> Result<Option<V>, CacheError>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<Option<V>, Error>>,
    {
        let (namespace, limit) = (&self.space.name, self.space.rules.hard_timeout);
        let caught = AssertUnwindSafe(async { loader().await }).catch_unwind();
        match timeout(limit, caught).await {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(CacheError::Load(Arc::new(error))),
            Ok(Err(_)) => Err(CacheError::Panicked { namespace: Arc::clone(namespace) }),
            Err(_) => Err(CacheError::Timeout { namespace: Arc::clone(namespace), limit }),
        }
    }

    /// Gives a stale entry to those who wait, if there is one that was not invalidated; else the error.
    fn fail(&self, error: CacheError) {
        let now = self.core.timeline.now();
        let stale = self.flight.stale().filter(|stale| {
            let current = self.flight.is_current(self.core.epoch());
            current && self.core.is_servable(stale, now) && stale.is_usable_stale(now)
        });
        let Some(stale) = stale else { return self.core.land(&self.flight, Err(error), false) };
        tracing::warn!(namespace = &*self.space.name, %error, "a loader failed; a stale entry of the cache is served");
        stale.retry_at.store(now.after(self.space.rules.throttle).0, Ordering::Relaxed);
        self.core.land(&self.flight, Ok((stale, From::Stale)), true);
    }

    /// An entry whose value was the newest at `as_of`, or newer, and which lives from `since`.
    pub(super) fn entry(
        &self,
        value: Option<Arc<V>>,
        marks: Box<[Mark]>,
        as_of: Tick,
        since: Tick,
        lifetime: Lifetime,
    ) -> Arc<Entry> {
        let rules = &self.space.rules;
        let refresh_at = match rules.refresh_ahead {
            share if share > 0.0 && value.is_some() => {
                since.after(lifetime.fresh_for.saturating_sub(rules.ttl.mul_f64(share)))
            }
            _ => Tick(u64::MAX),
        };
        Arc::new(Entry {
            weight: value.as_ref().zip(self.weigher).map_or(1, |(value, weigher)| weigher(value)),
            value: value.map(|value| value as Arc<dyn Any + Send + Sync>),
            marks: EntryMarks::new(marks),
            epoch: self.flight.epoch,
            as_of,
            fresh_until: since.after(lifetime.fresh_for),
            refresh_at,
            idle: rules.idle,
            revoked: AtomicBool::new(false),
            refreshing: AtomicBool::new(false),
            scheduled: AtomicBool::new(false),
            read_at: AtomicU64::new(since.0),
            dead_at: since.after(lifetime.fresh_for + lifetime.stale_for),
            retry_at: AtomicU64::new(0),
            space: Arc::clone(&self.space),
            key: self.flight.key.clone(),
        })
    }
}
