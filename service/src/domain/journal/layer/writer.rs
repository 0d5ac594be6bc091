use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::{self, Permit, Receiver, Sender};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::LayerOptions;
use crate::domain::journal::NewLogEntry;
use crate::entity::journal::LogLevel;
use crate::entity::journal::log_entry::Model;
use crate::{App, Error};

tokio::task_local! {
    /// Set in the task that writes.
    static WRITING: ();
}

/// Whether what is logged now is logged by the task that writes.
pub(super) fn is_writing() -> bool {
    WRITING.try_with(|()| ()).is_ok()
}

/// What the layer, the handle and the writing task count together. Entries.
#[derive(Debug, Default)]
struct Counts {
    /// That got a place in the queue.
    taken: AtomicU64,
    /// That found none, or that the database refused.
    dropped: AtomicU64,
    /// Of those, the ones that no entry tells of yet.
    untold: AtomicU64,
    /// Up to here somebody waits for, counted as `taken` is.
    wanted: AtomicU64,
}

impl Counts {
    fn drop_some(&self, entries: u64) {
        self.dropped.fetch_add(entries, Ordering::Relaxed);
        self.untold.fetch_add(entries, Ordering::Relaxed);
    }
}

/// Where the layer puts its entries.
#[derive(Debug)]
pub(super) struct Queue {
    sender: Sender<Model>,
    counts: Arc<Counts>,
}

/// A place in the queue, which an entry is put into. Given up, it was none.
pub(super) struct Place<'a> {
    permit: Permit<'a, Model>,
    counts: &'a Counts,
}

impl Queue {
    /// A place, if there is one; else the entry is counted as dropped.
    pub(super) fn place(&self) -> Option<Place<'_>> {
        match self.sender.try_reserve() {
            Ok(permit) => Some(Place { permit, counts: &self.counts }),
            Err(_) => {
                self.refused(1);
                None
            }
        }
    }

    /// Counts entries as dropped.
    pub(super) fn refused(&self, entries: u64) {
        self.counts.drop_some(entries);
    }
}

impl Place<'_> {
    pub(super) fn take(self, entry: Model) {
        // Counted before it is sent, so that no more are settled than were taken.
        self.counts.taken.fetch_add(1, Ordering::SeqCst);
        self.permit.send(entry);
    }
}

/// What a [`JournalLayer`](super::JournalLayer)'s entries are written with. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct JournalHandle {
    inner: Arc<Inner>,
}

struct Inner {
    options: Arc<LayerOptions>,
    counts: Arc<Counts>,
    /// Entries of those taken that are written or refused.
    settled: watch::Sender<u64>,
    hurry: Arc<Notify>,
    state: Mutex<State>,
}

enum State {
    Waiting(Receiver<Model>),
    Attached(JoinHandle<()>),
    Closed,
}

pub(super) fn queue(options: Arc<LayerOptions>) -> (Queue, JournalHandle) {
    let (sender, receiver) = mpsc::channel(options.capacity.clamp(1, tokio::sync::Semaphore::MAX_PERMITS));
    let counts = Arc::<Counts>::default();
    let inner = Inner {
        options,
        counts: Arc::clone(&counts),
        settled: watch::Sender::new(0),
        hurry: Arc::default(),
        state: Mutex::new(State::Waiting(receiver)),
    };
    (Queue { sender, counts }, JournalHandle { inner: Arc::new(inner) })
}

impl JournalHandle {
    /// Begins to write, into the journal of `app`, in a task of the runtime that this is called in.
    ///
    /// # Errors
    /// [`Error::Invalid`] when that was done before, after [`close`](Self::close), and outside of a runtime.
    pub fn attach(&self, app: &App) -> Result<(), Error> {
        let runtime = tokio::runtime::Handle::try_current()
            .map_err(|_| Error::Invalid("the journal's layer is attached in a runtime of tokio".into()))?;
        let mut state = self.inner.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = match std::mem::replace(&mut *state, State::Closed) {
            State::Waiting(receiver) => {
                let inner = Arc::clone(&self.inner);
                let writer = Writer { app: app.clone(), receiver, inner, batch: Vec::new() };
                State::Attached(runtime.spawn(WRITING.scope((), writer.run())))
            }
            other => {
                *state = other;
                return Err(Error::Invalid("the journal's layer is attached once".into()));
            }
        };
        Ok(())
    }

    /// Entries that were not logged: for which there was no room, and those that the database refused for what is in them.
    pub fn dropped(&self) -> u64 {
        self.inner.counts.dropped.load(Ordering::Relaxed)
    }

    /// Entries that wait to be written.
    pub fn waiting(&self) -> u64 {
        self.inner.counts.taken.load(Ordering::SeqCst).saturating_sub(*self.inner.settled.borrow())
    }

    /// Waits until everything is written that was logged before: for ever, if the database does not come back, or the layer
    /// is never attached. After [`close`](Self::close) it does not wait.
    ///
    /// # Cancellation
    /// A dropped future only stops waiting.
    pub async fn flush(&self) {
        let mut settled = self.inner.settled.subscribe();
        let goal = self.inner.counts.taken.load(Ordering::SeqCst);
        self.inner.counts.wanted.fetch_max(goal, Ordering::SeqCst);
        self.inner.hurry.notify_one();
        while *settled.borrow_and_update() < goal {
            if settled.changed().await.is_err() {
                // The sender is gone; but this handle holds it.
                return;
            }
        }
    }

    /// Writes what is waiting, for at most [`close_within`](LayerOptions::close_within), and stops; what is logged later is
    /// dropped. Gives the number of entries that could not be written, which are lost. Close it before the app.
    ///
    /// # Cancellation
    /// A dropped future leaves it open.
    pub async fn close(&self) -> u64 {
        let attached = matches!(*self.lock(), State::Attached(_));
        if attached {
            // What is not written in time is counted below.
            let _in_time = timeout(self.inner.options.close_within, self.flush()).await;
        }
        let state = std::mem::replace(&mut *self.lock(), State::Closed);
        if let State::Attached(writer) = state {
            writer.abort();
            // It was aborted, or it panicked: both end it.
            let _ended = writer.await;
        }
        let lost = self.waiting();
        // Nobody is to wait for what will not come.
        self.inner.settled.send_modify(|settled| *settled += lost);
        self.inner.counts.drop_some(lost);
        lost
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for JournalHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JournalHandle").field("waiting", &self.waiting()).field("dropped", &self.dropped()).finish()
    }
}

/// The task that writes.
struct Writer {
    app: App,
    receiver: Receiver<Model>,
    inner: Arc<Inner>,
    batch: Vec<Model>,
}

impl Writer {
    async fn run(mut self) {
        while self.fill().await {
            self.write().await;
        }
    }

    /// Takes entries out of the queue: as many as are written at once, or those that come while one lingers. False when
    /// there is none left and none to come.
    async fn fill(&mut self) -> bool {
        let most = self.inner.options.batch.max(1);
        if self.receiver.recv_many(&mut self.batch, most).await == 0 {
            return false;
        }
        let inner = Arc::clone(&self.inner);
        let until = Instant::now() + inner.options.linger.min(Duration::from_secs(3_600));
        while self.batch.len() < most {
            let settled = *inner.settled.borrow();
            if inner.counts.wanted.load(Ordering::SeqCst) > settled {
                // Somebody waits: what is there goes now.
                while self.batch.len() < most {
                    let Ok(entry) = self.receiver.try_recv() else { break };
                    self.batch.push(entry);
                }
                break;
            }
            let room = most - self.batch.len();
            tokio::select! {
                came = self.receiver.recv_many(&mut self.batch, room) => if came == 0 { break },
                () = inner.hurry.notified() => {}
                () = sleep_until(until) => break,
            }
        }
        true
    }

    /// Writes the batch, however long that takes.
    async fn write(&mut self) {
        let taken = self.batch.len() as u64;
        let untold = self.inner.counts.untold.swap(0, Ordering::Relaxed);
        if let Some(entry) = (untold > 0).then(|| self.told(untold)).flatten() {
            self.batch.push(entry);
        }
        let now = self.inner.options.clock.now();
        self.batch.iter_mut().for_each(|entry| entry.created_at = now);
        let (mut pause, longest) = self.inner.options.pauses;
        loop {
            match self.app.journal().write(&self.batch).await {
                Ok(_) => break,
                Err(error) if error.is_invalid() || error.is_conflict() => {
                    self.write_one_by_one().await;
                    break;
                }
                Err(error) => {
                    // Seen by other layers; this one passes it over.
                    tracing::warn!(%error, entries = self.batch.len(), "log entries cannot be written yet");
                    sleep(pause).await;
                    pause = (pause * 2).min(longest);
                }
            }
        }
        self.batch.clear();
        self.inner.settled.send_modify(|settled| *settled += taken);
    }

    /// Writes what can be written of a batch that was refused, so that one entry does not hold up all others.
    async fn write_one_by_one(&self) {
        for entry in &self.batch {
            if let Err(error) = self.app.journal().write(std::slice::from_ref(entry)).await {
                tracing::warn!(%error, "a log entry was refused");
                self.inner.counts.drop_some(1);
            }
        }
    }

    /// The entry that says how many were dropped.
    fn told(&self, dropped: u64) -> Option<Model> {
        let now = self.inner.options.clock.now();
        let mut entry = NewLogEntry {
            ts: now,
            level: LogLevel::Warn,
            service: self.inner.options.service.clone(),
            message: format!("{dropped} log entries were dropped").parse().ok()?,
            data: crate::types::Json::of(&serde_json::json!({"dropped": dropped})).ok()?,
            ..NewLogEntry::default()
        };
        self.inner.options.retention.apply(&mut entry);
        entry.into_model(now).ok()
    }
}
