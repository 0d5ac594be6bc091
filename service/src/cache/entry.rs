use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::key::{self, EntryKey};
use super::space::Space;
use super::tag::TagCell;
use super::time::Tick;

/// A tag of an entry, and the generation that it was loaded under.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) cell: Arc<TagCell>,
    pub(super) generation: u64,
}

/// A value in the process. What it may be served for is decided at every read.
///
/// What every hit looks at comes first and together: a hit waits for memory more than for anything else.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Entry {
    /// `None`: there is nothing, which was looked for.
    pub(super) value: Option<Arc<dyn Any + Send + Sync>>,
    pub(super) marks: EntryMarks,
    pub(super) epoch: u64,
    /// The value was the newest at this moment, or newer.
    pub(super) as_of: Tick,
    pub(super) fresh_until: Tick,
    pub(super) refresh_at: Tick,
    pub(super) idle: Option<Duration>,
    /// Its key was invalidated.
    pub(super) revoked: AtomicBool,
    /// A refresh has begun.
    pub(super) refreshing: AtomicBool,
    /// The first level knows when it ends.
    pub(super) scheduled: AtomicBool,
    pub(super) weight: u32,
    /// When it was last read, if it has an idle time.
    pub(super) read_at: AtomicU64,
    /// The end of its use as a stale one.
    pub(super) dead_at: Tick,
    /// The loader failed and is not asked before then.
    pub(super) retry_at: AtomicU64,
    pub(super) space: Arc<Space>,
    pub(super) key: EntryKey,
}

/// The tags of an entry: the root's and the namespace's in it, since every entry has them; the others elsewhere.
#[derive(Debug)]
pub(super) struct EntryMarks {
    root: Option<Mark>,
    namespace: Option<Mark>,
    tags: Box<[Mark]>,
}

impl EntryMarks {
    /// Of the root, the namespace, and the tags, in this order.
    pub(super) fn new(marks: Box<[Mark]>) -> Self {
        let mut marks = marks.into_iter();
        Self { root: marks.next(), namespace: marks.next(), tags: marks.collect() }
    }

    fn all(&self) -> impl Iterator<Item = &Mark> {
        self.root.iter().chain(&self.namespace).chain(&self.tags)
    }
}

impl Entry {
    /// Whether it was loaded after the last invalidation of its key and each of its tags that this process has heard of.
    pub(super) fn is_current(&self, epoch: u64) -> bool {
        self.epoch == epoch
            && !self.revoked.load(Ordering::Acquire)
            && self.marks.all().all(|mark| mark.cell.generation() == mark.generation)
    }

    /// Whether an invalidation of any of these tags invalidates it.
    pub(super) fn names(&self, tags: &[&str]) -> bool {
        let named = |tag| self.marks.tags.iter().any(|mark| mark.cell.is_tag(&key::written(tag)));
        tags.iter().all(|tag| named(tag))
    }

    pub(super) fn is_fresh(&self, now: Tick) -> bool {
        now < self.fresh_until
    }

    /// Whether it may be served because its loader fails or is slow.
    pub(super) fn is_usable_stale(&self, now: Tick) -> bool {
        now < self.dead_at
    }

    /// When it leaves for good, if nobody reads it before.
    pub(super) fn end(&self) -> Tick {
        match self.idle {
            Some(idle) => self.dead_at.min(Tick(self.read_at.load(Ordering::Relaxed)).after(idle)),
            None => self.dead_at,
        }
    }

    /// Whether it was read in its idle time; it begins anew then.
    pub(super) fn touch(&self, now: Tick) -> bool {
        let Some(idle) = self.idle else { return true };
        let in_time = now < Tick(self.read_at.load(Ordering::Relaxed)).after(idle);
        if in_time {
            self.read_at.fetch_max(now.0, Ordering::Relaxed);
        }
        in_time
    }

    pub(super) fn is_throttled(&self, now: Tick) -> bool {
        now.0 < self.retry_at.load(Ordering::Relaxed)
    }

    /// Whether the caller is to begin a refresh.
    pub(super) fn wants_refresh(&self, now: Tick) -> bool {
        now >= self.refresh_at && !self.refreshing.swap(true, Ordering::Relaxed)
    }

    /// Its value, if it is of that type; the inner `None` is a negative entry.
    pub(super) fn value<V: Send + Sync + 'static>(&self) -> Option<Option<Arc<V>>> {
        match &self.value {
            None => Some(None),
            Some(value) => Arc::clone(value).downcast().ok().map(Some),
        }
    }
}
