use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use super::entry::Entry;
use super::key::{EntryKey, KeyRef};
use super::time::Timeline;

/// The first level: what this process keeps, of all namespaces together.
#[derive(Debug)]
pub(super) struct Level1(Option<Cache<EntryKey, Arc<Entry>>>);

impl Level1 {
    /// Of so much weight; of none with 0.
    pub(super) fn new(capacity: u64, timeline: Timeline) -> Self {
        let build = || {
            Cache::builder()
                .max_capacity(capacity)
                .weigher(|_, entry: &Arc<Entry>| entry.weight.max(1))
                .expire_after(End(timeline))
                .eviction_listener(|_, entry, cause| {
                    if cause.was_evicted() {
                        entry.space.counters.evicted();
                    }
                })
                .build()
        };
        Self((capacity > 0).then(build))
    }

    pub(super) fn get(&self, key: KeyRef<'_>) -> Option<Arc<Entry>> {
        self.0.as_ref()?.get(&key)
    }

    pub(super) fn insert(&self, key: EntryKey, entry: Arc<Entry>) {
        if let Some(cache) = &self.0 {
            cache.insert(key, entry);
        }
    }

    /// Takes an entry out; whoever holds it sees that it was.
    pub(super) fn revoke(&self, key: KeyRef<'_>) {
        if let Some(entry) = self.0.as_ref().and_then(|cache| cache.remove(&key)) {
            entry.revoked.store(true, Ordering::Release);
        }
    }

    /// Frees what no epoch counts any more.
    pub(super) fn clear(&self) {
        if let Some(cache) = &self.0 {
            cache.invalidate_all();
        }
    }

    /// How many entries there are, and what they weigh; some of them may have ended.
    pub(super) fn size(&self) -> (u64, u64) {
        self.0.as_ref().map_or((0, 0), |cache| (cache.entry_count(), cache.weighted_size()))
    }
}

/// When an entry leaves for good.
#[derive(Debug)]
struct End(Timeline);

impl End {
    fn of(&self, entry: &Entry, now: Instant) -> Duration {
        let rest = self.0.instant(entry.dead_at).saturating_duration_since(now);
        entry.idle.map_or(rest, |idle| idle.min(rest))
    }
}

impl Expiry<EntryKey, Arc<Entry>> for End {
    fn expire_after_create(&self, _: &EntryKey, entry: &Arc<Entry>, now: Instant) -> Option<Duration> {
        Some(self.of(entry, now))
    }

    fn expire_after_read(
        &self,
        _: &EntryKey,
        entry: &Arc<Entry>,
        now: Instant,
        rest: Option<Duration>,
        _: Instant,
    ) -> Option<Duration> {
        // Only an idle time begins anew; the end of an entry stays.
        if entry.idle.is_some() { Some(self.of(entry, now)) } else { rest }
    }

    fn expire_after_update(
        &self,
        _: &EntryKey,
        entry: &Arc<Entry>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(self.of(entry, now))
    }
}
