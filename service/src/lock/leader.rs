use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::error::LockError;
use super::fence::{Fence, Fenced};
use super::guard::LockGuard;
use super::held::Held;
use super::locks::Locks;
use super::name::LockName;
use super::options::LockOptions;
use crate::Error;
use crate::db::Kind;

/// The pause after the store could not be asked.
const PAUSE: Duration = Duration::from_millis(200);

/// A candidate for the lead of something that one instance at a time should do: a schedule, a relay, a poller.
///
/// Whoever has the lock of the name leads. A term is one holding of it: it begins with the grant and ends with the lock, at
/// its deadline at the latest, which is the ttl of the options after the last renewal. The next term is a new acquisition,
/// with a higher fence, whoever wins it. At most one candidate leads, as far as locks can say so; what a leader writes is
/// checked by its fence: [`Tx::check_fence`](crate::db::Tx::check_fence) takes a [`Term`].
///
/// Clones are the same candidate.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
/// use std::sync::Arc;
/// use std::time::Duration;
/// use stanchion::lock::{InProcess, Leader, LockOptions, Locks};
///
/// let locks = Locks::new(Arc::new(InProcess::default()), "node-1");
/// let leader = Leader::new(&locks, "reports", LockOptions::ttl(Duration::from_secs(5)))?;
/// let (told, done) = tokio::sync::oneshot::channel::<()>();
/// let told = std::sync::Mutex::new(Some(told));
/// leader
///     .run(async { drop(done.await) }, |term| {
///         let told = told.lock().unwrap().take();
///         async move {
///             assert!(term.is_leading());
///             // Work that is dropped where it stands when the term ends; here it tells the candidate to stop.
///             drop(told);
///             term.over().cancelled().await;
///         }
///     })
///     .await?;
/// assert!(leader.term().is_none());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Leader {
    inner: Arc<Candidate>,
}

struct Candidate {
    locks: Locks,
    name: LockName,
    options: LockOptions,
    terms: AtomicU64,
    standing: watch::Sender<Option<Term>>,
    running: tokio::sync::Mutex<()>,
}

/// A time of leading. Clones are the same term.
#[derive(Clone)]
pub struct Term {
    number: u64,
    held: Arc<Held>,
    fence: Option<Fence>,
    over: CancellationToken,
    resigned: CancellationToken,
}

impl Term {
    /// Which of this candidate's terms it is, from 1.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Its fence, where the options ask for one.
    #[must_use]
    pub const fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    /// When it ends, if the lock is not renewed before; it moves with every renewal.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.held.deadline()
    }

    /// Whether it lasts, as far as this process can know.
    #[must_use]
    pub fn is_leading(&self) -> bool {
        !self.over.is_cancelled() && self.held.is_live()
    }

    /// Fires when it ends, for whatever reason.
    #[must_use]
    pub const fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Ends it: the lock is given back, and the next candidate leads at once.
    pub fn resign(&self) {
        self.resigned.cancel();
    }
}

impl Fenced for Term {
    fn current_fence(&self) -> Result<&Fence, LockError> {
        if !self.is_leading() {
            return Err(LockError::Lost { name: self.held.name.clone() });
        }
        self.fence.as_ref().ok_or_else(|| LockError::Unfenced { name: self.held.name.clone() })
    }
}

/// How a term ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Lost,
    Resigned,
    Shutdown,
}

impl Leader {
    /// A candidate, who campaigns once it is [`run`](Self::run). A term is renewed for
    /// [`renew_for`](LockOptions::renew_for) at most, then others have a chance.
    ///
    /// # Errors
    /// [`LockError::Name`] and [`LockError::Options`] for what makes no sense.
    pub fn new(locks: &Locks, name: impl AsRef<str>, options: LockOptions) -> Result<Self, LockError> {
        options.check()?;
        let inner = Candidate {
            locks: locks.clone(),
            name: LockName::try_from(name.as_ref())?,
            options,
            terms: AtomicU64::new(0),
            standing: watch::channel(None).0,
            running: tokio::sync::Mutex::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Whether it leads, and every change of it: a term while it does. A term that follows another at once may be all that
    /// is seen: its number is higher.
    #[must_use]
    pub fn standing(&self) -> watch::Receiver<Option<Term>> {
        self.inner.standing.subscribe()
    }

    /// The term, if it leads now.
    #[must_use]
    pub fn term(&self) -> Option<Term> {
        self.inner.standing.borrow().clone().filter(Term::is_leading)
    }

    /// Campaigns until `shutdown` is ready; who leads is told by [`standing`](Self::standing).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// # Cancellation
    /// As [`run`](Self::run).
    pub async fn campaign(&self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        self.run(shutdown, |term| async move { term.over.cancelled().await }).await
    }

    /// Campaigns until `shutdown` is ready, and does the work of a leader: `body` begins with each term and is dropped where
    /// it stands when the term ends. A body that returns resigns. Who has resigned lets others lead: it campaigns again
    /// after the ttl of its options.
    ///
    /// The lock is given back at the end; a store that cannot be used is asked again and again. One call runs at a time,
    /// another waits for it.
    ///
    /// # Errors
    /// The store's and the fences', unless the same may succeed later: it is tried again then.
    ///
    /// # Cancellation
    /// The term ends, and the lock is given back in the background.
    pub async fn run<F, W>(&self, shutdown: impl Future<Output = ()>, body: F) -> Result<(), Error>
    where
        F: Fn(Term) -> W,
        W: Future<Output = ()>,
    {
        let mut shutdown = pin!(shutdown);
        let _only = tokio::select! {
            () = &mut shutdown => return Ok(()),
            only = self.inner.running.lock() => only,
        };
        loop {
            let guard = tokio::select! {
                biased;
                () = &mut shutdown => return Ok(()),
                won = self.win() => won?,
            };
            let (lost, reign) = (guard.lost(), self.begin(&guard));
            let term = &reign.term;
            let ending = {
                let work = body(term.clone());
                tokio::select! {
                    biased;
                    () = lost.cancelled() => Ending::Lost,
                    () = &mut shutdown => Ending::Shutdown,
                    () = term.resigned.cancelled() => Ending::Resigned,
                    () = work => Ending::Resigned,
                }
            };
            drop(reign);
            ending.note(&self.inner.name);
            if ending != Ending::Lost
                && let Err(error) = guard.release().await
            {
                // Its lease is over soon; the term is in any case.
                tracing::debug!(%error, "the lock of a leader could not be given back");
            }
            match ending {
                Ending::Shutdown => return Ok(()),
                Ending::Lost => {}
                Ending::Resigned => tokio::select! {
                    biased;
                    () = &mut shutdown => return Ok(()),
                    () = sleep(self.inner.options.ttl) => {}
                },
            }
        }
    }

    /// The lock, however long it takes.
    async fn win(&self) -> Result<LockGuard, Error> {
        let Candidate { locks, name, options, .. } = &*self.inner;
        loop {
            match locks.acquire(name.as_str(), options.clone()).await {
                Ok(guard) => return Ok(guard),
                Err(Error::Lock(LockError::Held { .. })) if options.wait >= PAUSE => {}
                Err(Error::Lock(LockError::Held { .. })) => sleep(PAUSE).await,
                Err(error) if passes(&error) => {
                    tracing::warn!(%error, "a candidate cannot campaign now; it tries again");
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn begin(&self, guard: &LockGuard) -> Reign<'_> {
        let term = Term {
            number: self.inner.terms.fetch_add(1, Ordering::Relaxed) + 1,
            held: Arc::clone(&guard.held),
            fence: guard.fence().cloned(),
            over: CancellationToken::new(),
            resigned: CancellationToken::new(),
        };
        tracing::info!(name = %self.inner.name, term = term.number, "leads");
        self.inner.standing.send_replace(Some(term.clone()));
        Reign { term, standing: &self.inner.standing }
    }
}

/// Whether another attempt may succeed: a store that cannot be used now, a lock that was lost before it had its fence, a
/// statement that waited too long for the leader before, whose transaction keeps the next fence from being minted.
fn passes(error: &Error) -> bool {
    let conflict = matches!(error.database_kind(), Some(Kind::Deadlock | Kind::SerializationFailure));
    error.is_unavailable() || error.is_timeout() || error.is_stale() || conflict
}

/// A term that lasts; whatever way it ends, it is told.
struct Reign<'a> {
    term: Term,
    standing: &'a watch::Sender<Option<Term>>,
}

impl Drop for Reign<'_> {
    fn drop(&mut self) {
        self.term.over.cancel();
        self.standing.send_replace(None);
    }
}

impl Ending {
    fn note(self, name: &LockName) {
        let how = match self {
            Self::Lost => "lost",
            Self::Resigned => "resigned",
            Self::Shutdown => "shutdown",
        };
        tracing::info!(%name, how, "leads no longer");
        metrics::counter!("lock.terms", "outcome" => how).increment(1);
    }
}

impl fmt::Debug for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader").field("term", &self.term()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Term").field("number", &self.number).field("leading", &self.is_leading()).finish()
    }
}
