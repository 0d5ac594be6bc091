use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use futures::future::BoxFuture;
use sea_orm::{
    AccessMode, ConnectionTrait, DbBackend, DbErr, ExecResult, IsolationLevel, QueryResult, Statement,
    TransactionError, TransactionOptions, TransactionSession, TransactionTrait,
};
use tokio::sync::{Mutex, MutexGuard};

use super::classify::classify;
use super::pool::{Origin, Pool, RoundTrips};
use super::raw::Connection;
use super::{Kind, TxBody};
use crate::Error;

/// Work to be done once a transaction is over.
struct Hook {
    due: Due,
    work: Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>,
}

/// How the commit must have ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Well.
    Committed,
    /// Without an answer.
    Unknown,
}

/// A transaction, or a savepoint inside one: any SeaORM query runs in it.
///
/// It comes from [`Db::transaction`](super::Db::transaction), which commits it, or from [`TransactionTrait::begin`], and
/// then [`commit`](TransactionSession::commit) does. Dropped before that, it is rolled back, and with it what
/// [`Tx::after_commit`] has noted.
///
/// # Cancellation
/// A commit that has begun is carried to its end, hooks included, whether or not somebody still waits for it.
pub struct Tx {
    connection: Arc<Mutex<Connection>>,
    backend: DbBackend,
    hooks: Arc<StdMutex<Vec<Hook>>>,
    /// The hooks of the transaction around this savepoint, which inherits this one's.
    outer: Option<Arc<StdMutex<Vec<Hook>>>>,
    open: bool,
    trips: RoundTrips,
    pool: Pool,
}

impl Tx {
    /// A transaction on a connection on which it was begun.
    pub(super) fn begun(connection: Connection, trips: RoundTrips, pool: Pool) -> Self {
        let backend = connection.backend();
        let connection = Arc::new(Mutex::new(connection));
        Self { connection, backend, hooks: Arc::default(), outer: None, open: true, trips, pool }
    }

    /// Notes work to be done after the commit, in the order of the calls; for what must not happen when the transaction is
    /// rolled back, and need not happen when the process dies: invalidating a cache, waking a worker.
    ///
    /// It runs once, only if the commit succeeded; in a savepoint, only if that and the transaction around it did. It
    /// cannot fail the transaction any more: what it returns is dropped, and a panic in it is logged.
    pub fn after_commit<F>(&self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.note(Due::Committed, work);
    }

    /// Notes work to be done if nobody knows whether the transaction was committed: the connection was lost while the commit
    /// was on its way ([`Error::CommitUnknown`]). For what is harmless if it was not, and must not be left out if it was.
    ///
    /// As [`after_commit`](Self::after_commit) otherwise; of the two, one is done at most.
    pub fn after_unknown_commit<F>(&self, work: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.note(Due::Unknown, work);
    }

    fn note(&self, due: Due, work: impl Future<Output = ()> + Send + 'static) {
        let hook = Hook { due, work: Box::new(move || Box::pin(work)) };
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).push(hook);
    }

    /// Runs `body` in a savepoint: what it did is undone when it fails, and the transaction goes on.
    ///
    /// # Errors
    /// That of `body`, or the database's.
    pub fn savepoint<'s, T, F>(&'s self, body: F) -> BoxFuture<'s, Result<T, Error>>
    where
        F: AsyncFn(&Self) -> Result<T, Error> + for<'a> TxBody<'a, T> + 's,
        T: Send + 's,
    {
        Box::pin(async move {
            let inner = self.begin().await?;
            match body.run(&inner).await {
                Ok(value) => {
                    inner.commit().await?;
                    Ok(value)
                }
                Err(error) => {
                    inner.rollback().await?;
                    Err(error)
                }
            }
        })
    }

    /// The connection, for what only a driver can do. Nothing else runs in the transaction while it is held; what is asked
    /// is counted by [`Tx::count`].
    pub(super) async fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().await
    }

    /// The connection, for one round trip.
    async fn asked(&self) -> MutexGuard<'_, Connection> {
        self.trips.count();
        self.connection.lock().await
    }

    /// The pool that it came from.
    pub(crate) fn origin(&self) -> Origin {
        Origin(self.trips.clone())
    }

    /// The pool that its connection goes back to: for what is done after the commit.
    pub(crate) const fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Counts a round trip made on [`Tx::connection`].
    pub(super) fn count(&self) {
        self.trips.count();
    }

    pub(super) async fn run<F, T, E>(self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c Self) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>> + Send,
        T: Send,
        E: fmt::Display + fmt::Debug + Send,
    {
        match callback(&self).await {
            Ok(value) => {
                self.commit().await.map_err(TransactionError::Connection)?;
                Ok(value)
            }
            Err(error) => {
                self.rollback().await.map_err(TransactionError::Connection)?;
                Err(TransactionError::Transaction(error))
            }
        }
    }

    async fn finish(mut self) -> Result<(), DbErr> {
        let committed = self.asked().await.commit().await;
        self.open = committed.is_err();
        let hooks = std::mem::take(&mut *self.hooks.lock().unwrap_or_else(PoisonError::into_inner));
        let due = match &committed {
            Ok(()) => Due::Committed,
            Err(error) if is_unknown(error) => Due::Unknown,
            Err(_) => return committed,
        };
        if let Some(outer) = &self.outer {
            if committed.is_ok() {
                outer.lock().unwrap_or_else(PoisonError::into_inner).extend(hooks);
            }
            return committed;
        }
        // The connection goes back to its pool first: a hook may well need one.
        drop(self);
        for hook in hooks.into_iter().filter(|hook| hook.due == due) {
            if tokio::spawn((hook.work)()).await.is_err() {
                tracing::error!("a hook after a commit panicked; what was committed stays so");
            }
        }
        committed
    }
}

/// Whether a commit that failed so may have happened: its answer was lost. One that was refused was rolled back.
pub(super) fn is_unknown(error: &DbErr) -> bool {
    matches!(classify(error).kind, Kind::Unavailable | Kind::Other)
}

impl Drop for Tx {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        match self.connection.try_lock() {
            Ok(mut connection) => connection.start_rollback(),
            // Somebody still holds the connection, so it is not going back to its pool yet either.
            Err(_) => {
                let connection = Arc::clone(&self.connection);
                tokio::spawn(async move { connection.lock().await.start_rollback() });
            }
        }
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("backend", &self.backend).field("savepoint", &self.outer.is_some()).finish()
    }
}

#[async_trait::async_trait]
impl TransactionSession for Tx {
    /// Commits, and then runs what [`Tx::after_commit`] noted. A savepoint is released, and what it noted passes on.
    async fn commit(self) -> Result<(), DbErr> {
        if self.outer.is_some() {
            return self.finish().await;
        }
        let finished = tokio::spawn(self.finish()).await;
        finished.unwrap_or_else(|failed| Err(DbErr::Custom(format!("committing a transaction: {failed}"))))
    }

    async fn rollback(mut self) -> Result<(), DbErr> {
        self.asked().await.rollback().await?;
        self.open = false;
        Ok(())
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.asked().await.execute(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.asked().await.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.asked().await.query_one(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.asked().await.query_all(statement).await
    }
}

#[async_trait::async_trait]
impl TransactionTrait for Tx {
    type Transaction = Self;

    /// A savepoint.
    async fn begin(&self) -> Result<Self, DbErr> {
        // The whole transaction is given up when its future is dropped, so a savepoint need not outlive that.
        self.asked().await.begin(false).await?;
        Ok(Self {
            connection: Arc::clone(&self.connection),
            backend: self.backend,
            hooks: Arc::default(),
            outer: Some(Arc::clone(&self.hooks)),
            open: true,
            trips: self.trips.clone(),
            pool: self.pool.clone(),
        })
    }

    /// A savepoint; isolation and access mode are those of the transaction around it.
    async fn begin_with_config(&self, _: Option<IsolationLevel>, _: Option<AccessMode>) -> Result<Self, DbErr> {
        self.begin().await
    }

    /// A savepoint; the options are those of the transaction around it.
    async fn begin_with_options(&self, _: TransactionOptions) -> Result<Self, DbErr> {
        self.begin().await
    }

    async fn transaction<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c Self) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>> + Send,
        T: Send,
        E: fmt::Display + fmt::Debug + Send,
    {
        let savepoint = self.begin().await.map_err(TransactionError::Connection)?;
        savepoint.run(callback).await
    }

    async fn transaction_with_config<F, T, E>(
        &self,
        callback: F,
        _: Option<IsolationLevel>,
        _: Option<AccessMode>,
    ) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c Self) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>> + Send,
        T: Send,
        E: fmt::Display + fmt::Debug + Send,
    {
        self.transaction(callback).await
    }
}
