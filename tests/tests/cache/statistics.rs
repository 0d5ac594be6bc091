//! The numbers that a cache gives add up, over one level and over two.

use std::time::Duration;

use stanchion::Error;
use stanchion::cache::{Cache, NamespaceOptions, Target};
use stanchion_tests::testbed::{eventually, redis_url};

use crate::nodes::{alone, node, numbers, prefix, ready};

/// A cache without Redis, and one with it where there is one.
async fn caches() -> Vec<Cache> {
    let remote = redis_url().map(|url| node(&url, &prefix()));
    if let Some(cache) = &remote {
        ready(cache).await;
    }
    [Some(alone()), remote].into_iter().flatten().collect()
}

#[tokio::test]
async fn an_invalidation_is_counted_once() {
    for cache in caches().await {
        let numbers = numbers(&cache);
        numbers.get_or_load("key", || async { Ok(1) }).await.unwrap();
        numbers.invalidate("key").await;
        assert_eq!(numbers.statistics().invalidations, 1);
        numbers.invalidate_all().await;
        cache.invalidate([numbers.target("a"), numbers.target("b"), Target::tag("of nothing here")]).await;
        assert_eq!(numbers.statistics().invalidations, 4);
    }
}

#[tokio::test]
async fn every_read_is_counted_as_what_it_was() {
    for cache in caches().await {
        let options = NamespaceOptions::<u64>::ttl(Duration::from_millis(200)).jitter(0.0);
        let options = options.stale_for(Duration::from_secs(600)).stale_throttle(Duration::from_secs(600));
        let numbers = cache.namespace("counted", options.negative_ttl(Duration::from_secs(600))).unwrap();
        assert!(numbers.get("nothing").await.unwrap().is_none());
        assert!(numbers.get_or_load_optional("nothing", &[], || async { Ok(None) }).await.unwrap().is_none());
        assert!(numbers.get("nothing").await.unwrap().is_none());
        assert!(numbers.get_or_load_optional("nothing", &[], || async { Ok(Some(1)) }).await.unwrap().is_none());
        let first = numbers.statistics();
        assert_eq!((first.misses, first.negative_hits, first.l1_hits, first.requests()), (2, 2, 0, 4));

        numbers.get_or_load("key", || async { Ok(1) }).await.unwrap();
        eventually("its loader fails", async || {
            numbers.get_or_load("key", || async { Err(Error::not_found("number", 1)) }).await.unwrap();
            numbers.statistics().stale == 1
        })
        .await;
        // The loader is left alone, and a stale value is all there is.
        let before = numbers.statistics();
        assert_eq!(numbers.get("key").await.unwrap().as_deref(), Some(&1));
        let after = numbers.statistics();
        assert_eq!((after.stale, after.l1_hits), (before.stale + 1, before.l1_hits));
        assert_eq!(after.requests(), before.requests() + 1);
    }
}

#[tokio::test]
async fn what_redis_says_is_not_there_is_a_negative_hit_too() {
    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let (here, there) = (node(&url, &prefix), node(&url, &prefix));
    ready(&here).await;
    ready(&there).await;
    let numbers_here = numbers(&here);
    assert!(numbers_here.get_or_load_optional("key", &[], || async { Ok(None) }).await.unwrap().is_none());
    assert!(numbers(&there).get("key").await.unwrap().is_none());
    let statistics = numbers(&there).statistics();
    assert_eq!((statistics.negative_hits, statistics.l2_hits, statistics.misses), (1, 0, 0));
}
