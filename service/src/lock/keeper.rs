use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::held::Held;

/// The least number of places at which those of released locks are swept off the list.
const SWEPT: usize = 8;

/// When something is to be done for which lock: one timer for all locks that are held, since a timer or a task for each
/// would cost more than a lock in the process does.
///
/// Its task lives as long as it does. Most locks are released long before their time: they are not looked for on the list,
/// but swept off it when it has doubled, so that it holds at most twice as many places as there are locks, and the task
/// wakes once too often rather than once a lock.
#[derive(Default)]
pub(super) struct Keeper(Arc<Shared>);

#[derive(Default)]
struct Shared {
    agenda: Mutex<Agenda>,
    changed: Notify,
}

#[derive(Default)]
struct Agenda {
    places: BinaryHeap<Place>,
    /// How many places there are when it is swept next.
    swept_at: usize,
    /// When the task looks here next; `None` while it waits to be told.
    wakes: Option<Instant>,
    task: Option<(JoinHandle<()>, Handle)>,
    closed: bool,
}

/// A place on the list, the earliest being the greatest. The list keeps no lock alive: without its guard it is over.
struct Place {
    due: Instant,
    held: Weak<Held>,
}

impl Keeper {
    /// Has [`Held::attend`] called at this time, if it is still there.
    pub(super) fn put(&self, held: Weak<Held>, due: Instant) {
        let mut agenda = self.0.agenda();
        if agenda.places.len() >= agenda.swept_at {
            agenda.places.retain(Place::is_kept);
            agenda.swept_at = SWEPT.max(agenda.places.len() * 2);
        }
        agenda.places.push(Place { due, held });
        if agenda.runtime().is_none() {
            // Without a runtime nothing is renewed, and the guard's own look at the clock is all there is.
            agenda.wakes = None;
            let runtime = Handle::try_current().ok();
            agenda.task = runtime.map(|runtime| (runtime.spawn(keep(Arc::clone(&self.0))), runtime));
        } else if agenda.wakes.is_none_or(|wakes| due < wakes) {
            agenda.wakes = Some(due);
            self.0.changed.notify_one();
        }
    }

    /// Where its task runs, if it does.
    pub(super) fn runtime(&self) -> Option<Handle> {
        self.0.agenda().runtime().cloned()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.agenda().closed = true;
        self.0.changed.notify_one();
    }
}

impl Agenda {
    fn runtime(&self) -> Option<&Handle> {
        self.task.as_ref().filter(|(task, _)| !task.is_finished()).map(|(_, runtime)| runtime)
    }
}

impl Shared {
    fn agenda(&self) -> MutexGuard<'_, Agenda> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due now, and when to look again; `None` when nobody holds the keeper any more.
    fn due(&self) -> Option<(Vec<Place>, Option<Instant>)> {
        let mut agenda = self.agenda();
        if agenda.closed {
            return None;
        }
        let now = Instant::now();
        let mut due = Vec::new();
        while let Some(next) = agenda.places.peek()
            && next.due <= now
        {
            due.extend(agenda.places.pop());
        }
        agenda.wakes = agenda.places.peek().map(|next| next.due);
        Some((due, agenda.wakes))
    }
}

impl Place {
    fn is_kept(&self) -> bool {
        self.held.strong_count() > 0
    }

    /// Not called under the lock on the list: it puts locks there, and the last one takes the keeper with it.
    fn attend(self) {
        if let Some(held) = self.held.upgrade() {
            held.attend(self.due);
        }
    }
}

async fn keep(shared: Arc<Shared>) {
    while let Some((due, next)) = shared.due() {
        due.into_iter().for_each(Place::attend);
        match next {
            Some(next) => tokio::select! {
                () = sleep_until(next.into()) => {}
                () = shared.changed.notified() => {}
            },
            None => shared.changed.notified().await,
        }
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.cmp(&self.due)
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl Eq for Place {}
