//! How an instance hears of the others' invalidations, and how it knows that it has heard of all.
//!
//! Every announcement has the number after the last one's. One task hears them; another one asks Redis for the last number,
//! three times in [`max_staleness`](super::CacheOptions::max_staleness). When what was heard has come so far, all that was
//! invalidated before the question was asked is known here: the first level is good from then on. A number that is missing,
//! a connection that is new, and numbers that begin anew empty the first level.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt;
use futures::future::join;
use tokio::time::{sleep, timeout};

use super::core::Core;
use super::level2::Level2;
use super::target::{Message, Target};
use super::time::Tick;
use crate::redis::{Event, RedisError};

/// The longest pause between proofs while Redis may not be used.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
/// How long the first proof waits for the subscription.
const START: Duration = Duration::from_millis(200);

/// How far the announcements were heard.
#[derive(Debug, Default)]
pub(super) struct Backplane(Mutex<Reach>);

#[derive(Debug, Default)]
struct Reach {
    /// The number up to which nothing is missing; `None`: not known.
    last: Option<u64>,
    /// The number that Redis said, and when it was asked, which is still to be heard.
    pending: Option<(u64, Tick)>,
}

/// Listens and proves until it is dropped.
pub(super) async fn run(core: Weak<Core>, level2: Arc<Level2>) {
    let mut subscription = level2.redis.subscribe(vec![level2.channel()]);
    let hear = async {
        loop {
            let event = subscription.next().await;
            let Some(core) = core.upgrade() else { return };
            core.hear(&event, &level2);
        }
    };
    let prove = async {
        let _ = timeout(START, level2.listening.notified()).await;
        loop {
            let mut pause = {
                let Some(core) = core.upgrade() else { return };
                let proof = core.prove(&level2).boxed().await;
                if let Err(error) = &proof {
                    tracing::debug!(%error, "the cache cannot prove that it has heard of every invalidation");
                }
                core.options.max_staleness / 3
            };
            let usable = level2.is_usable();
            level2.failing.store(!usable, Ordering::Relaxed);
            if !usable {
                pause = pause.min(LONGEST_PAUSE);
            }
            let _ = timeout(pause, level2.wanted.notified()).await;
            // While Redis is away, every load wants a proof at once.
            sleep(SHORTEST_PAUSE).await;
        }
    };
    join(hear, prove).await;
}

impl Core {
    /// Tells Redis what it is owed, sees that it has lost nothing, and asks for the last number.
    pub(super) async fn prove(&self, level2: &Level2) -> Result<(), RedisError> {
        if level2.settle().boxed().await? {
            // It may be instead of single ones: what is stored from now on must be under the new generation.
            self.root.invalidate();
        }
        if level2.redis.connection() == 0 {
            level2.redis.ping().await?;
        }
        let connection = level2.redis.connection();
        let proven = level2.is_proven(connection);
        if !proven || level2.is_cluster() {
            let servers = level2.servers().await?;
            let mut changed = level2.identify(&servers).await?;
            if !changed && level2.knew_others(&servers) {
                // Another instance has found out before. Until this one has, it may have told its invalidations to a master
                // that was replaced and did not know it.
                level2.tell(&[Target::All]).await?;
                changed = true;
            }
            level2.know(servers);
            if changed || !proven {
                self.backplane.lock().last = None;
            }
        }
        let (last, asked) = (self.backplane.lock().last, self.timeline.now());
        let Some(sequence) = level2.sequence().await? else { return Ok(()) };
        if level2.redis.connection() != connection {
            level2.wanted.notify_one();
            return Ok(());
        }
        self.reach(sequence, last, asked);
        level2.prove(connection);
        Ok(())
    }

    /// Redis said that the last number is `sequence`; it was asked when `last` had been heard.
    fn reach(&self, sequence: u64, last: Option<u64>, asked: Tick) {
        let mut reach = self.backplane.lock();
        match (last, reach.last) {
            (Some(before), Some(last)) if sequence >= before => {
                let overdue = self.options.max_staleness / 6;
                match reach.pending {
                    _ if last >= sequence => {
                        reach.pending = None;
                        self.confirm(asked);
                    }
                    None => reach.pending = Some((sequence, asked)),
                    Some((_, before)) if before.until(asked) < overdue => {}
                    Some(_) => self.begin_anew(&mut reach, sequence, asked),
                }
            }
            // Nothing was known, or the numbers have begun anew.
            _ => self.begin_anew(&mut reach, sequence, asked),
        }
    }

    /// What was announced up to here may have been missed. What is loaded from now on was loaded after it.
    fn begin_anew(&self, reach: &mut Reach, sequence: u64, asked: Tick) {
        self.forget();
        *reach = Reach { last: Some(sequence), pending: None };
        self.confirm(asked);
    }

    fn hear(&self, event: &Event, level2: &Level2) {
        match event {
            Event::Listening => {
                self.forget();
                *self.backplane.lock() = Reach::default();
                level2.listening.notify_one();
                level2.wanted.notify_one();
            }
            Event::Lost => tracing::debug!("the cache does not hear of invalidations until it is connected again"),
            Event::Message { payload, .. } => match Message::read(payload) {
                Some((number, message)) => {
                    if message.origin != level2.origin {
                        self.count(&message.targets);
                        self.invalidate_here(&message.targets);
                    }
                    self.hear_number(number, level2);
                }
                None => {
                    self.forget();
                    *self.backplane.lock() = Reach::default();
                    level2.wanted.notify_one();
                }
            },
        }
    }

    fn hear_number(&self, number: u64, level2: &Level2) {
        let mut reach = self.backplane.lock();
        match reach.last {
            // The proof that is to come finds out where the numbers are.
            None => {}
            Some(_) if number == 0 => {
                self.forget();
                *reach = Reach::default();
            }
            // It was under way when the proof came, or the numbers have begun anew: the next proof says which.
            Some(last) if number <= last => level2.wanted.notify_one(),
            Some(last) => {
                if number - last > 1 {
                    self.forget();
                }
                let last = number;
                reach.last = Some(last);
                if let Some((sequence, asked)) = reach.pending
                    && last >= sequence
                {
                    reach.pending = None;
                    self.confirm(asked);
                }
            }
        }
    }
}

impl Backplane {
    fn lock(&self) -> MutexGuard<'_, Reach> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
