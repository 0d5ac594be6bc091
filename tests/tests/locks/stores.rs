//! The contract of locks, run in the process, on every form of Redis and in every database.

use std::sync::Arc;

use stanchion::lock::{InProcess, LockStore, RedisLocks, SessionStore, TableStore};
use stanchion::redis::{Options, Redis};
use stanchion_tests::testbed::{Backend, RedisCluster, RedisSentinel, TestDatabase, available, redis_url};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::contract::{Nodes, lock_contract};
use crate::{open, settings};

lock_contract!(in_process, crate::stores::in_process);
lock_contract!(redis, crate::stores::redis);
lock_contract!(redis_cluster, crate::stores::redis_cluster);
lock_contract!(redis_sentinel, crate::stores::redis_sentinel);
lock_contract!(sqlite_table, crate::stores::sqlite_table);
lock_contract!(postgres_table, crate::stores::postgres_table);
lock_contract!(mariadb_table, crate::stores::mariadb_table);
lock_contract!(postgres_session, crate::stores::postgres_session);
lock_contract!(mariadb_session, crate::stores::mariadb_session);

pub(crate) async fn in_process() -> Option<Nodes> {
    let store: Arc<dyn LockStore> = Arc::new(InProcess::new());
    Some(Nodes::new(Arc::clone(&store), store).drops(10_000))
}

/// Locks in the Redis at `url`, as one instance of a service has them.
fn redis_locks(url: &str, prefix: &str) -> Arc<dyn LockStore> {
    Arc::new(RedisLocks::new(Redis::new(url.parse().unwrap(), Options::default()), prefix))
}

/// A prefix that no other test has.
fn prefix() -> String {
    format!("test-{}", Uuid::new_v4().simple())
}

pub(crate) async fn redis() -> Option<Nodes> {
    let (url, prefix) = (redis_url()?, prefix());
    Some(Nodes::new(redis_locks(&url, &prefix), redis_locks(&url, &prefix)).drops(10_000))
}

/// In a cluster that all claims share, each with a prefix of its own; it ends with the process.
pub(crate) async fn redis_cluster() -> Option<Nodes> {
    static CLUSTER: OnceCell<Option<RedisCluster>> = OnceCell::const_new();
    let cluster = CLUSTER.get_or_init(async || available(RedisCluster::start(3).await)).await;
    let (url, prefix) = (cluster.as_ref()?.url(), prefix());
    Some(Nodes::new(redis_locks(&url, &prefix), redis_locks(&url, &prefix)))
}

/// The same with sentinels.
pub(crate) async fn redis_sentinel() -> Option<Nodes> {
    static SENTINEL: OnceCell<Option<RedisSentinel>> = OnceCell::const_new();
    let sentinel = SENTINEL.get_or_init(async || available(RedisSentinel::start().await)).await;
    let (url, prefix) = (sentinel.as_ref()?.url(), prefix());
    Some(Nodes::new(redis_locks(&url, &prefix), redis_locks(&url, &prefix)))
}

pub(crate) async fn sqlite_table() -> Option<Nodes> {
    table(Backend::Sqlite).await
}

pub(crate) async fn postgres_table() -> Option<Nodes> {
    table(Backend::Postgres).await
}

pub(crate) async fn mariadb_table() -> Option<Nodes> {
    table(Backend::MariaDb).await
}

/// Rows of one database, each node with pools of its own.
async fn table(backend: Backend) -> Option<Nodes> {
    let database = TestDatabase::empty(backend).await?;
    let (one, other) = (TableStore::new(open(&database).await), TableStore::new(open(&database).await));
    let nodes = Nodes::new(Arc::new(one), Arc::new(other));
    Some(nodes.keeping(database))
}

pub(crate) async fn postgres_session() -> Option<Nodes> {
    session(Backend::Postgres).await
}

pub(crate) async fn mariadb_session() -> Option<Nodes> {
    // The server does not tell what others hold.
    Some(session(Backend::MariaDb).await?.listing_their_own())
}

/// Sessions of one server; the database's name keeps tests apart where locks are the whole server's.
async fn session(backend: Backend) -> Option<Nodes> {
    let database = TestDatabase::empty(backend).await?;
    let mut settings = settings(&database);
    // A connection a lock that is held.
    settings.max_open_conns = 40;
    let node = || -> Arc<dyn LockStore> { Arc::new(SessionStore::new(&settings, &database.name()).unwrap()) };
    let nodes = Nodes::new(node(), node());
    Some(nodes.keeping(database))
}
