//! The part of a load that has to do with Redis.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::try_join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::codec::{self, CodecError, Header, Stored};
use super::entry::{Entry, Mark};
use super::error::CacheError;
use super::flight::Purpose;
use super::level2::{Asking, Keys, Level2, Session};
use super::load::{Lifetime, Load};
use super::tag::TagCell;
use super::time::Tick;
use crate::redis::RedisError;

/// The pauses between looks at what another instance loads: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);
/// How many bytes at its beginning tell a stored value from all others.
const STAMP: usize = 8;

/// The tags of an entry, of which Redis was asked before its load.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    /// Each, and whether Redis was asked just now.
    marks: Vec<(Mark, bool)>,
    /// They were current at this moment, or later.
    as_of: Tick,
}

impl Marks {
    fn none(capacity: usize) -> Self {
        Self { marks: Vec::with_capacity(capacity), as_of: Tick(u64::MAX) }
    }

    fn add(&mut self, (mark, fetched, as_of): (Mark, bool, Tick)) {
        self.marks.push((mark, fetched));
        self.as_of = self.as_of.min(as_of);
    }
}

/// How a load goes on once Redis was asked.
pub(super) enum Asked {
    /// Its value was there.
    Found(Arc<Entry>),
    /// Load it, and store it.
    Load(Ticket),
    /// Load it; Redis cannot be used now.
    Alone,
}

/// What it takes to store a load.
pub(super) struct Ticket {
    session: Session,
    keys: Keys,
    generation: Vec<u8>,
    token: [u8; 16],
    pub(super) marks: Box<[Mark]>,
}

/// What became of a value that Redis has.
enum Read {
    Fresh(Arc<Entry>),
    /// It is over, and may be served if the loader fails.
    Stale(Arc<Entry>),
    Useless,
}

impl<V: Serialize + DeserializeOwned + Send + Sync + 'static> Load<V> {
    /// Asks Redis for the value, and whether to load it. Waits a bounded time for another instance that does.
    pub(super) async fn ask(&self, level2: &Level2, refresh: bool) -> Asked {
        match self.try_ask(level2, refresh).await {
            Ok(asked) => asked,
            Err(error) => {
                self.space.counters.redis_failed();
                tracing::debug!(namespace = &*self.space.name, %error, "a load of the cache goes on without Redis");
                Asked::Alone
            }
        }
    }

    async fn try_ask(&self, level2: &Level2, refresh: bool) -> Result<Asked, RedisError> {
        let Some(session) = level2.session().await else { return Ok(Asked::Alone) };
        let (core, rules) = (&self.core, &self.space.rules);
        let keys = level2.keys(&self.space.name, self.flight.key.borrowed());
        let token = fastrand::u128(..).to_be_bytes();
        let (mut rejected, mut pause) = (Vec::new(), FIRST_PAUSE);
        let patience = core.timeline.now().after(rules.wait_for_others);
        loop {
            let asking = Asking {
                keys: &keys,
                token: &token,
                longest_load: rules.hard_timeout + Duration::from_secs(1),
                mark_for: rules.wait_for_others.max(Duration::from_millis(1)),
                refresh_below: if refresh { rules.ttl.mul_f64(rules.refresh_ahead) } else { Duration::ZERO },
                rejected: &rejected,
            };
            let asked_at = core.timeline.now();
            let (begun, marks) = tokio::try_join!(level2.begin(&asking), self.marks(level2))?;
            if !level2.is_still(session) {
                return Ok(Asked::Alone);
            }
            if let Some(value) = &begun.value {
                let read = self.read((level2, session), value, begun.left, asked_at, marks.clone()).await?;
                if !level2.is_still(session) {
                    return Ok(Asked::Alone);
                }
                match read {
                    Read::Fresh(entry) if begun.generation.is_none() => return Ok(Asked::Found(entry)),
                    Read::Fresh(entry) | Read::Stale(entry) => self.flight.offer(entry),
                    Read::Useless => {
                        rejected = value.iter().copied().take(STAMP).collect();
                        if begun.generation.is_none() {
                            continue;
                        }
                    }
                }
            }
            let Some(generation) = begun.generation else { return Ok(Asked::Alone) };
            if begun.first || asked_at >= patience {
                let marks = marks.marks.into_iter().map(|(mark, _)| mark).collect();
                return Ok(Asked::Load(Ticket { session, keys, generation, token, marks }));
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Looks whether Redis has the value, and begins nothing.
    pub(super) async fn peek(&self, level2: &Level2) -> Result<Option<Arc<Entry>>, RedisError> {
        let Some(session) = level2.session().await else { return Ok(None) };
        let key = level2.value_key(&self.space.name, self.flight.key.borrowed());
        let asked_at = self.core.timeline.now();
        let (found, marks) = match self.known_marks() {
            Some(marks) => (level2.peek(&key).await?, marks),
            None => tokio::try_join!(level2.peek(&key), self.marks(level2).boxed())?,
        };
        let Some((value, left)) = found else { return Ok(None) };
        match self.read((level2, session), &value, left, asked_at, marks).await? {
            Read::Fresh(entry) if level2.is_still(session) => Ok(Some(entry)),
            _ => Ok(None),
        }
    }

    /// Stores what was loaded; whether the process may keep it too.
    pub(super) async fn store(
        &self,
        level2: &Level2,
        ticket: &Ticket,
        value: Option<&V>,
        lifetime: Lifetime,
    ) -> Result<bool, CacheError> {
        let counters = &self.space.counters;
        let tags = ticket.marks.iter().map(|mark| (Cow::Borrowed(mark.cell.name()), mark.generation)).collect();
        let header = Header {
            version: self.space.rules.version,
            fresh_for: lifetime.fresh_for,
            stale_for: lifetime.stale_for,
            tags,
        };
        let bytes = match codec::encode(&header, value) {
            Ok(bytes) => bytes,
            Err(CodecError::Unwritable) => {
                return Err(CacheError::Encode { namespace: Arc::clone(&self.space.name) });
            }
            Err(error) => {
                tracing::debug!(namespace = &*self.space.name, %error, "a value of the cache is kept in the process only");
                counters.oversized();
                self.give_up(level2, ticket).await;
                return Ok(true);
            }
        };
        if !level2.is_still(ticket.session) {
            return Ok(true);
        }
        let ttl = lifetime.fresh_for + lifetime.stale_for;
        match level2.store(&ticket.keys, &ticket.generation, &bytes, ttl, &ticket.token).await {
            Ok(true) => counters.stored(),
            Ok(false) => {
                counters.rejected();
                return Ok(false);
            }
            Err(error) => {
                counters.redis_failed();
                tracing::debug!(namespace = &*self.space.name, %error, "Redis did not take a value of the cache");
            }
        }
        Ok(true)
    }

    /// Lets others load what was not stored here.
    pub(super) async fn give_up(&self, level2: &Level2, ticket: &Ticket) {
        // Where it fails, they wait until the mark is over.
        let _ = level2.give_up(&ticket.keys, &ticket.token).await;
    }

    /// The generations of the flight's tags, if all are known.
    fn known_marks(&self) -> Option<Marks> {
        let mut marks = Marks::none(self.flight.cells.len());
        for (cell, _) in &self.flight.cells {
            marks.add(self.known(cell)?);
        }
        Some(marks)
    }

    /// The generations of the flight's tags; Redis is asked for those that are not known.
    async fn marks(&self, level2: &Level2) -> Result<Marks, RedisError> {
        let all = self.flight.cells.iter().map(|(cell, changes)| self.mark(level2, cell, *changes));
        let mut marks = Marks::none(self.flight.cells.len());
        try_join_all(all).await?.into_iter().for_each(|mark| marks.add(mark));
        Ok(marks)
    }

    async fn mark(&self, level2: &Level2, cell: &Arc<TagCell>, changes: u64) -> Result<(Mark, bool, Tick), RedisError> {
        if let Some(known) = self.known(cell) {
            return Ok(known);
        }
        let now = self.core.timeline.now();
        let mark = self.fetch(level2, cell, changes).await?;
        Ok((mark, true, now))
    }

    /// The generation of a tag as this process knows it, if that is good enough to load under.
    fn known(&self, cell: &Arc<TagCell>) -> Option<(Mark, bool, Tick)> {
        let (now, known) = (self.core.timeline.now(), cell.known()?);
        let as_of = known.at.max(self.core.confirmed());
        // An entry that is stored under it must not outlive it: others would have to load it anew.
        let kept = now.after(self.space.rules.hard_timeout + self.space.rules.longest()) <= known.kept_until;
        let good = kept && self.core.is_within_staleness(as_of, now);
        good.then(|| (Mark { cell: Arc::clone(cell), generation: known.generation }, false, as_of))
    }

    async fn fetch(&self, level2: &Level2, cell: &Arc<TagCell>, changes: u64) -> Result<Mark, RedisError> {
        let rules = &self.space.rules;
        let ttl = rules.longest() * 2 + rules.hard_timeout + Duration::from_secs(60);
        let asked_at = self.core.timeline.now();
        let generation = level2.generation(cell.name(), ttl).await?;
        cell.learn(generation, asked_at, ttl, changes);
        Ok(Mark { cell: Arc::clone(cell), generation })
    }

    /// Judges a value that Redis has.
    async fn read(
        &self,
        redis: (&Level2, Session),
        bytes: &[u8],
        left: Duration,
        asked_at: Tick,
        mut marks: Marks,
    ) -> Result<Read, RedisError> {
        let Ok(stored) = codec::decode(bytes, self.space.rules.version) else {
            self.space.counters.unreadable();
            return Ok(Read::Useless);
        };
        if !self.is_current(redis, &stored, &mut marks).await? {
            return Ok(Read::Useless);
        }
        let Ok(value) = stored.value::<V>() else {
            self.space.counters.unreadable();
            return Ok(Read::Useless);
        };
        if value.is_none() && self.flight.purpose == Purpose::Load {
            return Ok(Read::Useless);
        }
        let (rules, negative) = (&self.space.rules, value.is_none());
        let longest = if negative { rules.negative_ttl } else { rules.ttl };
        let stale_for = stored.header.stale_for;
        // If the time was asked for before the value was stored, it is another one's, and the value lives its own out.
        let left = left.min(stored.header.fresh_for + stale_for);
        let lifetime = Lifetime {
            fresh_for: left.saturating_sub(stale_for).min(longest),
            stale_for: stale_for.min(left).min(rules.stale_of(negative)),
        };
        let as_of = asked_at.min(marks.as_of);
        let marks = marks.marks.into_iter().map(|(mark, _)| mark).collect();
        let fresh = left > stale_for;
        let entry = self.entry(value.map(Arc::new), marks, as_of, asked_at, lifetime);
        Ok(if fresh { Read::Fresh(entry) } else { Read::Stale(entry) })
    }

    /// Whether a stored value names all the tags of this load, and was loaded under the current generation of each of its
    /// own. What this process knows of a tag may be old: where it differs, Redis is asked.
    async fn is_current(
        &self,
        (level2, session): (&Level2, Session),
        stored: &Stored<'_>,
        marks: &mut Marks,
    ) -> Result<bool, RedisError> {
        // Redis is not asked of a tag while it is owed an invalidation: it may be of that one, which it would deny. Whether it
        // is comes after the count of changes, as being owed comes before the change.
        let changes = |cell: &TagCell| Some(cell.changes()).filter(|_| level2.is_still(session));
        let tags = &stored.header.tags;
        if !marks.marks.iter().all(|(mark, _)| tags.iter().any(|(name, _)| name == mark.cell.name())) {
            return Ok(false);
        }
        for (name, generation) in tags {
            let at = match marks.marks.iter().position(|(mark, _)| mark.cell.name() == name) {
                Some(at) => at,
                None if name.starts_with("t:") => {
                    let cell = self.core.tags.cell(name);
                    let Some(changes) = changes(&cell) else { return Ok(false) };
                    let known = self.mark(level2, &cell, changes).await?;
                    marks.add(known);
                    marks.marks.len() - 1
                }
                None => return Ok(false),
            };
            let (mark, fetched) = &mut marks.marks[at];
            if mark.generation != *generation {
                if *fetched {
                    return Ok(false);
                }
                let cell = Arc::clone(&mark.cell);
                let Some(changes) = changes(&cell) else { return Ok(false) };
                *mark = self.fetch(level2, &cell, changes).await?;
                *fetched = true;
                if mark.generation != *generation {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
