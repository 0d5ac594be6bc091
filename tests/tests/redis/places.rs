//! The servers that the conformance suite shares, and handles to servers.

use std::time::Duration;

use redis::RedisResult;
use redis::aio::MultiplexedConnection;
use stanchion::redis::{Event, Options, Redis, Subscription};
use stanchion_tests::testbed::{self, RedisCluster, RedisSentinel, Server, available};
use tokio::sync::OnceCell;
use tokio::time::timeout;

/// A server for every test; it ends with the process.
pub(crate) async fn single() -> Option<Redis> {
    static PLACE: OnceCell<Option<Server>> = OnceCell::const_new();
    let place = PLACE.get_or_init(async || available(testbed::Redis::start().await)).await;
    place.as_ref().map(|server| patient(server.url()))
}

/// The same with sentinels.
pub(crate) async fn sentinel() -> Option<Redis> {
    static PLACE: OnceCell<Option<RedisSentinel>> = OnceCell::const_new();
    let place = PLACE.get_or_init(async || available(RedisSentinel::start().await)).await;
    place.as_ref().map(|place| patient(&place.url()))
}

/// The same in a cluster.
pub(crate) async fn cluster() -> Option<Redis> {
    static PLACE: OnceCell<Option<RedisCluster>> = OnceCell::const_new();
    let place = PLACE.get_or_init(async || available(RedisCluster::start(3).await)).await;
    place.as_ref().map(|place| patient(&place.url()))
}

/// A handle that waits for as long as a busy machine may take: for claims about answers.
pub(crate) fn patient(url: &str) -> Redis {
    let options = Options { connect_timeout: Duration::from_secs(30), command_timeout: Duration::from_secs(30) };
    Redis::new(url.parse().unwrap(), options)
}

/// A handle that gives up after a second: for claims about failures.
pub(crate) fn handle(url: &str) -> Redis {
    let options = Options { connect_timeout: Duration::from_secs(2), command_timeout: Duration::from_secs(1) };
    Redis::new(url.parse().unwrap(), options)
}

/// The server itself, past the room.
pub(crate) async fn raw(url: &str) -> MultiplexedConnection {
    try_raw(url).await.unwrap()
}

/// The same, of a server that may be closing its connections.
pub(crate) async fn try_raw(url: &str) -> RedisResult<MultiplexedConnection> {
    redis::Client::open(url)?.get_multiplexed_async_connection().await
}

/// A key that nothing else uses.
pub(crate) fn key(name: &str) -> String {
    format!("{name}:{:016x}", fastrand::u64(..))
}

/// The next event; a test that waits for one that never comes fails.
pub(crate) async fn next(subscription: &mut Subscription) -> Event {
    timeout(Duration::from_secs(60), subscription.next()).await.expect("an event comes")
}
