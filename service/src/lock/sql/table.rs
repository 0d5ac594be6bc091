use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout_at};

use super::rows::{Row, Rows};
use super::turns::Turns;
use crate::db::{DatabaseError, Db};
use crate::lock::time::end;
use crate::lock::{Attempt, HeldLock, Holding, LockError, LockName, LockStore, Owner};

/// The pause before the first look at a lock that somebody else holds, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
/// How many names are watched between two attempts at most.
const WATCHED: u64 = 10_000;

/// Locks as rows of a database, with leases: on every engine, SQLite included, and wherever the database fails over to
/// with its rows.
///
/// No clock of any machine decides. A row carries a version that each renewal raises. Who finds a lock held remembers
/// (owner, version) and when it saw them first, by its own monotonic clock; only if they have not changed for the whole
/// lease, and a hundredth more for clocks that run unequally, does it take the lock over, by compare-and-swap on the
/// version. So the lock of a holder that died is free one lease after somebody first looked, not one after the holder
/// died; the times in the row are for people. A machine that is suspended does not see that time pass: fences do.
///
/// A lock that is free takes one round trip, extending and releasing it one each; one that is held takes two, and each look
/// while waiting one. In the process a release wakes who waits first; between processes it is polled, by the first who
/// waits for a name in each process, every 10 ms at first and every 200 ms at last.
///
/// It uses the writer's pool (on SQLite the looks go to the reader), so acquire a lock before a transaction begins: on
/// SQLite, whose writer is one connection, waiting for a lock inside a transaction waits for oneself, and a transaction as
/// long as the lease keeps the lock from being renewed.
///
/// The row of a holder that died stays until somebody asks for the same name. It needs the table `locks`:
/// [`tables`](crate::lock::tables).
#[derive(Clone)]
pub struct TableStore {
    inner: Arc<Inner>,
}

struct Inner {
    rows: Rows,
    turns: Turns,
    watched: Cache<LockName, Watched>,
}

/// A holder that was seen, and since when without a change.
#[derive(Clone)]
struct Watched {
    row: Row,
    since: Instant,
}

impl Watched {
    /// What is left until the lock may be taken over.
    fn left(&self) -> Duration {
        let lease = self.row.ttl + self.row.ttl / 100 + Duration::from_millis(1);
        lease.saturating_sub(self.since.elapsed())
    }
}

/// What the database said.
enum Answer {
    Granted(Instant),
    /// Held by another, who may be taken over after this time.
    Held(Duration),
}

impl TableStore {
    /// Locks in this database.
    #[must_use]
    pub fn new(db: Db) -> Self {
        let inner = Inner {
            rows: Rows::new(db),
            turns: Turns::default(),
            watched: Cache::builder().max_capacity(WATCHED).build(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Asks once. It runs to its end whether or not somebody still waits for it: an insert that is dropped on its way may
    /// happen after the release that follows. What nobody waits for any more is given back.
    async fn ask(&self, name: &LockName, owner: &Owner, ttl: Duration, look_first: bool) -> Result<Answer, LockError> {
        let (answer, answered) = oneshot::channel();
        let (store, name, owner) = (Arc::clone(&self.inner), name.clone(), owner.clone());
        tokio::spawn(async move {
            let asked = store.ask(&name, &owner, ttl, look_first).await;
            let may_hold = !matches!(asked, Ok(Answer::Held(_)));
            if answer.send(asked).is_err() && may_hold {
                store.give_back(&name, &owner).await;
            }
        });
        match answered.await {
            Ok(asked) => Ok(asked?),
            Err(_) => Err(DatabaseError::from(sea_orm::DbErr::Custom("asking for a lock was ended".to_owned())).into()),
        }
    }
}

impl Inner {
    async fn ask(
        &self,
        name: &LockName,
        owner: &Owner,
        ttl: Duration,
        look_first: bool,
    ) -> Result<Answer, DatabaseError> {
        let since = Instant::now();
        if !look_first && self.rows.insert(name, owner, ttl).await? {
            return Ok(Answer::Granted(since));
        }
        let Some(row) = self.rows.find(name).await? else {
            let since = Instant::now();
            let inserted = self.rows.insert(name, owner, ttl).await?;
            return Ok(if inserted { Answer::Granted(since) } else { Answer::Held(Duration::ZERO) });
        };
        let since = Instant::now();
        if row.owner == owner.to_string() {
            // Its own, from a call whose answer was lost. The lease begins anew for those who watch it, too.
            let kept = self.rows.extend(name, owner, ttl).await?;
            return Ok(if kept { Answer::Granted(since) } else { Answer::Held(Duration::ZERO) });
        }
        let left = self.watch(name, &row);
        if left.is_zero() && self.rows.take_over(name, &row, owner, ttl).await? {
            self.watched.invalidate(name);
            return Ok(Answer::Granted(since));
        }
        Ok(Answer::Held(left))
    }

    /// Notes what was seen a moment ago, and says how long it has to stay so.
    fn watch(&self, name: &LockName, row: &Row) -> Duration {
        if let Some(watched) = self.watched.get(name).filter(|watched| watched.row == *row) {
            return watched.left();
        }
        let watched = Watched { row: row.clone(), since: Instant::now() };
        let left = watched.left();
        self.watched.insert(name.clone(), watched);
        left
    }

    async fn give_back(&self, name: &LockName, owner: &Owner) {
        match self.rows.delete(name, owner).await {
            Ok(_) => self.turns.released(name),
            Err(error) => {
                tracing::debug!(%error, "a lock that nobody waits for could not be given back; its lease ends")
            }
        }
    }
}

#[async_trait::async_trait]
impl LockStore for TableStore {
    fn kind(&self) -> &'static str {
        "table"
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
        if wait.is_zero() {
            let answer = self.ask(name, owner, ttl, false).await?;
            return Ok(match answer {
                Answer::Granted(since) => Attempt::Granted { since },
                Answer::Held(_) => Attempt::Held,
            });
        }
        let deadline = tokio::time::Instant::from(end(Instant::now(), wait));
        let place = self.inner.turns.enter(name);
        let Ok(_turn) = timeout_at(deadline, place.turn()).await else {
            return Ok(Attempt::Held);
        };
        let mut look_first = false;
        let mut pause = FIRST_PAUSE;
        loop {
            let left = match self.ask(name, owner, ttl, look_first).await? {
                Answer::Granted(since) => return Ok(Attempt::Granted { since }),
                Answer::Held(left) => left,
            };
            look_first = true;
            let until_deadline = deadline.saturating_duration_since(tokio::time::Instant::now());
            if until_deadline.is_zero() {
                return Ok(Attempt::Held);
            }
            let jittered = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            // A lock that was freed at this moment by another, or lost to one, is asked for again at once, but not in a loop.
            let next = jittered.min(left.max(Duration::from_millis(1))).min(until_deadline);
            tokio::select! {
                () = sleep(next) => pause = (pause * 2).min(LONGEST_PAUSE),
                () = place.released() => pause = FIRST_PAUSE,
            }
        }
    }

    async fn extend(&self, name: &LockName, owner: &Owner, ttl: Duration) -> Result<bool, LockError> {
        Ok(self.inner.rows.extend(name, owner, ttl).await?)
    }

    async fn release(&self, name: &LockName, owner: &Owner) -> Result<bool, LockError> {
        let released = self.inner.rows.delete(name, owner).await?;
        self.inner.turns.released(name);
        Ok(released)
    }

    /// What is left of a lease is told by the database's clock, for people: a row whose holder died stays, with nothing
    /// left.
    async fn held(&self, limit: usize) -> Result<Vec<HeldLock>, LockError> {
        Ok(self.inner.rows.list(limit).await?)
    }
}

impl fmt::Debug for TableStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableStore").finish_non_exhaustive()
    }
}
