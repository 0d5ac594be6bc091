//! Invalidations that Redis does not take: on their own instance they hold at once, and for good.

use std::net::Ipv4Addr;
use std::time::Duration;

use stanchion::cache::{Cache, CacheOptions, Namespace, NamespaceOptions, Target, Told};
use stanchion::redis::{Options, Redis};
use stanchion_tests::testbed::{Proxy, Redis as RedisServer, available, eventually};

use crate::nodes::{node, prefix, ready};

/// How long each direction of the wire takes.
const DELAY: Duration = Duration::from_millis(200);

/// Numbers that outlive every wait of these tests.
fn lasting(cache: &Cache) -> Namespace<u64> {
    cache.namespace("lasting", NamespaceOptions::ttl(Duration::from_secs(3_600))).unwrap()
}

async fn read(numbers: &Namespace<u64>, key: &str, tags: &[&str], value: u64) -> u64 {
    *numbers.get_or_load_tagged(key, tags, move || async move { Ok(value) }).await.unwrap()
}

/// A server that may be forbidden to delete.
async fn allow(url: &str, delete: bool) {
    let mut link = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    let rule = if delete { "+del" } else { "-del" };
    redis::cmd("ACL").arg("SETUSER").arg("default").arg(rule).query_async::<()>(&mut link).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_redis_still_says_of_a_tag_brings_nothing_back() {
    let Some(server) = available(RedisServer::start().await) else { return };
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, server.port())).await.unwrap();
    let prefix = prefix();
    let there = node(server.url(), &prefix);
    let redis = Redis::new(proxy.url(server.url()).unwrap().parse().unwrap(), Options::default());
    // So that nothing ends by itself meanwhile.
    let options = CacheOptions { prefix, max_staleness: Duration::from_secs(600), ..CacheOptions::default() };
    let here = Cache::new(options, Some(redis)).unwrap();
    ready(&here).await;
    ready(&there).await;
    let (a, b) = (lasting(&here), lasting(&there));
    // A value of two tags that this node has not read, and one of the second tag that it has.
    assert_eq!(read(&b, "unread", &["first", "second"], 1).await, 1);
    assert_eq!(read(&a, "read", &["second"], 1).await, 1);
    assert_eq!(a.get("read").await.unwrap().as_deref(), Some(&1));

    allow(server.url(), false).await;
    proxy.delay(DELAY);
    // The one asks Redis for the generations of the tags while it refuses the invalidation of the second.
    let (_, told) = tokio::join!(a.get("unread"), here.invalidate([Target::tag("second")]));
    assert_eq!(told, Told::Later);
    assert_eq!(read(&a, "read", &["second"], 2).await, 2);

    allow(server.url(), true).await;
    proxy.restore().await.unwrap();
    eventually("the other node is told", async || read(&b, "unread", &["first", "second"], 3).await == 3).await;
    assert_eq!(read(&a, "read", &["second"], 4).await, 2);
    let options = NamespaceOptions::ttl(Duration::from_secs(60));
    let probe = here.namespace::<u64>("after", options).unwrap();
    eventually("Redis is used again", async || {
        let key = format!("{:x}", fastrand::u64(..));
        probe.get_or_load(&key, || async { Ok(1) }).await.unwrap();
        probe.statistics().stores > 0
    })
    .await;
    assert_eq!(read(&a, "read", &["second"], 5).await, 2);
}

#[tokio::test]
async fn more_than_can_be_remembered_is_everything_and_redis_is_of_use_again_after_it() {
    let Some(server) = available(RedisServer::start().await) else { return };
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, server.port())).await.unwrap();
    let prefix = prefix();
    let (here, there) = (node(&proxy.url(server.url()).unwrap(), &prefix), node(server.url(), &prefix));
    ready(&here).await;
    ready(&there).await;
    let (a, b) = (lasting(&here), lasting(&there));
    assert_eq!(read(&b, "0", &[], 1).await, 1);
    proxy.cut().await;
    assert_eq!(here.invalidate((0..10_001).map(|key| a.target(key.to_string()))).await, Told::Later);
    proxy.restore().await.unwrap();
    eventually("the other node is told", async || read(&b, "0", &[], 2).await == 2).await;
    ready(&here).await;
    // What this node stores now counts for others.
    assert_eq!(read(&a, "new", &[], 3).await, 3);
    assert_eq!(b.get("new").await.unwrap().as_deref(), Some(&3));
}
