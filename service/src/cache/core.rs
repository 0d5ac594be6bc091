use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::backplane::{self, Backplane};
use super::entry::Entry;
use super::error::CacheError;
use super::flight::{Flight, Flights, Landed, Purpose, remove};
use super::key::{self, KeyRef};
use super::level1::Level1;
use super::level2::Level2;
use super::options::CacheOptions;
use super::space::{Space, Spaces};
use super::tag::{TagCell, Tags};
use super::target::Target;
use super::time::{Tick, Timeline};
use crate::redis::Redis;

/// Entries that are over which a load takes out of the first level at most, so that it does not wait long.
const SWEPT: usize = 64;

/// What the clones of a cache share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) options: CacheOptions,
    pub(super) timeline: Timeline,
    pub(super) level1: Level1,
    pub(super) flights: Flights,
    pub(super) tags: Tags,
    /// The tag that every entry has.
    pub(super) root: Arc<TagCell>,
    pub(super) spaces: Spaces,
    pub(super) level2: Option<Arc<Level2>>,
    pub(super) backplane: Backplane,
    /// Entries and loads of an earlier epoch count no more.
    epoch: AtomicU64,
    /// Everything that was announced before this moment is known here.
    confirmed: AtomicU64,
    /// What listens and proves, if anything does.
    task: Mutex<Option<AbortHandle>>,
}

/// What the first level says.
#[derive(Debug)]
pub(super) enum Found {
    Fresh(Arc<Entry>),
    /// Its TTL is over, and its loader failed a moment ago: it is served all the same.
    Throttled(Arc<Entry>),
    /// It may be served if its loader fails.
    Stale(Arc<Entry>),
    Nothing,
}

/// How a caller gets what the first level has not.
#[derive(Debug)]
pub(super) enum Boarded {
    /// Somebody else has loaded it meanwhile.
    Found(Arc<Entry>),
    /// Somebody else is loading it.
    Joined(Arc<Flight>),
    /// The caller is to load it.
    Began(Arc<Flight>),
}

impl Core {
    pub(super) fn new(options: CacheOptions, redis: Option<Redis>) -> Self {
        let timeline = Timeline::start();
        Self {
            timeline,
            level1: Level1::new(options.l1_capacity),
            flights: Flights::new(),
            tags: Tags::new(),
            root: Arc::new(TagCell::new("root")),
            spaces: Spaces::default(),
            level2: redis.map(|redis| Arc::new(Level2::new(redis, &options.prefix))),
            backplane: Backplane::default(),
            epoch: AtomicU64::new(1),
            confirmed: AtomicU64::new(0),
            task: Mutex::default(),
            options,
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Listens to the other instances from now on, if there is a Redis and a runtime. What the runtime that it did so on has
    /// taken along with it is begun anew.
    pub(super) fn listen(self: &Arc<Self>) {
        let Some(level2) = &self.level2 else { return };
        let mut task = self.task();
        if task.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let run = backplane::run(Arc::downgrade(self), Arc::clone(level2));
            *task = Some(runtime.spawn(run).abort_handle());
        }
    }

    /// Listens no more, until it is asked to again.
    pub(super) fn silence(&self) {
        if let Some(task) = self.task().take() {
            task.abort();
        }
    }

    fn task(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was announced before `at` is known here.
    pub(super) fn confirm(&self, at: Tick) {
        self.confirmed.fetch_max(at.0, Ordering::AcqRel);
    }

    /// Until when it is known that nothing was missed.
    pub(super) fn confirmed(&self) -> Tick {
        Tick(self.confirmed.load(Ordering::Acquire))
    }

    /// Whether what was the newest at `as_of` may be taken for it now.
    pub(super) fn is_within_staleness(&self, as_of: Tick, now: Tick) -> bool {
        self.level2.is_none() || now <= as_of.max(self.confirmed()).after(self.options.max_staleness)
    }

    pub(super) fn is_servable(&self, entry: &Entry, now: Tick) -> bool {
        entry.is_current(self.epoch()) && self.is_within_staleness(entry.as_of, now)
    }

    /// Looks into the first level; `optional`: whether a negative entry is an answer.
    #[inline]
    pub(super) fn find(&self, key: KeyRef<'_>, tags: &[&str], optional: bool, now: Tick) -> Found {
        let Some(entry) = self.level1.get(key) else { return Found::Nothing };
        if !self.is_servable(&entry, now) || !entry.names(tags) || (entry.value.is_none() && !optional) {
            return Found::Nothing;
        }
        if !entry.touch(now) {
            Found::Nothing
        } else if entry.is_fresh(now) {
            Found::Fresh(entry)
        } else if !entry.is_usable_stale(now) {
            Found::Nothing
        } else if entry.is_throttled(now) {
            Found::Throttled(entry)
        } else {
            Found::Stale(entry)
        }
    }

    /// Joins the flight of a key, or begins one. With `refresh`, a fresh entry is loaded anew.
    pub(super) fn board(
        &self,
        space: &Arc<Space>,
        key: KeyRef<'_>,
        tags: &[&str],
        purpose: Purpose,
        refresh: bool,
    ) -> Boarded {
        let owned = key.to_owned();
        let cells = self.cells(space, tags);
        let mut shard = self.flights.shard(key);
        let (now, epoch) = (self.timeline.now(), self.epoch());
        if let Some(flight) = shard.get(&owned) {
            let suits = match flight.purpose {
                Purpose::Load => purpose != Purpose::Peek,
                Purpose::LoadOptional => purpose == Purpose::LoadOptional,
                Purpose::Peek => false,
            };
            if suits && flight.is_current(epoch) && flight.names(tags) && self.is_within_staleness(flight.began, now) {
                return Boarded::Joined(Arc::clone(flight));
            }
        }
        let stale = match self.find(key, tags, purpose != Purpose::Load, now) {
            Found::Fresh(entry) if refresh => Some(entry),
            Found::Stale(entry) => Some(entry),
            Found::Nothing => None,
            Found::Fresh(entry) | Found::Throttled(entry) => return Boarded::Found(entry),
        };
        let flight = Arc::new(Flight::new(owned.clone(), purpose, now, epoch, cells, stale));
        if let Some(other) = shard.insert(owned, Arc::clone(&flight)) {
            // Whoever waits for it is given what it loads; it is not kept.
            other.doom();
        }
        Boarded::Began(flight)
    }

    /// Begins a flight that reads Redis and loads nothing; `false` if another one is under way: then it keeps nothing.
    pub(super) fn peek(&self, space: &Space, key: KeyRef<'_>, tags: &[&str]) -> (Arc<Flight>, bool) {
        let (owned, cells) = (key.to_owned(), self.cells(space, tags));
        let mut shard = self.flights.shard(key);
        let (now, epoch) = (self.timeline.now(), self.epoch());
        let flight = Arc::new(Flight::new(owned.clone(), Purpose::Peek, now, epoch, cells, None));
        let alone = !shard.contains_key(&owned);
        if alone {
            shard.insert(owned, Arc::clone(&flight));
        }
        (flight, alone)
    }

    /// Ends a flight: keeps its entry if it may, and gives it to all who wait.
    pub(super) fn land(&self, flight: &Arc<Flight>, outcome: Landed, keep: bool) {
        let mut shard = self.flights.shard(flight.key.borrowed());
        remove(&mut shard, flight);
        if let (true, Ok((entry, _)), true) = (keep, &outcome, flight.is_current(self.epoch())) {
            self.level1.insert(entry, self.timeline.now());
        }
        drop(shard);
        flight.finish(outcome);
        self.sweep();
    }

    /// Takes entries that are over out of the first level.
    pub(super) fn sweep(&self) {
        let now = self.timeline.now();
        for entry in self.level1.ended(now, SWEPT) {
            // Entries come under this lock, so that none takes its place in between.
            let _shard = self.flights.shard(entry.key.borrowed());
            self.level1.remove(&entry, now);
        }
    }

    /// Invalidates in this process: what is kept, and what is being loaded. What begins after it is not touched. Keys and
    /// tags come as they are written.
    pub(super) fn invalidate_here(&self, targets: &[Target]) {
        for target in targets {
            match target {
                Target::Key { namespace, key } => {
                    if let Some(space) = self.spaces.find(namespace) {
                        self.revoke(KeyRef { namespace: space.id, key });
                    }
                }
                Target::Tag(tag) => self.tags.invalidate(&format!("t:{tag}")),
                Target::Namespace(namespace) => {
                    if let Some(space) = self.spaces.find(namespace) {
                        space.cell.invalidate();
                    }
                }
                Target::All => self.forget(),
            }
        }
    }

    /// Counts an invalidation that was asked for here, or heard of.
    pub(super) fn count(&self, targets: &[Target]) {
        for target in targets {
            if let Target::Key { namespace, .. } | Target::Namespace(namespace) = target
                && let Some(space) = self.spaces.find(namespace)
            {
                space.counters.invalidated();
            }
        }
    }

    /// Drops the first level, and what is known of tags: something may have been invalidated without this process hearing
    /// of it.
    pub(super) fn forget(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.root.invalidate();
        self.spaces.all().iter().for_each(|space| space.cell.invalidate());
        self.tags.invalidate_all();
        self.level1.clear();
    }

    fn revoke(&self, key: KeyRef<'_>) {
        let mut shard = self.flights.shard(key);
        if let Some(flight) = shard.remove(&key.to_owned()) {
            flight.doom();
        }
        self.level1.revoke(key);
    }

    fn cells(&self, space: &Space, tags: &[&str]) -> Box<[(Arc<TagCell>, u64)]> {
        let tags = tags.iter().map(|tag| self.tags.cell(&format!("t:{}", key::written(tag))));
        let all = [Arc::clone(&self.root), Arc::clone(&space.cell)].into_iter().chain(tags);
        all.map(|cell| (cell.changes(), cell)).map(|(changes, cell)| (cell, changes)).collect()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.silence();
    }
}

/// Sees that a flight ends, whatever becomes of its task.
#[derive(Debug)]
pub(super) struct Landing {
    pub(super) core: Arc<Core>,
    pub(super) flight: Arc<Flight>,
    pub(super) space: Arc<Space>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        if !self.flight.is_done() {
            let namespace = Arc::clone(&self.space.name);
            let error = match std::thread::panicking() {
                true => CacheError::Panicked { namespace },
                false => CacheError::CutOff { namespace },
            };
            self.core.land(&self.flight, Err(error), false);
        }
    }
}
