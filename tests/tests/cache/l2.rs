//! The second level.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stanchion::Error;
use stanchion::cache::{CacheError, NamespaceOptions, Target};
use stanchion_tests::testbed::{eventually, redis_url};

use crate::nodes::{alone, node, numbers, prefix, ready};

#[tokio::test]
async fn what_one_node_has_loaded_another_one_finds() {
    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let (here, there) = (node(&url, &prefix), node(&url, &prefix));
    ready(&here).await;
    ready(&there).await;
    assert_eq!(*numbers(&here).get_or_load("key", || async { Ok(1) }).await.unwrap(), 1);
    assert_eq!(numbers(&there).get("key").await.unwrap().as_deref(), Some(&1));
    let second = numbers(&there).get_or_load("other", || async { Ok(2) }).await.unwrap();
    assert_eq!(*second, 2);
    let statistics = numbers(&there).statistics();
    assert_eq!((statistics.l2_hits, statistics.loads, statistics.stores), (1, 1, 1));
}

#[tokio::test]
async fn two_prefixes_do_not_meet() {
    let Some(url) = redis_url() else { return };
    let (here, there) = (node(&url, &prefix()), node(&url, &prefix()));
    ready(&here).await;
    ready(&there).await;
    assert_eq!(*numbers(&here).get_or_load("key", || async { Ok(1) }).await.unwrap(), 1);
    assert_eq!(*numbers(&there).get_or_load("key", || async { Ok(2) }).await.unwrap(), 2);
}

#[tokio::test]
async fn two_databases_of_a_server_do_not_meet() {
    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let mut other = url::Url::parse(&url).unwrap();
    other.set_path("/1");
    let (here, there) = (node(&url, &prefix), node(other.as_str(), &prefix));
    let fence = node(other.as_str(), &prefix);
    for node in [&here, &there, &fence] {
        ready(node).await;
    }
    let options = NamespaceOptions::<u64>::ttl(Duration::from_secs(600)).local_only();
    let local = there.namespace("local", options).unwrap();
    let lasting = |cache: &stanchion::cache::Cache| {
        cache.namespace::<u64>("lasting", NamespaceOptions::ttl(Duration::from_secs(600))).unwrap()
    };
    assert_eq!(*lasting(&there).get_or_load("key", || async { Ok(1) }).await.unwrap(), 1);
    assert_eq!(*local.get_or_load("key", || async { Ok(1) }).await.unwrap(), 1);
    for _ in 0..10 {
        here.invalidate([Target::All]).await;
    }
    // Once this is heard, the others would have been.
    lasting(&fence).invalidate("key").await;
    eventually("the node has heard of it", async || {
        *lasting(&there).get_or_load("key", || async { Ok(2) }).await.unwrap() == 2
    })
    .await;
    assert_eq!(local.get("key").await.unwrap().as_deref(), Some(&1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_nodes_cause_one_load() {
    let Some(url) = redis_url() else { return };
    let (prefix, loads) = (prefix(), Arc::new(AtomicU64::new(0)));
    let nodes: Vec<_> = (0..10).map(|_| node(&url, &prefix)).collect();
    for node in &nodes {
        ready(node).await;
    }
    let callers = nodes.iter().flat_map(|node| (0..100).map(move |_| numbers(node))).map(|numbers| {
        let loads = Arc::clone(&loads);
        tokio::spawn(async move {
            let load = || async move {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok(loads.fetch_add(1, Ordering::SeqCst))
            };
            *numbers.get_or_load("key", load).await.unwrap()
        })
    });
    for value in futures::future::join_all(callers).await {
        assert_eq!(value.unwrap(), 0);
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let cache = alone();
    let numbers = numbers(&cache);
    let error = numbers.get_or_load("k".repeat(65 * 1024), || async { Ok(1) }).await.unwrap_err();
    assert!(error.is_invalid());
    let taken = cache.namespace::<String>("numbers", NamespaceOptions::ttl(Duration::from_secs(60)));
    assert!(matches!(taken, Err(Error::Cache(CacheError::Taken { .. }))));
    for ttl in [Duration::ZERO, Duration::from_secs(100 * 365 * 24 * 3_600)] {
        assert!(cache.namespace::<u64>("ttl", NamespaceOptions::ttl(ttl)).unwrap_err().is_invalid());
    }
    // Every entry would be loaded anew at its first read.
    let always = NamespaceOptions::<u64>::ttl(Duration::from_secs(1)).jitter(0.5).refresh_ahead(0.5);
    assert!(cache.namespace::<u64>("always", always).unwrap_err().is_invalid());
    assert!(cache.namespace::<u64>("{", NamespaceOptions::ttl(Duration::from_secs(1))).unwrap_err().is_invalid());
}

#[tokio::test]
async fn a_generation_is_kept_for_as_long_as_its_longest_entries() {
    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let cache = node(&url, &prefix);
    ready(&cache).await;
    let options = |ttl| NamespaceOptions::<u64>::ttl(ttl).wait_for_others(Duration::ZERO);
    let day = Duration::from_secs(24 * 60 * 60);
    let days = cache.namespace("days", options(day)).unwrap();
    // What lives briefly asks first, for a generation that it needs for a short time.
    let seconds = cache.namespace("seconds", options(Duration::from_secs(1))).unwrap();
    seconds.get_or_load_tagged("key", &["tag"], || async { Ok(1) }).await.unwrap();
    days.get_or_load_tagged("key", &["tag"], || async { Ok(1) }).await.unwrap();
    let mut link = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
    for tag in ["{t:tag}", "{n:days}", "{backplane}:root"] {
        let left: i64 = redis::cmd("PTTL").arg(format!("{prefix}:{tag}")).query_async(&mut link).await.unwrap();
        assert!(u128::try_from(left).unwrap() >= day.as_millis(), "{tag} ends in {left} ms, before its entries do");
    }
}

#[tokio::test]
async fn a_stale_value_that_redis_has_stands_in_for_a_slow_loader() {
    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let (here, there) = (node(&url, &prefix), node(&url, &prefix));
    ready(&here).await;
    ready(&there).await;
    let options = NamespaceOptions::ttl(Duration::from_millis(50)).jitter(0.0).stale_for(Duration::from_secs(600));
    let ours = here.namespace::<u64>("stale", options.clone()).unwrap();
    assert_eq!(*ours.get_or_load("key", || async { Ok(1) }).await.unwrap(), 1);
    // The one who asks waits for no loader at all, and Redis answers later than that.
    let theirs = there.namespace::<u64>("stale", options.soft_timeout(Duration::ZERO)).unwrap();
    eventually("it is fresh no more", async || theirs.get("key").await.unwrap().is_none()).await;
    there.clear();
    let slow = theirs.get_or_load("key", std::future::pending::<Result<u64, Error>>);
    let read = tokio::time::timeout(Duration::from_secs(20), slow).await.expect("the stale value is served");
    assert_eq!(*read.unwrap(), 1);
}
