use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::entry::Entry;
use super::error::CacheError;
use super::key::{self, EntryKey, KeyRef};
use super::tag::TagCell;
use super::time::Tick;

const SHARDS: usize = 64;

/// What a flight is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A value.
    Load,
    /// A value, or that there is none.
    LoadOptional,
    /// What Redis has; nobody waits for it.
    Peek,
}

/// How far a flight is.
#[derive(Clone, Debug)]
pub(super) enum Progress {
    /// Under way; with what may be served if it fails or takes long.
    Loading(Option<Arc<Entry>>),
    /// Over.
    Done(Landed),
}

/// What a flight has brought, and from where.
pub(super) type Landed = Result<(Arc<Entry>, From), CacheError>;

/// Where an entry came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Loader,
    Redis,
    /// It is a stale one, since the loader failed.
    Stale,
}

/// A load of one key in this process, with all who wait for it.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) key: EntryKey,
    pub(super) purpose: Purpose,
    pub(super) began: Tick,
    pub(super) epoch: u64,
    /// The tags that its entry will have, and how often each had been invalidated when it began.
    pub(super) cells: Box<[(Arc<TagCell>, u64)]>,
    /// What it loads may be given to those who wait, and not be kept.
    doomed: AtomicBool,
    landed: AtomicBool,
    /// For those who wait; nobody waits for a peek.
    progress: Option<watch::Sender<Progress>>,
}

impl Flight {
    pub(super) fn new(
        key: EntryKey,
        purpose: Purpose,
        began: Tick,
        epoch: u64,
        cells: Box<[(Arc<TagCell>, u64)]>,
        stale: Option<Arc<Entry>>,
    ) -> Self {
        let progress = (purpose != Purpose::Peek).then(|| watch::Sender::new(Progress::Loading(stale)));
        let [doomed, landed] = [false; 2].map(AtomicBool::new);
        Self { key, purpose, began, epoch, cells, doomed, landed, progress }
    }

    /// Whether no invalidation has come since it began that this process has heard of.
    pub(super) fn is_current(&self, epoch: u64) -> bool {
        self.epoch == epoch
            && !self.doomed.load(Ordering::Acquire)
            && self.cells.iter().all(|(cell, changes)| cell.changes() == *changes)
    }

    pub(super) fn names(&self, tags: &[&str]) -> bool {
        tags.iter().all(|tag| self.cells.iter().any(|(cell, _)| cell.is_tag(&key::written(tag))))
    }

    pub(super) fn doom(&self) {
        self.doomed.store(true, Ordering::Release);
    }

    /// For those who wait; `None` for a peek.
    pub(super) fn watch(&self) -> Option<watch::Receiver<Progress>> {
        self.progress.as_ref().map(watch::Sender::subscribe)
    }

    /// What may be served if it fails or takes long.
    pub(super) fn stale(&self) -> Option<Arc<Entry>> {
        match &*self.progress.as_ref()?.borrow() {
            Progress::Loading(stale) => stale.clone(),
            Progress::Done(_) => None,
        }
    }

    /// Offers what was found meanwhile, if there is nothing yet.
    pub(super) fn offer(&self, found: Arc<Entry>) {
        let Some(progress) = &self.progress else { return };
        progress.send_if_modified(|progress| match progress {
            Progress::Loading(stale @ None) => {
                *stale = Some(found);
                true
            }
            Progress::Loading(Some(_)) | Progress::Done(_) => false,
        });
    }

    pub(super) fn finish(&self, outcome: Landed) {
        self.landed.store(true, Ordering::Release);
        if let Some(progress) = &self.progress {
            progress.send_replace(Progress::Done(outcome));
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.landed.load(Ordering::Acquire)
    }
}

/// The flights under way. A shard's lock is held while one begins, ends, or its key is invalidated, so that these have an
/// order.
#[derive(Debug)]
pub(super) struct Flights {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
}

pub(super) type Shard = HashMap<EntryKey, Arc<Flight>>;

impl Flights {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), hasher: RandomState::new() }
    }

    pub(super) fn shard(&self, key: KeyRef<'_>) -> MutexGuard<'_, Shard> {
        let at = self.hasher.hash_one(key) as usize % SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a flight out of its shard, unless another one has taken its place.
pub(super) fn remove(shard: &mut Shard, flight: &Arc<Flight>) {
    if shard.get(&flight.key).is_some_and(|known| Arc::ptr_eq(known, flight)) {
        shard.remove(&flight.key);
    }
}
