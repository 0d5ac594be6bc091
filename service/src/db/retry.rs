use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures::future::BoxFuture;
use sea_orm::{DbErr, TransactionOptions, TransactionSession};
use tokio::time::Instant;

use super::tx::is_unknown;
use super::{Db, Tx};
use crate::Error;

/// How often and how long a transaction is tried again.
///
/// Pauses grow from `min_delay` to `max_delay`, twofold a time, each with jitter, so that those who met do not meet again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How often it is run at most, the first time included; at least once.
    pub max_attempts: usize,
    /// No new attempt is begun this long after the first one was.
    pub deadline: Duration,
    /// The pause after the first attempt.
    pub min_delay: Duration,
    /// The longest pause.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    /// Ten attempts within ten seconds, with pauses of 2 ms to 250 ms.
    fn default() -> Self {
        Self {
            max_attempts: 10,
            deadline: Duration::from_secs(10),
            min_delay: Duration::from_millis(2),
            max_delay: Duration::from_millis(250),
        }
    }
}

impl RetryPolicy {
    /// One attempt.
    pub const fn never() -> Self {
        Self { max_attempts: 1, deadline: Duration::ZERO, min_delay: Duration::ZERO, max_delay: Duration::ZERO }
    }

    fn delays(&self) -> impl Iterator<Item = Duration> {
        ExponentialBuilder::default()
            .with_min_delay(self.min_delay)
            .with_max_delay(self.max_delay)
            .with_jitter()
            .with_max_times(self.max_attempts.saturating_sub(1))
            .build()
    }
}

/// What runs in a transaction: an async closure or function that takes a [`Tx`], whose future can move between threads.
///
/// It is there for every one that is; nobody implements it. (The compiler cannot yet be told with `AsyncFn` alone that the
/// future is `Send`.) It may be run more than once, so it borrows what it captures: `async |tx| ...`, not `async move`.
pub trait TxBody<'a, T>: Fn(&'a Tx) -> Self::Future + Send + Sync {
    /// What it becomes when it is run.
    type Future: Future<Output = Result<T, Error>> + Send;

    /// Runs it.
    fn run(&self, tx: &'a Tx) -> Self::Future {
        self(tx)
    }
}

impl<'a, T, F, Running> TxBody<'a, T> for F
where
    F: Fn(&'a Tx) -> Running + Send + Sync,
    Running: Future<Output = Result<T, Error>> + Send,
{
    type Future = Running;
}

impl Db {
    /// Runs `body` in a transaction on the writer and commits it; whatever fails, nothing of it is kept.
    ///
    /// It is run again, whole and from the start, when the database ended it for a reason that another attempt may not meet:
    /// a serialization failure, a deadlock, a lock that was not to be had, a connection that was lost before the commit. So
    /// `body` must have no effect outside of the transaction; [`Tx::after_commit`] is the place for those. The attempts
    /// follow [`RetryPolicy::default`].
    ///
    /// ```
    /// # async fn example(db: &stanchion::db::Db) -> Result<(), stanchion::Error> {
    /// use stanchion::sea_orm::ConnectionTrait;
    ///
    /// db.transaction(async |tx| {
    ///     tx.execute_unprepared("DELETE FROM outbox WHERE attempts > 9").await?;
    ///     tx.after_commit(async { println!("swept") });
    ///     Ok(())
    /// })
    /// .await
    /// # }
    /// ```
    ///
    /// # Errors
    /// That of `body`, rolled back; the last one of the database when the attempts are used up; [`Error::CommitUnknown`]
    /// when the connection was lost while the commit was on its way: that is never repeated.
    ///
    /// # Cancellation
    /// Dropped before the commit has begun, the transaction is rolled back; after that it is carried to its end.
    pub fn transaction<'s, T, F>(&'s self, body: F) -> BoxFuture<'s, Result<T, Error>>
    where
        F: AsyncFn(&Tx) -> Result<T, Error> + for<'a> TxBody<'a, T> + 's,
        T: Send + 's,
    {
        self.transaction_with(TransactionOptions::default(), RetryPolicy::default(), body)
    }

    /// As [`Db::transaction`], with an isolation level, an access mode, and another policy.
    ///
    /// # Errors
    /// As [`Db::transaction`].
    pub fn transaction_with<'s, T, F>(
        &'s self,
        options: TransactionOptions,
        policy: RetryPolicy,
        body: F,
    ) -> BoxFuture<'s, Result<T, Error>>
    where
        F: AsyncFn(&Tx) -> Result<T, Error> + for<'a> TxBody<'a, T> + 's,
        T: Send + 's,
    {
        Box::pin(async move {
            let started = Instant::now();
            let mut delays = policy.delays();
            loop {
                let error = match self.attempt(options, &body).await {
                    Err(error) if error.is_transient() => error,
                    done => return done,
                };
                let Some(delay) = delays.next().filter(|delay| started.elapsed() + *delay < policy.deadline) else {
                    return Err(error);
                };
                tracing::debug!(%error, delay_ms = delay.as_secs_f64() * 1e3, "the transaction is run again");
                tokio::time::sleep(delay).await;
            }
        })
    }

    async fn attempt<T, F>(&self, options: TransactionOptions, body: &F) -> Result<T, Error>
    where
        F: for<'a> TxBody<'a, T>,
    {
        let tx = self.writer().begin_tx(options).await?;
        match body.run(&tx).await {
            Ok(value) => {
                tx.commit().await.map_err(commit_error)?;
                Ok(value)
            }
            Err(error) => {
                if let Error::Database(error) = &error {
                    self.writer().doubt(error.inner());
                }
                // A rollback that fails leaves a broken connection, which rolls back as well.
                if let Err(failed) = tx.rollback().await {
                    tracing::debug!(error = %failed, "rollback failed; the connection is given up");
                }
                Err(error)
            }
        }
    }
}

fn commit_error(error: DbErr) -> Error {
    if is_unknown(&error) { Error::CommitUnknown(error.into()) } else { error.into() }
}
