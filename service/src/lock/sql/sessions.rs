use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::sqlx;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{timeout, timeout_at};

use super::session::{Key, Server, Session, failed};
use super::turns::Turns;
use crate::config::Database;
use crate::lock::time::end;
use crate::lock::{Attempt, HeldLock, Holding, LockError, LockName, LockStore, Owner};

/// How long a server may take for an answer beyond the time that it was told to wait.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many sessions stay open while they hold nothing.
const MOST_IDLE: usize = 4;

/// Locks of sessions of PostgreSQL (`pg_advisory_lock`) or MySQL and MariaDB (`GET_LOCK`).
///
/// A lock is held as long as its session lives, however long that is: when the holder's process dies, the server frees it
/// at once; when its network dies, after the server notices (PostgreSQL within about half a minute; MySQL by the kernel's
/// keep-alive or `net_read_timeout`). The ttl says only how often the session is proved; each proof is a round trip on that
/// very connection, and a connection that is lost is a lock that is lost.
///
/// Each lock that is held, or waited for by the first of this process who does, has a connection of its own, outside of the
/// pools: as many as `max_open_conns` of the configuration at most; for a free one, up to five seconds are waited. Acquiring a
/// free lock, proving and releasing it take a round trip each; waiting is done by the server, without polling. On MySQL, not
/// MariaDB, it waits whole seconds: up to one more than it was told.
///
/// The server knows a lock by a digest of prefix and name: 64 bits on PostgreSQL, 128 on MySQL. Two names that collide
/// exclude each other, nothing worse.
///
/// A failover forgets all sessions, and the nodes of a Galera cluster do not know each other's: both can grant a lock twice.
/// Fences keep late writers out. A pooler that lends PostgreSQL's sessions for a transaction at a time is refused.
#[derive(Clone)]
pub struct SessionStore {
    inner: Arc<Inner>,
}

struct Inner {
    server: Server,
    /// Where it is, without the password.
    target: String,
    prefix: String,
    permits: Arc<Semaphore>,
    turns: Turns,
    held: Mutex<HashMap<(LockName, Owner), Slot>>,
    idle: Mutex<Vec<Lent>>,
}

/// A session that holds a lock; `None` once it was lost.
type Slot = Arc<tokio::sync::Mutex<Option<Lent>>>;

/// An open session, and its place among those that may be.
struct Lent {
    session: Box<dyn Session>,
    _permit: OwnedSemaphorePermit,
}

impl SessionStore {
    /// Locks in the sessions of this database's server, `prefix` telling services that share it apart. Nothing is connected
    /// yet.
    ///
    /// # Errors
    /// [`LockError::Options`] on SQLite; [`LockError::Database`] for a URL that the driver does not take.
    pub fn new(config: &Database, prefix: &str) -> Result<Self, LockError> {
        let most = usize::try_from(config.max_open_conns).unwrap_or(1).clamp(1, Semaphore::MAX_PERMITS);
        let inner = Inner {
            server: Server::new(config)?,
            target: config.url.to_string(),
            prefix: prefix.to_owned(),
            permits: Arc::new(Semaphore::new(most)),
            turns: Turns::default(),
            held: Mutex::default(),
            idle: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, HashMap<(LockName, Owner), Slot>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Lent>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, name: &LockName, owner: &Owner) -> Option<Slot> {
        self.held().get(&(name.clone(), owner.clone())).cloned()
    }

    /// A session that holds nothing.
    async fn session(&self, instance: &str) -> Result<Lent, LockError> {
        let idle = self.idle().pop();
        if let Some(idle) = idle {
            return Ok(idle);
        }
        let unopened = |error| match error {
            LockError::Database(source) => LockError::Session { target: self.target.clone(), source },
            error => error,
        };
        let full = || unopened(failed(sqlx::Error::PoolTimedOut));
        let permit = timeout(PATIENCE, Arc::clone(&self.permits).acquire_owned()).await;
        let permit = permit.map_err(|_| full())?.map_err(|_| full())?;
        let opened = timeout(PATIENCE, self.server.open(instance)).await.unwrap_or_else(|_| Err(failed(silent())));
        let session = opened.map_err(unopened)?;
        Ok(Lent { session, _permit: permit })
    }

    /// Keeps a session for the next lock.
    fn rest(&self, lent: Lent) {
        let mut idle = self.idle();
        // Somebody may be waiting for its place, with another instance's name or none.
        if idle.len() < MOST_IDLE && self.permits.available_permits() > 0 {
            idle.push(lent);
        }
    }

    /// Asks for a lock on a session. One that fails is closed, and with it ends whatever it was granted.
    async fn lock(&self, mut lent: Lent, key: &Key, wait: Duration) -> Result<(Lent, bool), LockError> {
        let locked = timeout(wait.saturating_add(PATIENCE), lent.session.lock(key, wait)).await;
        let locked = locked.map_err(|_| failed(silent()))?.map_err(failed)?;
        Ok((lent, locked))
    }

    fn keep(&self, name: &LockName, owner: &Owner, lent: Lent) {
        let slot = Arc::new(tokio::sync::Mutex::new(Some(lent)));
        self.held().insert((name.clone(), owner.clone()), slot);
    }

    /// Proves that a session lives; lost, it is so for good.
    async fn prove(&self, slot: &Slot, key: &Key, within: Duration) -> bool {
        let mut slot = slot.lock().await;
        let Some(lent) = slot.as_mut() else { return false };
        let proved = matches!(timeout(within, lent.session.holds(key)).await, Ok(Ok(true)));
        if !proved {
            *slot = None;
        }
        proved
    }
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

#[async_trait::async_trait]
impl LockStore for SessionStore {
    fn kind(&self) -> &'static str {
        self.inner.server.kind()
    }

    fn holding(&self) -> Holding {
        Holding::Session
    }

    /// # Cancellation
    /// The connection that asks is closed, and with it ends what it was granted; PostgreSQL before version 14 and MySQL may
    /// notice only when the wait that it was told is over.
    async fn acquire(
        &self,
        name: &LockName,
        owner: &Owner,
        ttl: Duration,
        wait: Duration,
    ) -> Result<Attempt, LockError> {
        let store = &self.inner;
        let deadline = tokio::time::Instant::from(end(Instant::now(), wait));
        let key = Key::of(&store.prefix, name);
        let since = Instant::now();
        if self.extend(name, owner, ttl).await? {
            return Ok(Attempt::Granted { since });
        }
        let instance = owner.instance();
        let place = store.turns.enter(name);
        // Of those who are willing to wait, only the first asks.
        let turn = async { if wait.is_zero() { None } else { Some(place.turn().await) } };
        let Ok(_turn) = timeout_at(deadline, turn).await else {
            return Ok(Attempt::Held);
        };
        // A session that rested may have died since, so a first failure is tried on another.
        let rested = !store.idle().is_empty();
        let since = Instant::now();
        let first = store.lock(store.session(instance).await?, &key, Duration::ZERO).await;
        let (lent, locked) = match first {
            Err(_) if rested => {
                store.idle().clear();
                store.lock(store.session(instance).await?, &key, Duration::ZERO).await?
            }
            first => first?,
        };
        if locked {
            store.keep(name, owner, lent);
            return Ok(Attempt::Granted { since });
        }
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        if wait.is_zero() || left.is_zero() {
            store.rest(lent);
            return Ok(Attempt::Held);
        }
        // How long the server makes it wait is no part of the lease: that begins when the session last gave an answer.
        let (mut lent, locked) = store.lock(lent, &key, left).await?;
        if !locked {
            store.rest(lent);
            return Ok(Attempt::Held);
        }
        let since = Instant::now();
        let lives = timeout(PATIENCE, lent.session.holds(&key)).await;
        if !lives.map_err(|_| failed(silent()))?.map_err(failed)? {
            return Ok(Attempt::Held);
        }
        store.keep(name, owner, lent);
        Ok(Attempt::Granted { since })
    }

    async fn extend(&self, name: &LockName, owner: &Owner, ttl: Duration) -> Result<bool, LockError> {
        let Some(slot) = self.inner.slot(name, owner) else { return Ok(false) };
        let key = Key::of(&self.inner.prefix, name);
        let store = Arc::clone(&self.inner);
        // Carried to its end: a session in the midst of an answer is of no use to anybody.
        let proved = tokio::spawn(async move { store.prove(&slot, &key, ttl).await });
        let proved = proved.await.unwrap_or(false);
        if !proved {
            self.abandon(name, owner);
        }
        Ok(proved)
    }

    async fn release(&self, name: &LockName, owner: &Owner) -> Result<bool, LockError> {
        let Some(slot) = self.inner.held().remove(&(name.clone(), owner.clone())) else { return Ok(false) };
        let key = Key::of(&self.inner.prefix, name);
        let store = Arc::clone(&self.inner);
        let released = tokio::spawn(async move {
            // A proof may be under way that gets no answer: its session is closed with it.
            let Ok(mut slot) = timeout(PATIENCE, slot.lock()).await else { return false };
            let Some(mut lent) = slot.take() else { return false };
            let unlocked = timeout(PATIENCE, lent.session.unlock(&key)).await;
            // A session that does not say that it is free of the lock is closed, which frees it.
            match unlocked {
                Ok(Ok(unlocked)) => {
                    store.rest(lent);
                    unlocked
                }
                _ => false,
            }
        });
        Ok(released.await.unwrap_or(false))
    }

    /// A connection that is closed frees its lock, at once or when the request that is under way on it has ended.
    fn abandon(&self, name: &LockName, owner: &Owner) {
        let slot = self.inner.held().remove(&(name.clone(), owner.clone()));
        drop(slot);
    }

    /// On PostgreSQL those of all instances, by the digests that it knows; on MySQL those of this process.
    async fn held(&self, limit: usize) -> Result<Vec<HeldLock>, LockError> {
        let store = &self.inner;
        // Not kept afterwards: sessions that hold locks bear the name of their instance.
        let mut lent = store.session("").await?;
        let asked = timeout(PATIENCE, lent.session.held(limit)).await.map_err(|_| failed(silent()))?.map_err(failed)?;
        drop(lent);
        let mine: Vec<(LockName, String)> = {
            let held = store.held();
            held.keys().map(|(name, owner)| (name.clone(), owner.instance().to_owned())).collect()
        };
        let mut locks = match asked {
            Some(mut locks) => {
                // What this process holds, it knows by name.
                let names: HashMap<String, &LockName> =
                    mine.iter().map(|(name, _)| (Key::of(&store.prefix, name).hex()[..16].to_owned(), name)).collect();
                for lock in &mut locks {
                    if let Some(name) = names.get(&lock.name) {
                        lock.name = name.as_str().to_owned();
                    }
                }
                locks
            }
            None => {
                mine.into_iter().map(|(name, holder)| HeldLock::new(name.as_str().to_owned(), holder, None)).collect()
            }
        };
        locks.sort_by(|one, other| one.name.cmp(&other.name));
        locks.truncate(limit);
        Ok(locks)
    }
}

impl fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStore").field("kind", &self.inner.server.kind()).finish_non_exhaustive()
    }
}
