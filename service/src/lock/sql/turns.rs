use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{self, Notify};

use crate::lock::LockName;

/// Who of this process waits for which lock: they queue, and only the first of them asks the database.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<LockName, Arc<Queue>>>);

#[derive(Debug, Default)]
struct Queue {
    /// Handed over in the order in which it was asked for.
    turn: sync::Mutex<()>,
    released: Notify,
}

/// A place in the queue of a lock.
#[derive(Debug)]
pub(super) struct Place<'t> {
    turns: &'t Turns,
    name: LockName,
    queue: Arc<Queue>,
}

impl Turns {
    /// Queues up for a lock.
    pub(super) fn enter(&self, name: &LockName) -> Place<'_> {
        let queue = Arc::clone(self.queues().entry(name.clone()).or_default());
        Place { turns: self, name: name.clone(), queue }
    }

    /// Wakes who waits first: the lock was released in this process.
    pub(super) fn released(&self, name: &LockName) {
        if let Some(queue) = self.queues().get(name) {
            queue.released.notify_one();
        }
    }

    fn queues(&self) -> MutexGuard<'_, HashMap<LockName, Arc<Queue>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Waits until it is the first.
    pub(super) async fn turn(&self) -> sync::MutexGuard<'_, ()> {
        self.queue.turn.lock().await
    }

    /// Waits for a release in this process; one that came before is not missed.
    pub(super) async fn released(&self) {
        self.queue.released.notified().await;
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queues = self.turns.queues();
        // The map's and this one: nobody else is in the queue, and nobody can enter meanwhile.
        if Arc::strong_count(&self.queue) == 2 {
            queues.remove(&self.name);
        }
    }
}
