use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, IsolationLevel, QueryResult,
    QueryStream, Statement, StreamTrait, TransactionError, TransactionOptions, TransactionTrait,
};

use super::Tx;
use super::doubt::Doubt;
use super::raw::{Connection, query_error};
use super::resting::{Lent, Resting};

/// A pool of connections: any SeaORM query runs on it.
///
/// It is cheap to clone; clones share the pool. A statement waits for a connection at most the configured
/// `acquire_timeout` and then fails as [`Kind::PoolExhausted`](super::Kind::PoolExhausted). Connections are not pinged
/// before use while they are busy, nor after every use, which saves two round trips; one that was idle for a while is, and
/// each one about once a second.
///
/// # Cancellation
/// A dropped future gives its connection back in a usable state. That holds for [`begin`](TransactionTrait::begin) too,
/// where the driver's own does not ([sqlx #4385](https://github.com/launchbadge/sqlx/issues/4385)): it runs to its end in
/// the background, and the transaction that nobody took is rolled back.
#[derive(Clone, Debug)]
pub struct Pool {
    inner: DatabaseConnection,
    writes: bool,
    doubt: Arc<Doubt>,
    resting: Resting,
    trips: RoundTrips,
    /// By which the driver's pool finds itself.
    _held: Arc<dyn Any + Send + Sync>,
}

/// Counts what a pool and its transactions asked the engine, across clones.
#[derive(Clone, Debug, Default)]
pub(super) struct RoundTrips(Arc<AtomicU64>);

impl RoundTrips {
    /// One more.
    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Which pool it is: equal for its clones and its transactions only.
#[derive(Clone, Debug)]
pub(crate) struct Origin(pub(super) RoundTrips);

impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0.0, &other.0.0)
    }
}

impl Pool {
    pub(super) fn new(
        inner: DatabaseConnection,
        writes: bool,
        doubt: Arc<Doubt>,
        most_resting: usize,
        held: Arc<dyn Any + Send + Sync>,
    ) -> Self {
        let resting = Resting::new(most_resting, Arc::clone(&doubt));
        Self { inner, writes, doubt, resting, trips: RoundTrips::default(), _held: held }
    }

    /// SeaORM's own handle of the pool. Beginning a transaction on it is not safe against cancellation.
    pub const fn connection(&self) -> &DatabaseConnection {
        &self.inner
    }

    /// Connections that are open, and how many of them are idle.
    pub fn size(&self) -> (u32, usize) {
        let (open, idle) = match self.inner.get_database_backend() {
            DbBackend::Sqlite => {
                let pool = self.inner.get_sqlite_connection_pool();
                (pool.size(), pool.num_idle())
            }
            DbBackend::Postgres => {
                let pool = self.inner.get_postgres_connection_pool();
                (pool.size(), pool.num_idle())
            }
            _ => {
                let pool = self.inner.get_mysql_connection_pool();
                (pool.size(), pool.num_idle())
            }
        };
        (open, idle + self.resting.len())
    }

    /// How many times the engine was asked something and waited for, since the pool was opened: statements, and what begins
    /// and ends a transaction. What the driver does for itself is not counted: opening and testing a connection, preparing
    /// a statement that the connection has not seen.
    pub fn round_trips(&self) -> u64 {
        self.trips.0.load(Ordering::Relaxed)
    }

    /// Whether both are the same pool.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.origin() == other.origin()
    }

    /// What tells it from other pools.
    pub(crate) fn origin(&self) -> Origin {
        Origin(self.trips.clone())
    }

    /// Closes the pool: waits for lent connections to come back, then closes all of them. Later use is an error.
    pub async fn close(&self) {
        self.resting.close();
        // The driver's close cannot fail; SeaORM's signature says it could.
        let _closed = self.inner.close_by_ref().await;
    }

    /// Remembers a failure of the server: see [`Doubt`].
    pub(super) fn doubt(&self, error: &DbErr) {
        self.doubt.note(error);
    }

    /// A connection that rests, else one of the driver's pool.
    async fn lend(&self) -> Result<Lent, DbErr> {
        if let Some(lent) = self.resting.take() {
            return Ok(lent);
        }
        let _wanted = self.resting.want();
        // One may have been laid to rest after the look above.
        if let Some(lent) = self.resting.take() {
            return Ok(lent);
        }
        let connection = match self.inner.get_database_backend() {
            DbBackend::Sqlite => self.inner.get_sqlite_connection_pool().acquire().await.map(Connection::Sqlite),
            DbBackend::Postgres => self.inner.get_postgres_connection_pool().acquire().await.map(Connection::Postgres),
            _ => self.inner.get_mysql_connection_pool().acquire().await.map(Connection::MySql),
        };
        connection.map(Lent::now).map_err(query_error).inspect_err(|error| self.doubt.note(error))
    }

    /// Lets a connection rest after its statement; after one that failed, the driver's pool looks at it.
    fn give_back<T>(&self, lent: Lent, answer: Result<T, DbErr>) -> Result<T, DbErr> {
        match &answer {
            Ok(_) => self.resting.rest(lent),
            Err(error) => self.doubt.note(error),
        }
        answer
    }

    /// Begins a transaction, `options` said first where there are any.
    pub(super) async fn begin_tx(&self, options: TransactionOptions) -> Result<Tx, DbErr> {
        let pool = self.clone();
        // Detached: the driver loses track of a BEGIN that is cancelled on its way.
        let begun = tokio::spawn(async move {
            let mut connection = pool.lend().await?.connection;
            let settings = set_transaction(connection.backend(), options);
            // MySQL takes them before the transaction, PostgreSQL inside it.
            let before = connection.backend() == DbBackend::MySql;
            if let Some(settings) = settings.as_deref().filter(|_| before) {
                pool.trips.count();
                connection.execute_unprepared(settings).await?;
            }
            pool.trips.count();
            connection.begin(pool.writes).await?;
            let tx = Tx::begun(connection, pool.trips.clone(), pool.clone());
            if let Some(settings) = settings.as_deref().filter(|_| !before) {
                tx.execute_unprepared(settings).await?;
            }
            Ok(tx)
        });
        let begun = begun.await;
        begun
            .unwrap_or_else(|failed| Err(DbErr::Custom(format!("beginning a transaction: {failed}"))))
            .inspect_err(|error| self.doubt.note(error))
    }
}

/// The statement that sets a transaction's isolation and access mode; SQLite has neither, its writers are serial.
fn set_transaction(backend: DbBackend, options: TransactionOptions) -> Option<String> {
    let isolation = options.isolation_level.map(|level| format!("ISOLATION LEVEL {level}"));
    let access = options.access_mode.map(|mode| mode.to_string());
    let parts: Vec<String> = isolation.into_iter().chain(access).collect();
    if parts.is_empty() || backend == DbBackend::Sqlite {
        return None;
    }
    Some(format!("SET TRANSACTION {}", parts.join(", ")))
}

#[async_trait::async_trait]
impl ConnectionTrait for Pool {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let mut lent = self.lend().await?;
        self.trips.count();
        let answer = lent.connection.execute(statement).await;
        self.give_back(lent, answer)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut lent = self.lend().await?;
        self.trips.count();
        let answer = lent.connection.execute_unprepared(sql).await;
        self.give_back(lent, answer)
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut lent = self.lend().await?;
        self.trips.count();
        let answer = lent.connection.query_one(statement).await;
        self.give_back(lent, answer)
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut lent = self.lend().await?;
        self.trips.count();
        let answer = lent.connection.query_all(statement).await;
        self.give_back(lent, answer)
    }
}

impl StreamTrait for Pool {
    type Stream<'a> = QueryStream;

    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    fn stream_raw<'a>(
        &'a self,
        statement: Statement,
    ) -> Pin<Box<dyn Future<Output = Result<Self::Stream<'a>, DbErr>> + 'a + Send>> {
        Box::pin(async move {
            // SeaORM takes the connection from the driver's pool itself.
            let _wanted = self.resting.want();
            drop(self.resting.take());
            self.trips.count();
            self.inner.stream_raw(statement).await
        })
    }
}

#[async_trait::async_trait]
impl TransactionTrait for Pool {
    type Transaction = Tx;

    async fn begin(&self) -> Result<Tx, DbErr> {
        self.begin_tx(TransactionOptions::default()).await
    }

    async fn begin_with_config(
        &self,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<Tx, DbErr> {
        self.begin_tx(TransactionOptions { isolation_level, access_mode, ..Default::default() }).await
    }

    async fn begin_with_options(&self, options: TransactionOptions) -> Result<Tx, DbErr> {
        self.begin_tx(options).await
    }

    async fn transaction<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c Tx) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>> + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let tx = self.begin().await.map_err(TransactionError::Connection)?;
        tx.run(callback).await
    }

    async fn transaction_with_config<F, T, E>(
        &self,
        callback: F,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c Tx) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>> + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let tx = self.begin_with_config(isolation_level, access_mode).await.map_err(TransactionError::Connection)?;
        tx.run(callback).await
    }
}
