use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::doubt::Doubt;
use super::raw::Connection;

/// How long a connection may go from one statement to the next without going back to the driver's pool.
const TURN: Duration = Duration::from_secs(1);

/// Connections between two statements.
///
/// The driver's pool pings each connection that comes back to it: a second round trip for every statement. So one whose
/// statement ended well rests here, and the next statement takes it from here. Once in a [`TURN`] it does go back, to be
/// pinged and, where it is due, replaced, whether it is busy or nobody wants it. One whose statement failed or was
/// cancelled goes back at once.
///
/// Nobody waits for the pool while a connection rests: whoever is about to wait says so first ([`Resting::want`]), and
/// from then on none is kept.
#[derive(Clone)]
pub(super) struct Resting {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// The most that may rest.
    most: usize,
    /// How many wait for the pool, or are about to.
    wanted: AtomicUsize,
    doubt: Arc<Doubt>,
}

#[derive(Default)]
struct State {
    connections: Vec<Rested>,
    /// Whether a task sees to it that they go back.
    swept: bool,
}

/// A connection out of the driver's pool.
pub(super) struct Lent {
    pub(super) connection: Connection,
    since: Instant,
}

struct Rested {
    lent: Lent,
    at: Instant,
}

/// Somebody who waits for the pool.
pub(super) struct Wanted<'a>(&'a AtomicUsize);

impl Drop for Wanted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Lent {
    pub(super) fn now(connection: Connection) -> Self {
        Self { connection, since: Instant::now() }
    }
}

impl Resting {
    /// A place for so many, which must be less than the pool has: who takes one from the driver's pool itself cannot say
    /// so here, and must find one sooner or later.
    pub(super) fn new(most: usize, doubt: Arc<Doubt>) -> Self {
        Self { shared: Arc::new(Shared { state: Mutex::default(), most, wanted: AtomicUsize::new(0), doubt }) }
    }

    /// The one that rested the shortest, unless it may have been broken meanwhile.
    pub(super) fn take(&self) -> Option<Lent> {
        let rested = self.shared.state().connections.pop()?;
        (!self.shared.doubt.covers(rested.at.elapsed())).then_some(rested.lent)
    }

    /// Lets none rest while what comes back lives.
    pub(super) fn want(&self) -> Wanted<'_> {
        self.shared.wanted.fetch_add(1, Ordering::SeqCst);
        Wanted(&self.shared.wanted)
    }

    /// Lets a connection rest that has answered and is in no transaction; or gives it back to the driver's pool.
    pub(super) fn rest(&self, lent: Lent) {
        let now = Instant::now();
        if self.shared.is_wanted() || now - lent.since >= TURN {
            return;
        }
        let mut state = self.shared.state();
        if state.connections.len() >= self.shared.most {
            return;
        }
        state.connections.push(Rested { lent, at: now });
        let swept = std::mem::replace(&mut state.swept, true);
        drop(state);
        if !swept {
            tokio::spawn(sweep(Arc::downgrade(&self.shared)));
        }
        // Somebody may have begun to want one after the look above.
        if self.shared.is_wanted() {
            drop(self.take());
        }
    }

    /// How many rest.
    pub(super) fn len(&self) -> usize {
        self.shared.state().connections.len()
    }

    /// Gives back all, and keeps none any more.
    pub(super) fn close(&self) {
        std::mem::forget(self.want());
        let rested = std::mem::take(&mut self.shared.state().connections);
        drop(rested);
    }
}

/// Gives back those that nobody takes, until none is left.
async fn sweep(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(TURN).await;
        let Some(shared) = shared.upgrade() else { return };
        let mut state = shared.state();
        let due: Vec<Rested> = state.connections.extract_if(.., |rested| rested.lent.since.elapsed() >= TURN).collect();
        state.swept = !state.connections.is_empty();
        let done = !state.swept;
        drop(state);
        drop(due);
        if done {
            return;
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // A connection goes back to its pool by a task; where there is no runtime any more it is closed as it is.
        if tokio::runtime::Handle::try_current().is_err() {
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            state.connections.drain(..).for_each(|rested| rested.lent.connection.detach());
        }
    }
}

impl fmt::Debug for Resting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resting").field("most", &self.shared.most).field("now", &self.len()).finish_non_exhaustive()
    }
}
