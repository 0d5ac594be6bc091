//! Instances of a service, as far as the cache can tell: caches over the same Redis, and one that has none.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use stanchion::cache::{Cache, CacheOptions, Namespace, NamespaceOptions};
use stanchion::redis::{Options, Redis};
use stanchion_tests::testbed::eventually;

/// How stale the first level of a node may be.
pub(crate) const MAX_STALENESS: Duration = Duration::from_millis(600);

/// A cache of this process alone.
pub(crate) fn alone() -> Cache {
    Cache::new(CacheOptions::default(), None).unwrap()
}

/// Another instance's cache over the Redis at `url`, with connections of its own.
pub(crate) fn node(url: &str, prefix: &str) -> Cache {
    node_that_trusts(url, prefix, MAX_STALENESS)
}

/// One that trusts its first level for so long after it has last proved that it heard of everything.
pub(crate) fn node_that_trusts(url: &str, prefix: &str, max_staleness: Duration) -> Cache {
    over(handle(url), prefix, max_staleness)
}

/// One over a handle that the test keeps.
pub(crate) fn over(redis: Redis, prefix: &str, max_staleness: Duration) -> Cache {
    let prefix = prefix.to_owned();
    Cache::new(CacheOptions { prefix, max_staleness, ..CacheOptions::default() }, Some(redis)).unwrap()
}

/// A node's connection to Redis.
pub(crate) fn handle(url: &str) -> Redis {
    let options = Options { command_timeout: Duration::from_secs(1), ..Options::default() };
    Redis::new(url.parse().unwrap(), options)
}

/// The server itself, past the cache.
pub(crate) async fn link(url: &str) -> MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// A prefix of a test's own.
pub(crate) fn prefix() -> String {
    format!("test-{:016x}", fastrand::u64(..))
}

/// Numbers that live for an hour: no test waits until one has ended by itself.
pub(crate) fn numbers(cache: &Cache) -> Namespace<u64> {
    cache.namespace("numbers", NamespaceOptions::ttl(Duration::from_secs(60 * 60))).unwrap()
}

/// Waits until a node may use Redis and trusts its first level.
pub(crate) async fn ready(cache: &Cache) {
    let probe = cache.namespace::<u64>("probe", NamespaceOptions::ttl(Duration::from_secs(60))).unwrap();
    eventually("the node uses Redis", async || {
        let before = probe.statistics().stores;
        let key = format!("{:x}", fastrand::u64(..));
        probe.get_or_load(&key, || async { Ok(1) }).await.unwrap();
        probe.statistics().stores > before && probe.get(&key).await.unwrap().is_some()
    })
    .await;
}
