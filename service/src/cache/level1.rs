use std::sync::Arc;
use std::sync::atomic::Ordering;

use moka::sync::Cache;

use super::ends::Ends;
use super::entry::Entry;
use super::key::{EntryKey, KeyRef};
use super::time::Tick;

/// The first level: what this process keeps, of all namespaces together.
#[derive(Debug)]
pub(super) struct Level1 {
    cache: Option<Cache<EntryKey, Arc<Entry>>>,
    ends: Ends<Entry>,
}

impl Level1 {
    /// Of so much weight; of none with 0.
    pub(super) fn new(capacity: u64) -> Self {
        let build = || {
            Cache::builder()
                .max_capacity(capacity)
                .weigher(|_, entry: &Arc<Entry>| entry.weight.max(1))
                .eviction_listener(|_, entry, cause| {
                    if cause.was_evicted() {
                        entry.space.counters.evicted();
                    }
                })
                .build()
        };
        Self { cache: (capacity > 0).then(build), ends: Ends::new() }
    }

    pub(super) fn get(&self, key: KeyRef<'_>) -> Option<Arc<Entry>> {
        self.cache.as_ref()?.get(&key)
    }

    pub(super) fn insert(&self, entry: &Arc<Entry>, now: Tick) {
        if let Some(cache) = &self.cache {
            entry.read_at.fetch_max(now.0, Ordering::Relaxed);
            cache.insert(entry.key.clone(), Arc::clone(entry));
            self.schedule(entry);
        }
    }

    /// A stale entry comes again and again, and waits for its end once.
    fn schedule(&self, entry: &Arc<Entry>) {
        if !entry.scheduled.swap(true, Ordering::Relaxed) {
            self.ends.push(entry.end(), entry);
        }
    }

    /// Takes an entry out; whoever holds it sees that it was.
    pub(super) fn revoke(&self, key: KeyRef<'_>) {
        if let Some(entry) = self.cache.as_ref().and_then(|cache| cache.remove(&key)) {
            entry.revoked.store(true, Ordering::Release);
        }
    }

    /// Entries that are over and may still be here, so many at most; each is to be [removed](Self::remove).
    pub(super) fn ended(&self, now: Tick, most: usize) -> Vec<Arc<Entry>> {
        self.ends.take(now, most, Entry::end)
    }

    /// Takes out an entry that is over, unless another one has taken its place. Nothing may be inserted under its key
    /// meanwhile.
    pub(super) fn remove(&self, entry: &Arc<Entry>, now: Tick) {
        entry.scheduled.store(false, Ordering::Relaxed);
        let (Some(cache), key) = (&self.cache, entry.key.borrowed()) else { return };
        if cache.get(&key).is_none_or(|kept| !Arc::ptr_eq(&kept, entry)) {
            return;
        }
        if now < entry.end() {
            // It came again after it was found to be over.
            self.schedule(entry);
        } else if cache.remove(&key).is_some() {
            entry.space.counters.evicted();
        }
    }

    /// Frees what no epoch counts any more.
    pub(super) fn clear(&self) {
        if let Some(cache) = &self.cache {
            cache.invalidate_all();
        }
    }

    /// How many entries there are, and what they weigh; some of them may have ended.
    pub(super) fn size(&self) -> (u64, u64) {
        self.cache.as_ref().map_or((0, 0), |cache| (cache.entry_count(), cache.weighted_size()))
    }
}
