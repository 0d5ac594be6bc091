use std::collections::VecDeque;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hashbrown::DefaultHashBuilder;
use hashbrown::hash_table::{Entry, HashTable};
use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::error::LockError;
use super::name::{LockName, Owner};
use super::store::{Attempt, HeldLock, Holding, LockStore};
use super::time::end;

/// Parts that are locked by themselves.
const SHARDS: usize = 64;

/// Locks of this process: mutual exclusion among its tasks, without a network.
///
/// They behave as shared ones do, leases included, so that a service that runs alone meets nothing new when it no longer
/// does. Those who wait get a lock in their order, handed over directly; nobody else is woken.
pub struct InProcess {
    shards: Box<[Mutex<Shard>]>,
    hasher: DefaultHashBuilder,
}

type Shard = HashTable<Locked>;

struct Locked {
    name: LockName,
    owner: Owner,
    ends: Instant,
    waiters: VecDeque<Waiter>,
    tickets: u64,
}

struct Waiter {
    ticket: u64,
    owner: Owner,
    ttl: Duration,
    grant: oneshot::Sender<Instant>,
}

impl InProcess {
    /// Locks of their own: those of two stores know nothing of each other.
    #[must_use]
    pub fn new() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, hasher: DefaultHashBuilder::default() }
    }

    /// Where a name is: its part, and the hash that it is found by there.
    fn shard(&self, name: &LockName) -> (MutexGuard<'_, Shard>, u64) {
        let hash = self.hasher.hash_one(name);
        // Other bits than those that the table goes by.
        let shard = (hash >> 32) as usize % SHARDS;
        (self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner), hash)
    }

    /// Gives a lock that `owner` holds to the first who waits; whether it did hold it.
    fn hand_over(&self, name: &LockName, owner: &Owner, now: Instant) -> bool {
        let (mut shard, hash) = self.shard(name);
        let Ok(mut found) = shard.find_entry(hash, |locked| locked.name == *name) else { return false };
        let locked = found.get_mut();
        if locked.owner != *owner {
            return false;
        }
        let in_time = now < locked.ends;
        if !locked.pass_on() {
            found.remove();
        }
        in_time
    }

    /// Gives a lock that is free or the owner's own to that owner; else it is somebody else's, as it is returned.
    fn take<'a>(
        &self,
        (shard, hash): (&'a mut Shard, u64),
        name: &LockName,
        owner: &Owner,
        ttl: Duration,
        now: Instant,
    ) -> Option<&'a mut Locked> {
        let found = shard.entry(hash, |locked| locked.name == *name, |locked| self.hasher.hash_one(&locked.name));
        let locked = match found {
            Entry::Vacant(free) => {
                let (name, owner, waiters) = (name.clone(), owner.clone(), VecDeque::new());
                free.insert(Locked { name, owner, ends: end(now, ttl), waiters, tickets: 0 });
                return None;
            }
            Entry::Occupied(taken) => taken.into_mut(),
        };
        // A lease that is over goes to whoever waits, before it goes to who comes now.
        if locked.ends <= now && locked.owner != *owner && !locked.pass_on() {
            locked.owner = owner.clone();
        }
        if locked.owner != *owner {
            return Some(locked);
        }
        locked.ends = end(now, ttl);
        None
    }
}

impl Locked {
    /// Grants it to the first who still waits; whether there is one.
    fn pass_on(&mut self) -> bool {
        while let Some(waiter) = self.waiters.pop_front() {
            let now = Instant::now();
            if waiter.grant.send(now).is_ok() {
                (self.owner, self.ends) = (waiter.owner, end(now, waiter.ttl));
                return true;
            }
        }
        false
    }
}

/// Somebody who waits; dropped, it leaves nothing behind, a lock that it was given and has not seen included.
struct Place<'a> {
    store: &'a InProcess,
    name: &'a LockName,
    owner: &'a Owner,
    ticket: u64,
    done: bool,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        {
            let (mut shard, hash) = self.store.shard(self.name);
            let Some(locked) = shard.find_mut(hash, |locked| locked.name == *self.name) else { return };
            if let Ok(at) = locked.waiters.binary_search_by_key(&self.ticket, |waiter| waiter.ticket) {
                locked.waiters.remove(at);
                return;
            }
        }
        self.store.hand_over(self.name, self.owner, Instant::now());
    }
}

#[async_trait::async_trait]
impl LockStore for InProcess {
    fn kind(&self) -> &'static str {
        "in_process"
    }

    fn holding(&self) -> Holding {
        Holding::Lease
    }

    async fn acquire(
        &self,
        name: &LockName,
        owner: &Owner,
        ttl: Duration,
        wait: Duration,
    ) -> Result<Attempt, LockError> {
        let now = Instant::now();
        let (mut ends, mut granted, mut place) = {
            let (mut shard, hash) = self.shard(name);
            let Some(locked) = self.take((&mut shard, hash), name, owner, ttl, now) else {
                return Ok(Attempt::Granted { since: now });
            };
            if wait.is_zero() {
                return Ok(Attempt::Held);
            }
            let (grant, granted) = oneshot::channel();
            locked.tickets += 1;
            let ticket = locked.tickets;
            locked.waiters.push_back(Waiter { ticket, owner: owner.clone(), ttl, grant });
            (locked.ends, granted, Place { store: self, name, owner, ticket, done: false })
        };
        let until = end(now, wait);
        loop {
            tokio::select! {
                biased;
                since = &mut granted => {
                    place.done = since.is_ok();
                    return Ok(since.map_or(Attempt::Held, |since| Attempt::Granted { since }));
                }
                () = sleep_until(until.min(ends).into()) => {}
            }
            let (mut shard, hash) = self.shard(name);
            let now = Instant::now();
            match shard.find_mut(hash, |locked| locked.name == *name) {
                Some(locked) => {
                    if locked.ends <= now {
                        locked.pass_on();
                    }
                    ends = locked.ends;
                }
                None => ends = until,
            }
            drop(shard);
            // A grant of this very moment is taken.
            if let Ok(since) = granted.try_recv() {
                place.done = true;
                return Ok(Attempt::Granted { since });
            }
            if until <= now {
                return Ok(Attempt::Held);
            }
        }
    }

    fn acquire_at_once(&self, name: &LockName, owner: &Owner, ttl: Duration, now: Instant) -> Option<Attempt> {
        let (mut shard, hash) = self.shard(name);
        let held = self.take((&mut shard, hash), name, owner, ttl, now).is_some();
        Some(if held { Attempt::Held } else { Attempt::Granted { since: now } })
    }

    async fn extend(&self, name: &LockName, owner: &Owner, ttl: Duration) -> Result<bool, LockError> {
        let now = Instant::now();
        let (mut shard, hash) = self.shard(name);
        let found = shard.find_mut(hash, |locked| locked.name == *name);
        let Some(locked) = found.filter(|locked| locked.owner == *owner && now < locked.ends) else {
            return Ok(false);
        };
        locked.ends = end(now, ttl);
        Ok(true)
    }

    async fn release(&self, name: &LockName, owner: &Owner) -> Result<bool, LockError> {
        Ok(self.hand_over(name, owner, Instant::now()))
    }

    fn release_at_once(&self, name: &LockName, owner: &Owner, now: Instant) -> Option<bool> {
        Some(self.hand_over(name, owner, now))
    }

    async fn held(&self, limit: usize) -> Result<Vec<HeldLock>, LockError> {
        let now = Instant::now();
        let mut held = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            held.extend(shard.iter().filter(|locked| now < locked.ends).map(|locked| {
                let holder = locked.owner.instance().to_owned();
                HeldLock::new(locked.name.to_string(), holder, Some(locked.ends - now))
            }));
        }
        held.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        held.truncate(limit);
        Ok(held)
    }
}

impl Default for InProcess {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}
