use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::time::Tick;

/// Generations that this process made up because it has no Redis to ask carry this bit; those of Redis never do.
const LOCAL: u64 = 1 << 63;
const SHARDS: usize = 16;
/// A shard looks for tags that nobody refers to any more when it has so many.
const SWEEP_AT: usize = 1_024;

/// What this process knows of a tag: the generation that its entries must have been loaded under.
#[derive(Debug, Default)]
pub(super) struct TagCell {
    name: Box<str>,
    /// 0: not known.
    generation: AtomicU64,
    /// When Redis was asked for it.
    known_at: AtomicU64,
    /// Until when Redis keeps it, at least.
    kept_until: AtomicU64,
    /// How often the tag was invalidated, as far as this process has heard. What was asked of Redis before an invalidation
    /// and answered after it is told apart by this.
    changes: AtomicU64,
    writing: Mutex<()>,
}

/// What is known of a tag at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) generation: u64,
    pub(super) at: Tick,
    pub(super) kept_until: Tick,
}

impl TagCell {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// What it is called in Redis: `t:` and the tag, `n:` and the namespace, or `root`.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is this tag's, as it is written.
    pub(super) fn is_tag(&self, written: &str) -> bool {
        self.name.strip_prefix("t:").is_some_and(|tag| tag == written)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// What Redis said, if it was asked.
    pub(super) fn known(&self) -> Option<Known> {
        let _writing = self.lock();
        let generation = self.generation();
        let at = Tick(self.known_at.load(Ordering::Acquire));
        let kept_until = Tick(self.kept_until.load(Ordering::Acquire));
        (generation != 0 && generation & LOCAL == 0).then_some(Known { generation, at, kept_until })
    }

    /// The generation, made up if it is not known.
    pub(super) fn generation_or_local(&self) -> u64 {
        let _writing = self.lock();
        match self.generation() {
            0 => {
                let generation = LOCAL | fastrand::u64(1..LOCAL);
                self.generation.store(generation, Ordering::Release);
                generation
            }
            generation => generation,
        }
    }

    /// Takes Redis's answer to a question that was asked when there had been so many changes; not if there were more since.
    /// Redis keeps it for `ttl` from then on, or longer if somebody else asked for that.
    pub(super) fn learn(&self, generation: u64, asked_at: Tick, ttl: Duration, changes: u64) -> bool {
        let _writing = self.lock();
        if self.changes() != changes {
            return false;
        }
        let generation = generation & !LOCAL;
        let known = if self.generation() == generation { self.kept_until.load(Ordering::Acquire) } else { 0 };
        self.kept_until.store(asked_at.after(ttl).0.max(known), Ordering::Release);
        self.generation.store(generation, Ordering::Release);
        self.known_at.store(asked_at.0, Ordering::Release);
        true
    }

    /// Makes every entry that was loaded under it invalid, and every load that has begun.
    pub(super) fn invalidate(&self) {
        let _writing = self.lock();
        self.generation.store(0, Ordering::Release);
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tags that entries and loads of this process refer to, each once.
#[derive(Debug)]
pub(super) struct Tags {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    cells: HashMap<Box<str>, Arc<TagCell>>,
    sweep_at: usize,
}

impl Tags {
    pub(super) fn new() -> Self {
        Self { shards: Default::default(), hasher: RandomState::new() }
    }

    /// The cell of a tag, by its name in Redis.
    pub(super) fn cell(&self, name: &str) -> Arc<TagCell> {
        let mut shard = self.shard(name);
        if let Some(cell) = shard.cells.get(name) {
            return Arc::clone(cell);
        }
        if shard.cells.len() >= shard.sweep_at.max(SWEEP_AT) {
            shard.cells.retain(|_, cell| Arc::strong_count(cell) > 1);
            shard.sweep_at = shard.cells.len() * 2;
        }
        let cell = Arc::new(TagCell::new(name));
        shard.cells.insert(name.into(), Arc::clone(&cell));
        cell
    }

    /// Invalidates a tag; one that nothing here refers to needs none of it.
    pub(super) fn invalidate(&self, name: &str) {
        if let Some(cell) = self.shard(name).cells.get(name) {
            cell.invalidate();
        }
    }

    /// Forgets every generation.
    pub(super) fn invalidate_all(&self) {
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.cells.values().for_each(|cell| cell.invalidate());
        }
    }

    fn shard(&self, name: &str) -> MutexGuard<'_, Shard> {
        let at = self.hasher.hash_one(name) as usize % SHARDS;
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
