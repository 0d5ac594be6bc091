//! Caches that outlive a runtime: that of a test, of a command, of a part of a program that ends before the rest.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stanchion::cache::{Cache, Namespace, NamespaceOptions};
use stanchion_tests::testbed::{Proxy, eventually, redis_url};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::nodes::{MAX_STALENESS, alone, node, numbers, prefix, ready};

/// Longer than anything here may take, and shorter than a loader's hard timeout.
const STUCK: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// A runtime that runs what is waited for, and nothing else once that is done.
fn lazy() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Numbers that outlive every wait of these tests.
fn lasting(cache: &Cache) -> Namespace<u64> {
    cache.namespace("lasting", NamespaceOptions::ttl(Duration::from_secs(3_600))).unwrap()
}

async fn read(numbers: &Namespace<u64>, value: u64) -> u64 {
    *numbers.get_or_load("key", move || async move { Ok(value) }).await.unwrap()
}

/// The cache proves again and again that it hears of everything: an entry is served for longer than without a proof.
async fn proves(cache: &Cache) {
    let options = NamespaceOptions::ttl(Duration::from_secs(600)).local_only();
    let local = cache.namespace::<u64>("local", options).unwrap();
    let loads = Arc::new(AtomicU64::new(0));
    let load = async || {
        let loads = Arc::clone(&loads);
        *local.get_or_load("key", || async move { Ok(loads.fetch_add(1, Ordering::SeqCst)) }).await.unwrap()
    };
    eventually("an entry outlives the bound", async || {
        let before = load().await;
        tokio::time::sleep(2 * MAX_STALENESS).await;
        load().await == before
    })
    .await;
}

#[test]
fn a_load_that_its_runtime_never_ran_keeps_nobody_waiting() {
    let cache = alone();
    let numbers = numbers(&cache);
    let first = lazy();
    first.block_on(async {
        let mut caller = Box::pin(numbers.get_or_load("key", || async { Ok(1) }));
        assert!(futures::poll!(caller.as_mut()).is_pending());
    });
    drop(first);
    runtime().block_on(async {
        assert_eq!(timeout(STUCK, read(&numbers, 2)).await.expect("somebody loads"), 2);
    });
}

#[test]
fn an_invalidation_that_its_runtime_never_ran_is_told_all_the_same() {
    let Some(url) = redis_url() else { return };
    let (rest, prefix) = (runtime(), prefix());
    let (here, there) = rest.block_on(async {
        let nodes = (node(&url, &prefix), node(&url, &prefix));
        ready(&nodes.0).await;
        ready(&nodes.1).await;
        nodes
    });
    assert_eq!(rest.block_on(read(&lasting(&there), 1)), 1);
    let first = lazy();
    first.block_on(async {
        let mut invalidating = Box::pin(here.invalidate([lasting(&here).target("key")]));
        assert!(futures::poll!(invalidating.as_mut()).is_pending());
    });
    drop(first);
    rest.block_on(async {
        eventually("the other node is told", async || read(&lasting(&there), 2).await == 2).await;
    });
}

#[test]
fn a_cache_outlives_the_runtime_that_it_was_made_on() {
    let Some(url) = redis_url() else { return };
    let (first, prefix) = (runtime(), prefix());
    let cache = first.block_on(async {
        let cache = node(&url, &prefix);
        ready(&cache).await;
        cache
    });
    drop(first);
    runtime().block_on(async {
        // It reads and writes Redis, and hears of the others.
        ready(&cache).await;
        proves(&cache).await;
    });
}

#[tokio::test]
async fn a_cache_that_was_closed_is_begun_anew_by_its_use() {
    let Some(url) = redis_url() else { return };
    let port = url::Url::parse(&url).unwrap().port().unwrap();
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let cache = node(&proxy.url(&url).unwrap(), &prefix());
    ready(&cache).await;
    cache.close().await;
    // Its next connection has to be proved again.
    proxy.cut().await;
    proxy.restore().await.unwrap();
    ready(&cache).await;
    proves(&cache).await;
}
