use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep_until;

use super::held::Held;

/// When something is to be done for which lock: one timer for all locks that are held, since a timer or a task for each
/// would cost more than a lock in the process does.
///
/// Its task lives as long as it does. A lock that is released before its time is taken off the list without the task being
/// told: it wakes once too often rather than once a lock.
#[derive(Default)]
pub(super) struct Keeper(Arc<Shared>);

#[derive(Default)]
struct Shared {
    agenda: Mutex<Agenda>,
    changed: Notify,
}

#[derive(Default)]
struct Agenda {
    due: BTreeMap<(Instant, u64), Arc<Held>>,
    numbers: u64,
    /// When the task looks here next; `None` while it waits to be told.
    wakes: Option<Instant>,
    task: Option<(JoinHandle<()>, Handle)>,
    closed: bool,
}

/// A place on the list.
pub(super) type Place = (Instant, u64);

impl Keeper {
    /// Has [`Held::attend`] called at this time.
    pub(super) fn put(&self, held: Arc<Held>, due: Instant) -> Place {
        let mut agenda = self.0.agenda();
        agenda.numbers += 1;
        let place = (due, agenda.numbers);
        agenda.due.insert(place, held);
        if agenda.runtime().is_none() {
            // Without a runtime nothing is renewed, and the guard's own look at the clock is all there is.
            agenda.wakes = None;
            let runtime = Handle::try_current().ok();
            agenda.task = runtime.map(|runtime| (runtime.spawn(keep(Arc::clone(&self.0))), runtime));
        } else if agenda.wakes.is_none_or(|wakes| due < wakes) {
            agenda.wakes = Some(due);
            self.0.changed.notify_one();
        }
        place
    }

    /// Where its task runs, if it does.
    pub(super) fn runtime(&self) -> Option<Handle> {
        self.0.agenda().runtime().cloned()
    }

    /// Takes a lock off the list.
    pub(super) fn remove(&self, place: Place) {
        // Dropped after the lock on the list: it may be the last to hold this keeper.
        let _held = self.0.agenda().due.remove(&place);
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
    fn due(&self) -> Option<(Vec<Arc<Held>>, Option<Instant>)> {
        let mut agenda = self.agenda();
        if agenda.closed {
            return None;
        }
        let now = Instant::now();
        let mut due = Vec::new();
        while let Some(entry) = agenda.due.first_entry()
            && entry.key().0 <= now
        {
            due.push(entry.remove());
        }
        agenda.wakes = agenda.due.first_key_value().map(|((at, _), _)| *at);
        Some((due, agenda.wakes))
    }
}

async fn keep(shared: Arc<Shared>) {
    while let Some((due, next)) = shared.due() {
        due.into_iter().for_each(Held::attend);
        match next {
            Some(next) => tokio::select! {
                () = sleep_until(next.into()) => {}
                () = shared.changed.notified() => {}
            },
            None => shared.changed.notified().await,
        }
    }
}
