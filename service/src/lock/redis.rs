use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout_at};

use super::error::LockError;
use super::name::{LockName, Owner};
use super::store::{Attempt, HeldLock, Holding, LockStore};
use super::time::{end, millis};
use crate::config::RedisTopology;
use crate::redis::{Event, Redis, RedisError, Script, Subscription};

/// How often a lock is asked for while nothing is heard of releases: the subscription is lost, or refused.
const DEAF: Duration = Duration::from_millis(250);
/// Keys that one step of a listing looks at, and locks that are looked up at once.
const STEP: usize = 1_000;
const AT_ONCE: usize = 64;

/// Takes a lock that is free or the owner's own: -3, else what is left of its lease in milliseconds (-1: no end).
static ASK: Script = Script::new(
    "lock.ask",
    "local holder = redis.call('GET', KEYS[1])
     if holder == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) return -3 end
     if not holder then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) return -3 end
     return redis.call('PTTL', KEYS[1])",
);
const GRANTED: i64 = -3;

static EXTEND: Script = Script::new(
    "lock.extend",
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
     return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
);

/// Without the right to publish it is released all the same.
static RELEASE: Script = Script::new(
    "lock.release",
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
     redis.call('DEL', KEYS[1])
     redis.pcall('PUBLISH', ARGV[2], ARGV[3])
     return 1",
);

static LOOK: Script = Script::new("lock.look", "return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])}");

/// Locks in Redis: keys with the owner's number and a time to live, `PREFIX:lock:{NAME}`, given back by a script that
/// compares the owner. Acquired where they are free in one round trip.
///
/// Those who wait listen to `PREFIX:released`, over one connection a store: a release is heard, and the end of a holder's
/// lease is waited for; nothing is polled. Of those who wait in one process only the first asks.
///
/// **What it promises:** exclusion while the server keeps its memory and its clock runs evenly. A failover can lose a lock
/// that was granted and not replicated yet; a restart without persistence forgets all; a full server whose
/// `maxmemory-policy` is not `noeviction` may drop a lock to make room, which is warned of in the log; a step of the server's
/// clock forward ends leases early. Then two hold the same lock until the first hears of it at its next renewal: fences keep
/// its writes out. A master that was only silent and does not know yet that it was replaced (behind sentinels, for some ten
/// seconds after it is back) goes on renewing what it had granted; with `min-replicas-to-write 1` it refuses to once
/// `min-replicas-max-lag` is over.
///
/// A step of the server's clock back keeps what is held by those who live as it is; a lock whose holder dies before its
/// next renewal is held for as much longer as the clock was set back.
#[derive(Debug)]
pub struct RedisLocks {
    redis: Redis,
    prefix: String,
    channel: String,
    waits: Arc<Waits>,
    ear: Mutex<Option<JoinHandle<()>>>,
    /// Whether it was looked at whether the server keeps what it is given.
    looked: AtomicBool,
}

impl RedisLocks {
    /// Locks in this Redis, all keys beginning with `prefix`. It connects when it is first used.
    #[must_use]
    pub fn new(redis: Redis, prefix: &str) -> Self {
        let (channel, prefix) = (format!("{prefix}:released"), format!("{prefix}:lock:"));
        Self { redis, prefix, channel, waits: Arc::default(), ear: Mutex::default(), looked: AtomicBool::new(false) }
    }

    fn key(&self, name: &LockName) -> String {
        format!("{}{{{name}}}", self.prefix)
    }

    async fn ask(&self, key: &str, owner: &Owner, ttl: Duration) -> Result<Answer, RedisError> {
        let (since, owner) = (Instant::now(), owner.to_string());
        let arguments: [&[u8]; 2] = [owner.as_bytes(), &lease(ttl)];
        Ok(match self.redis.run(&ASK, &[key], &arguments).await? {
            GRANTED => Answer::Granted { since },
            left => Answer::Held { left: u64::try_from(left).ok().map(Duration::from_millis) },
        })
    }

    /// Asks until it is granted or the time is over; those of this process one after the other.
    async fn wait(&self, name: &LockName, owner: &Owner, ttl: Duration, until: Instant) -> Result<Attempt, LockError> {
        let seat = self.waits.seat(name);
        let Ok(Ok(_turn)) = timeout_at(until.into(), seat.gate.turn.acquire()).await else { return Ok(Attempt::Held) };
        self.listen();
        let key = self.key(name);
        loop {
            // Only who has listened since before it asked cannot miss a release.
            let listening = self.waits.state().listening;
            let left = match self.ask(&key, owner, ttl).await? {
                Answer::Granted { since } => return Ok(Attempt::Granted { since }),
                Answer::Held { left } => left,
            };
            let now = Instant::now();
            if now >= until {
                return Ok(Attempt::Held);
            }
            // A millisecond more: Redis rounds what is left.
            let ends = left.map_or(until, |left| now + left + Duration::from_millis(1));
            let next = if listening { ends } else { ends.min(now + DEAF) };
            let heard = tokio::select! {
                () = seat.gate.wake.notified() => true,
                () = sleep_until(next.min(until).into()) => false,
            };
            if !heard && next > until {
                return Ok(Attempt::Held);
            }
        }
    }

    /// Warns, once, of a server that may drop locks.
    fn look_at_evictions(&self) {
        self.looked.store(true, Ordering::Relaxed);
        let redis = self.redis.clone();
        tokio::spawn(async move {
            // Without the right to ask nothing is known.
            for node in redis.sample().await.unwrap_or_default().into_iter().filter(|node| node.evicts) {
                tracing::warn!(
                    server = node.server,
                    "Redis may drop locks to make room: set its maxmemory-policy to noeviction, or keep locks in another"
                );
            }
        });
    }

    /// Has releases heard from now on, if they are not yet.
    fn listen(&self) {
        let mut ear = self.ear.lock().unwrap_or_else(PoisonError::into_inner);
        if ear.as_ref().is_none_or(JoinHandle::is_finished) {
            self.waits.state().listening = false;
            let subscription = self.redis.subscribe(vec![self.channel.clone()]);
            *ear = Some(tokio::spawn(hear(subscription, Arc::clone(&self.waits))));
        }
    }

    /// The names of what is held, up to `limit`.
    async fn names(&self, limit: usize) -> Result<BTreeSet<String>, RedisError> {
        let pattern = format!("{}*", escaped(&self.prefix));
        let mut names = BTreeSet::new();
        let mut add = |keys: Vec<String>| {
            let name =
                |key: &String| Some(key.strip_prefix(&self.prefix)?.strip_prefix('{')?.strip_suffix('}')?.to_owned());
            names.extend(keys.iter().filter_map(name));
            names.len()
        };
        if *self.redis.url().topology() == RedisTopology::Cluster {
            // A cursor is one node's; this one command asks them all.
            add(self.redis.query("KEYS", redis::cmd("KEYS").arg(pattern)).await?);
            return Ok(names);
        }
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(STEP);
            let (next, keys) = self.redis.query("SCAN", &scan).await?;
            if add(keys) >= limit || next == 0 {
                return Ok(names);
            }
            cursor = next;
        }
    }
}

enum Answer {
    Granted { since: Instant },
    Held { left: Option<Duration> },
}

impl Drop for RedisLocks {
    fn drop(&mut self) {
        if let Some(ear) = self.ear.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            ear.abort();
        }
    }
}

#[async_trait::async_trait]
impl LockStore for RedisLocks {
    fn kind(&self) -> &'static str {
        "redis"
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
        let until = end(Instant::now(), wait);
        // Who is willing to wait does not push in front of those who do.
        if !wait.is_zero() && self.waits.is_waited_for(name) {
            return self.wait(name, owner, ttl, until).await;
        }
        let key = self.key(name);
        let since = Instant::now();
        if self.redis.set_if_absent(&key, owner.to_string().as_bytes(), ttl).await? {
            if !self.looked.load(Ordering::Relaxed) {
                self.look_at_evictions();
            }
            return Ok(Attempt::Granted { since });
        }
        if !wait.is_zero() {
            return self.wait(name, owner, ttl, until).await;
        }
        // It may be the owner's own, if the answer to its last call was lost.
        Ok(match self.ask(&key, owner, ttl).await? {
            Answer::Granted { since } => Attempt::Granted { since },
            Answer::Held { .. } => Attempt::Held,
        })
    }

    async fn extend(&self, name: &LockName, owner: &Owner, ttl: Duration) -> Result<bool, LockError> {
        let owner = owner.to_string();
        let arguments: [&[u8]; 2] = [owner.as_bytes(), &lease(ttl)];
        Ok(self.redis.run(&EXTEND, &[&self.key(name)], &arguments).await?)
    }

    async fn release(&self, name: &LockName, owner: &Owner) -> Result<bool, LockError> {
        let owner = owner.to_string();
        let arguments = [owner.as_bytes(), self.channel.as_bytes(), name.as_str().as_bytes()];
        Ok(self.redis.run(&RELEASE, &[&self.key(name)], &arguments).await?)
    }

    async fn held(&self, limit: usize) -> Result<Vec<HeldLock>, LockError> {
        let names = self.names(limit).await?;
        let looks = stream::iter(names.into_iter().take(limit)).map(|name| async move {
            let key = format!("{}{{{name}}}", self.prefix);
            let (holder, left): (Option<String>, i64) = self.redis.run(&LOOK, &[&key], &[]).await?;
            let left = u64::try_from(left).ok().map(Duration::from_millis);
            Ok(holder.map(|holder| HeldLock::new(name, Owner::instance_of(&holder).to_owned(), left)))
        });
        looks.buffered(AT_ONCE).try_filter_map(async |held| Ok(held)).try_collect().await
    }
}

/// Who waits in this process, by the names of the locks.
#[derive(Debug, Default)]
struct Waits(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    gates: HashMap<String, (Arc<Gate>, usize)>,
    /// Whether releases are heard.
    listening: bool,
}

/// Where those who wait for one lock stand in line.
#[derive(Debug)]
struct Gate {
    /// Only the first asks.
    turn: Semaphore,
    /// There may be something new for the first.
    wake: Notify,
}

impl Waits {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_waited_for(&self, name: &LockName) -> bool {
        self.state().gates.contains_key(name.as_str())
    }

    fn seat<'a>(&'a self, name: &'a LockName) -> Seat<'a> {
        let mut state = self.state();
        let new = || (Arc::new(Gate { turn: Semaphore::new(1), wake: Notify::new() }), 0);
        let (gate, seats) = state.gates.entry(name.to_string()).or_insert_with(new);
        *seats += 1;
        Seat { waits: self, name, gate: Arc::clone(gate) }
    }

    fn wake(&self, name: &[u8]) {
        if let Some((gate, _)) = std::str::from_utf8(name).ok().and_then(|name| self.state().gates.get(name).cloned()) {
            gate.wake.notify_one();
        }
    }

    /// From now on releases are heard, or no longer: whoever waits asks again.
    fn hears(&self, listening: bool) {
        let mut state = self.state();
        state.listening = listening;
        state.gates.values().for_each(|(gate, _)| gate.wake.notify_one());
    }
}

/// A place in line; the line ends with the last.
struct Seat<'a> {
    waits: &'a Waits,
    name: &'a LockName,
    gate: Arc<Gate>,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut state = self.waits.state();
        if let Some((_, seats)) = state.gates.get_mut(self.name.as_str()) {
            *seats -= 1;
            if *seats == 0 {
                state.gates.remove(self.name.as_str());
            }
        }
    }
}

async fn hear(mut subscription: Subscription, waits: Arc<Waits>) {
    loop {
        match subscription.next().await {
            Event::Message { payload, .. } => waits.wake(&payload),
            Event::Listening => waits.hears(true),
            Event::Lost => waits.hears(false),
        }
    }
}

/// As a script is told of a lease.
fn lease(ttl: Duration) -> Vec<u8> {
    millis(ttl).to_string().into_bytes()
}

/// A text that stands for itself in a pattern.
fn escaped(text: &str) -> String {
    let special = |c| matches!(c, '*' | '?' | '[' | ']' | '\\' | '^');
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}
