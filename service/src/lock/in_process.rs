use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::sleep_until;

use super::error::LockError;
use super::name::{LockName, Owner};
use super::store::{Attempt, HeldLock, Holding, LockStore};

/// Parts that are locked by themselves.
const SHARDS: usize = 64;
/// A wait that does not end before the process does.
const EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// Locks of this process: mutual exclusion among its tasks, without a network.
///
/// They behave as shared ones do, leases included, so that a service that runs alone meets nothing new when it no longer
/// does. Those who wait get a lock in their order, handed over directly; nobody else is woken.
pub struct InProcess {
    shards: Box<[Mutex<HashMap<LockName, Locked>>]>,
}

struct Locked {
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
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect() }
    }

    fn shard(&self, name: &LockName) -> MutexGuard<'_, HashMap<LockName, Locked>> {
        // Names differ at their ends; which shard is no secret.
        let sum = name
            .as_str()
            .bytes()
            .rev()
            .take(16)
            .fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.shards[sum % SHARDS].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a lock that `owner` holds to the first who waits; whether it did hold it.
    fn hand_over(&self, name: &LockName, owner: &Owner) -> bool {
        let mut shard = self.shard(name);
        let Some(locked) = shard.get_mut(name) else { return false };
        if locked.owner != *owner {
            return false;
        }
        let now = Instant::now();
        let in_time = now < locked.ends;
        if !locked.pass_on(now) {
            shard.remove(name);
        }
        in_time
    }
}

impl Locked {
    /// Grants it to the first who still waits; whether there is one.
    fn pass_on(&mut self, now: Instant) -> bool {
        while let Some(waiter) = self.waiters.pop_front() {
            if waiter.grant.send(now).is_ok() {
                (self.owner, self.ends) = (waiter.owner, after(now, waiter.ttl));
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
            let mut shard = self.store.shard(self.name);
            let Some(locked) = shard.get_mut(self.name) else { return };
            if let Ok(at) = locked.waiters.binary_search_by_key(&self.ticket, |waiter| waiter.ticket) {
                locked.waiters.remove(at);
                return;
            }
        }
        self.store.hand_over(self.name, self.owner);
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
            let mut shard = self.shard(name);
            let locked = match shard.entry(name.clone()) {
                Entry::Vacant(free) => {
                    let waiters = VecDeque::new();
                    free.insert(Locked { owner: owner.clone(), ends: after(now, ttl), waiters, tickets: 0 });
                    return Ok(Attempt::Granted { since: now });
                }
                Entry::Occupied(taken) => taken.into_mut(),
            };
            // A lease that is over goes to whoever waits, before it goes to who comes now.
            if locked.ends <= now && locked.owner != *owner && !locked.pass_on(now) {
                locked.owner = owner.clone();
            }
            if locked.owner == *owner {
                locked.ends = after(now, ttl);
                return Ok(Attempt::Granted { since: now });
            }
            if wait.is_zero() {
                return Ok(Attempt::Held);
            }
            let (grant, granted) = oneshot::channel();
            locked.tickets += 1;
            let ticket = locked.tickets;
            locked.waiters.push_back(Waiter { ticket, owner: owner.clone(), ttl, grant });
            (locked.ends, granted, Place { store: self, name, owner, ticket, done: false })
        };
        let until = after(now, wait);
        loop {
            tokio::select! {
                biased;
                since = &mut granted => {
                    place.done = since.is_ok();
                    return Ok(since.map_or(Attempt::Held, |since| Attempt::Granted { since }));
                }
                () = sleep_until(until.min(ends).into()) => {}
            }
            let mut shard = self.shard(name);
            let now = Instant::now();
            match shard.get_mut(name) {
                Some(locked) => {
                    if locked.ends <= now {
                        locked.pass_on(now);
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

    async fn extend(&self, name: &LockName, owner: &Owner, ttl: Duration) -> Result<bool, LockError> {
        let now = Instant::now();
        let mut shard = self.shard(name);
        let Some(locked) = shard.get_mut(name).filter(|locked| locked.owner == *owner && now < locked.ends) else {
            return Ok(false);
        };
        locked.ends = after(now, ttl);
        Ok(true)
    }

    async fn release(&self, name: &LockName, owner: &Owner) -> Result<bool, LockError> {
        Ok(self.hand_over(name, owner))
    }

    fn release_at_once(&self, name: &LockName, owner: &Owner) -> Option<bool> {
        Some(self.hand_over(name, owner))
    }

    async fn held(&self, limit: usize) -> Result<Vec<HeldLock>, LockError> {
        let now = Instant::now();
        let mut held = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            held.extend(shard.iter().filter(|(_, locked)| now < locked.ends).map(|(name, locked)| {
                let holder = Owner::instance_of(locked.owner.as_str()).to_owned();
                HeldLock::new(name.to_string(), holder, Some(locked.ends - now))
            }));
        }
        held.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        held.truncate(limit);
        Ok(held)
    }
}

fn after(now: Instant, time: Duration) -> Instant {
    now + time.min(EVER)
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
