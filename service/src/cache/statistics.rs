use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use serde::Serialize;

/// Cells that a number which every read increments is spread over, so that threads do not wait for one another's cache line.
const STRIPES: usize = 16;

/// What a namespace of the cache has done since it was made.
///
/// Every read is one of: a hit of either level, a hit that says there is nothing, a stale one, or a miss. The numbers are
/// read one after the other while they grow, so that their sums may be off by those that are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// Reads that the first level answered with a value.
    pub l1_hits: u64,
    /// Reads that Redis answered with a value, those who waited for it included.
    pub l2_hits: u64,
    /// Reads that either level answered by saying that there is nothing.
    pub negative_hits: u64,
    /// Reads that were given a value past its TTL, because the loader failed or was slow.
    pub stale: u64,
    /// Reads that needed the loader, those who waited for another's included.
    pub misses: u64,
    /// Loaders that ran to their end, refreshes included.
    pub loads: u64,
    /// Loaders that failed, panicked or were given up.
    pub load_errors: u64,
    /// How long the loaders took together.
    pub load_time: Duration,
    /// The longest of them.
    pub longest_load: Duration,
    /// Values that Redis took.
    pub stores: u64,
    /// Values that were not stored because they were invalidated during their load.
    pub rejected_stores: u64,
    /// Values too large for Redis.
    pub oversized: u64,
    /// Reads of Redis that failed, and stores that did: it was down, or full.
    pub redis_errors: u64,
    /// Values in Redis that were altered, cut off, of another format, version or type; each counts as a miss.
    pub unreadable: u64,
    /// Entries that left the first level for want of room or because their time was over.
    pub evictions: u64,
    /// Invalidations of its keys, and of all of it, here or elsewhere as far as this process was told. Those of tags and of
    /// everything are no namespace's own.
    pub invalidations: u64,
}

impl Statistics {
    /// All reads.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.l1_hits + self.l2_hits + self.negative_hits + self.stale + self.misses
    }

    /// The share of reads that needed no loader, from 0 to 1; `None` before the first read.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits than a double has")]
    pub fn hit_ratio(&self) -> Option<f64> {
        let requests = self.requests();
        (requests > 0).then(|| (requests - self.misses) as f64 / requests as f64)
    }

    /// How long a loader took on the average.
    #[must_use]
    pub fn mean_load(&self) -> Option<Duration> {
        let loads = self.loads + self.load_errors;
        (loads > 0).then(|| Duration::from_nanos(nanos(self.load_time) / loads))
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            l1_hits: self.l1_hits + other.l1_hits,
            l2_hits: self.l2_hits + other.l2_hits,
            negative_hits: self.negative_hits + other.negative_hits,
            stale: self.stale + other.stale,
            misses: self.misses + other.misses,
            loads: self.loads + other.loads,
            load_errors: self.load_errors + other.load_errors,
            load_time: self.load_time + other.load_time,
            longest_load: self.longest_load.max(other.longest_load),
            stores: self.stores + other.stores,
            rejected_stores: self.rejected_stores + other.rejected_stores,
            oversized: self.oversized + other.oversized,
            redis_errors: self.redis_errors + other.redis_errors,
            unreadable: self.unreadable + other.unreadable,
            evictions: self.evictions + other.evictions,
            invalidations: self.invalidations + other.invalidations,
        }
    }
}

/// What a [`Cache`](super::Cache) holds and has done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CacheStatistics {
    /// Entries of the first level; those that have ended may be among them until the next loads.
    pub entries: u64,
    /// What they weigh together.
    pub weight: u64,
    /// All namespaces together.
    pub total: Statistics,
    /// Each namespace, by its name.
    pub namespaces: Vec<(Arc<str>, Statistics)>,
}

impl CacheStatistics {
    pub(super) fn of(entries: u64, weight: u64, mut namespaces: Vec<(Arc<str>, Statistics)>) -> Self {
        namespaces.sort_by(|(one, _), (other, _)| one.cmp(other));
        let total = namespaces.iter().fold(Statistics::default(), |sum, (_, one)| sum.plus(one));
        Self { entries, weight, total, namespaces }
    }

    /// Gives the numbers to the process's recorder of metrics: `cache.requests` by `cache.namespace` and `cache.outcome`,
    /// `cache.loads` and `cache.l2` likewise, `cache.invalidations`, `cache.evictions` and `cache.hit_ratio` by namespace,
    /// `cache.entries` and `cache.weight`. Reads cost nothing for it: call it as often as the metrics are looked at. How long
    /// each load took goes to `cache.load.duration`, in seconds, by itself.
    pub fn publish(&self) {
        for (name, statistics) in &self.namespaces {
            publish(name, statistics);
        }
        gauge!("cache.entries").set(float(self.entries));
        gauge!("cache.weight").set(float(self.weight));
    }
}

fn publish(name: &Arc<str>, is: &Statistics) {
    let namespace = || metrics::SharedString::from(Arc::clone(name));
    for (outcome, number) in [
        ("l1_hit", is.l1_hits),
        ("l2_hit", is.l2_hits),
        ("negative_hit", is.negative_hits),
        ("stale", is.stale),
        ("miss", is.misses),
    ] {
        counter!("cache.requests", "cache.namespace" => namespace(), "cache.outcome" => outcome).absolute(number);
    }
    for (outcome, number) in [("ok", is.loads), ("error", is.load_errors)] {
        counter!("cache.loads", "cache.namespace" => namespace(), "cache.outcome" => outcome).absolute(number);
    }
    for (outcome, number) in [
        ("stored", is.stores),
        ("rejected", is.rejected_stores),
        ("oversized", is.oversized),
        ("error", is.redis_errors),
        ("unreadable", is.unreadable),
    ] {
        counter!("cache.l2", "cache.namespace" => namespace(), "cache.outcome" => outcome).absolute(number);
    }
    counter!("cache.evictions", "cache.namespace" => namespace()).absolute(is.evictions);
    counter!("cache.invalidations", "cache.namespace" => namespace()).absolute(is.invalidations);
    if let Some(ratio) = is.hit_ratio() {
        gauge!("cache.hit_ratio", "cache.namespace" => namespace()).set(ratio);
    }
}

/// The numbers of a namespace, as they grow. A hit of the first level is one increment that no other thread waits for.
#[derive(Debug)]
pub(super) struct Counters {
    namespace: Arc<str>,
    l1_hits: Striped,
    rest: Padded<Numbers>,
}

#[derive(Debug, Default)]
struct Numbers {
    l2_hits: AtomicU64,
    negative_hits: AtomicU64,
    stale: AtomicU64,
    misses: AtomicU64,
    loads: AtomicU64,
    load_errors: AtomicU64,
    load_nanos: AtomicU64,
    longest_load_nanos: AtomicU64,
    stores: AtomicU64,
    rejected_stores: AtomicU64,
    oversized: AtomicU64,
    redis_errors: AtomicU64,
    unreadable: AtomicU64,
    evictions: AtomicU64,
    invalidations: AtomicU64,
}

impl Counters {
    pub(super) fn new(namespace: Arc<str>) -> Self {
        Self { namespace, l1_hits: Striped::default(), rest: Padded::default() }
    }

    /// A read was answered by the first level.
    pub(super) fn hit_l1(&self) {
        self.l1_hits.increment();
    }

    /// A read was answered by Redis.
    pub(super) fn hit_l2(&self) {
        increment(&self.rest.0.l2_hits);
    }

    /// A read was told that there is nothing, by either level.
    pub(super) fn hit_negative(&self) {
        increment(&self.rest.0.negative_hits);
    }

    /// A read was given a value past its TTL.
    pub(super) fn served_stale(&self) {
        increment(&self.rest.0.stale);
    }

    /// A read needed the loader.
    pub(super) fn miss(&self) {
        increment(&self.rest.0.misses);
    }

    /// A loader ended.
    pub(super) fn loaded(&self, took: Duration, well: bool) {
        let numbers = &self.rest.0;
        increment(if well { &numbers.loads } else { &numbers.load_errors });
        numbers.load_nanos.fetch_add(nanos(took), Ordering::Relaxed);
        numbers.longest_load_nanos.fetch_max(nanos(took), Ordering::Relaxed);
        let namespace = metrics::SharedString::from(Arc::clone(&self.namespace));
        let outcome = if well { "ok" } else { "error" };
        histogram!("cache.load.duration", "cache.namespace" => namespace, "cache.outcome" => outcome).record(took);
    }

    /// Redis took a value.
    pub(super) fn stored(&self) {
        increment(&self.rest.0.stores);
    }

    /// A value was invalidated during its load.
    pub(super) fn rejected(&self) {
        increment(&self.rest.0.rejected_stores);
    }

    /// A value was too large for Redis.
    pub(super) fn oversized(&self) {
        increment(&self.rest.0.oversized);
    }

    /// Redis failed.
    pub(super) fn redis_failed(&self) {
        increment(&self.rest.0.redis_errors);
    }

    /// A value in Redis could not be read.
    pub(super) fn unreadable(&self) {
        increment(&self.rest.0.unreadable);
    }

    /// An entry left the first level by itself.
    pub(super) fn evicted(&self) {
        increment(&self.rest.0.evictions);
    }

    /// A key or the namespace was invalidated.
    pub(super) fn invalidated(&self) {
        increment(&self.rest.0.invalidations);
    }

    /// Whether Redis had most of what the first level had not.
    pub(super) fn is_mostly_shared(&self) -> bool {
        let numbers = &self.rest.0;
        numbers.l2_hits.load(Ordering::Relaxed) > numbers.misses.load(Ordering::Relaxed)
    }

    /// The numbers now.
    pub(super) fn read(&self) -> Statistics {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let numbers = &self.rest.0;
        Statistics {
            l1_hits: self.l1_hits.read(),
            l2_hits: read(&numbers.l2_hits),
            negative_hits: read(&numbers.negative_hits),
            stale: read(&numbers.stale),
            misses: read(&numbers.misses),
            loads: read(&numbers.loads),
            load_errors: read(&numbers.load_errors),
            load_time: Duration::from_nanos(read(&numbers.load_nanos)),
            longest_load: Duration::from_nanos(read(&numbers.longest_load_nanos)),
            stores: read(&numbers.stores),
            rejected_stores: read(&numbers.rejected_stores),
            oversized: read(&numbers.oversized),
            redis_errors: read(&numbers.redis_errors),
            unreadable: read(&numbers.unreadable),
            evictions: read(&numbers.evictions),
            invalidations: read(&numbers.invalidations),
        }
    }
}

fn increment(number: &AtomicU64) {
    number.fetch_add(1, Ordering::Relaxed);
}

/// Alone in its cache lines; processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

/// A number of many cells, of which a thread uses one.
#[derive(Debug, Default)]
struct Striped([Padded<AtomicU64>; STRIPES]);

impl Striped {
    fn increment(&self) {
        increment(&self.0[stripe()].0);
    }

    fn read(&self) -> u64 {
        self.0.iter().map(|cell| cell.0.load(Ordering::Relaxed)).sum()
    }
}

/// The calling thread's cell.
fn stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        mine.get() % STRIPES
    })
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_hit_is_lost_between_threads() {
        let counters = Counters::new("products".into());
        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..1_000).for_each(|_| counters.hit_l1()));
            }
        });
        assert_eq!(counters.read().l1_hits, 1_000 * 2 * STRIPES as u64);
    }

    #[test]
    fn the_ratio_is_of_all_reads() {
        let counters = Counters::new("products".into());
        assert_eq!(counters.read().hit_ratio(), None);
        counters.hit_l1();
        counters.hit_l2();
        counters.hit_negative();
        counters.miss();
        counters.loaded(Duration::from_millis(3), true);
        counters.loaded(Duration::from_millis(5), false);
        let statistics = counters.read();
        assert_eq!((statistics.requests(), statistics.hit_ratio()), (4, Some(0.75)));
        assert_eq!(statistics.mean_load(), Some(Duration::from_millis(4)));
        assert_eq!(statistics.longest_load, Duration::from_millis(5));

        let both = CacheStatistics::of(2, 2, vec![("b".into(), statistics), ("a".into(), statistics)]);
        assert_eq!(both.total.requests(), 8);
        assert_eq!(&*both.namespaces[0].0, "a");
    }
}
