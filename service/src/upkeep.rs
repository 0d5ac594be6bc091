//! What a service does when nobody asks: it brings checkouts and the outbox to an end, expires coupons, deletes log entries
//! whose time is over, publishes invalidations of the cache that were left, gives the cache's statistics to the metrics, and
//! makes the coming months' partitions.
//! Delivering alerts is a loop of its own ([`Alerting::run`](crate::domain::alerting::Alerting::run)).
//!
//! Everything here is idempotent and safe on any number of instances at once. It is called by whoever runs a service for
//! long: the command does, and so does a service's own `main`.

use std::pin::pin;
use std::time::Duration;

use crate::domain::marketing::Expired;
use crate::domain::ordering::Swept;
use crate::migration::partitions;
use crate::{App, Error};

/// How long a checkout may take before the upkeep takes it over.
pub const OVERDUE_AFTER: Duration = Duration::from_secs(60);
/// How long an invalidation may take from its commit to its publication before the upkeep publishes it too.
const UNPUBLISHED_AFTER: Duration = Duration::from_secs(10);
/// How often one round relays the invalidations of a database at most: a long outage of Redis leaves many.
const RELAYS: u32 = 100;
/// Orders, and messages of the outbox, that one round looks after at most.
const ORDERS: u32 = 500;
/// Coupons in users' hands that one round expires at most.
const COUPONS: u32 = 1_000;
/// Batches of log entries that one round deletes at most.
const LOG_BATCHES: u32 = 10;

/// What a round has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Of orders and the outbox.
    pub ordering: Swept,
    /// Of coupons.
    pub coupons: Expired,
    /// Log entries that were deleted.
    pub log_entries: u64,
    /// Invalidations of the cache that a process which died had left.
    pub invalidations: u64,
    /// Parts of the round that failed; each was logged, and is tried again in the next one.
    pub failed: u32,
}

impl App {
    /// One round of what has to be done again and again, each part by itself: one that fails is logged and counted, and does
    /// not keep the others from being done. Bounded; call it again.
    ///
    /// # Cancellation
    /// What is half done, the next round brings to an end.
    pub async fn upkeep(&self) -> Kept {
        let mut kept = Kept::default();
        match self.ordering().sweep(OVERDUE_AFTER, ORDERS).await {
            Ok(swept) => kept.ordering = swept,
            Err(error) => kept.note("orders", &error),
        }
        match self.marketing().expire(COUPONS).await {
            Ok(expired) => kept.coupons = expired,
            Err(error) => kept.note("coupons", &error),
        }
        match self.journal().purge(LOG_BATCHES).await {
            Ok(deleted) => kept.log_entries = deleted,
            Err(error) => kept.note("log entries", &error),
        }
        self.cache().statistics().publish();
        for db in self.databases() {
            for _ in 0..RELAYS {
                match self.cache().relay(db.writer(), UNPUBLISHED_AFTER).await {
                    Ok(0) => break,
                    Ok(published) => kept.invalidations += published,
                    Err(error) => {
                        kept.note("invalidations", &error);
                        break;
                    }
                }
            }
            if let Err(error) = partitions::ensure_ahead(db.writer(), self.clock().now()).await {
                kept.note("partitions", &error.into());
            }
        }
        kept
    }

    /// Does a round of [`upkeep`](Self::upkeep) every so often until `shutdown` is ready; a round that has begun then is
    /// finished.
    ///
    /// # Cancellation
    /// As [`upkeep`](Self::upkeep).
    pub async fn upkeep_every(&self, every: Duration, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            self.upkeep().await;
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = tokio::time::sleep(every) => {}
            }
        }
    }
}

impl Kept {
    fn note(&mut self, what: &str, error: &Error) {
        tracing::warn!(what, %error, "a part of the upkeep failed; the next round tries it again");
        self.failed += 1;
    }
}
