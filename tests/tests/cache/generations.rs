//! What was loaded before an invalidation is not served after it, on any instance.

use std::sync::Arc;
use std::time::Duration;

use stanchion::cache::{Cache, Namespace, Target, Told};
use stanchion_tests::testbed::{available, eventually, redis_url};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::nodes::{alone, node, numbers, prefix, ready};

/// The ways to invalidate the key `key`, which has the tag `tag`.
fn ways() -> [Target; 4] {
    [Target::key("numbers", "key"), Target::tag("tag"), Target::namespace("numbers"), Target::All]
}

async fn read(numbers: &Namespace<u64>, value: u64) -> u64 {
    *numbers.get_or_load_tagged("key", &["tag"], move || async move { Ok(value) }).await.unwrap()
}

/// A load that has begun, and ends when it is told.
async fn begun(numbers: &Namespace<u64>, value: u64) -> (JoinHandle<u64>, Arc<Notify>) {
    let (inside, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (entered, wait, numbers) = (Arc::clone(&inside), Arc::clone(&go), numbers.clone());
    let load = async move {
        entered.notify_one();
        wait.notified().await;
        Ok(value)
    };
    let task = tokio::spawn(async move { *numbers.get_or_load_tagged("key", &["tag"], || load).await.unwrap() });
    inside.notified().await;
    (task, go)
}

#[tokio::test]
async fn what_is_invalidated_is_loaded_anew() {
    let cache = alone();
    let numbers = numbers(&cache);
    for (turn, target) in (0..).step_by(2).zip(ways()) {
        assert_eq!(read(&numbers, turn).await, turn);
        assert_eq!(read(&numbers, turn + 1).await, turn);
        assert_eq!(cache.invalidate([target.clone()]).await, Told::Everywhere);
        assert_eq!(read(&numbers, turn + 1).await, turn + 1, "{target:?}");
        cache.invalidate([Target::All]).await;
    }
}

#[tokio::test]
async fn a_load_that_began_before_an_invalidation_is_not_kept() {
    for target in ways() {
        let cache = alone();
        let numbers = numbers(&cache);
        let (old, go) = begun(&numbers, 1).await;
        cache.invalidate([target.clone()]).await;
        // Who asks now does not wait for the old one.
        assert_eq!(read(&numbers, 2).await, 2, "{target:?}");
        go.notify_one();
        assert_eq!(old.await.unwrap(), 1);
        assert_eq!(read(&numbers, 3).await, 2, "{target:?}");
    }
}

async fn two() -> Option<(Cache, Cache)> {
    let (url, prefix) = (redis_url()?, prefix());
    let nodes = (node(&url, &prefix), node(&url, &prefix));
    ready(&nodes.0).await;
    ready(&nodes.1).await;
    Some(nodes)
}

#[tokio::test]
async fn an_invalidation_on_one_node_holds_on_the_other() {
    for target in ways() {
        let Some((here, there)) = two().await else { return };
        let (a, b) = (numbers(&here), numbers(&there));
        assert_eq!(read(&a, 1).await, 1);
        assert_eq!(read(&b, 2).await, 1);
        assert_eq!(here.invalidate([target.clone()]).await, Told::Everywhere);
        assert_eq!(read(&a, 3).await, 3, "{target:?}");
        eventually("the other node reads the new value", async || read(&b, 4).await == 3).await;
    }
}

#[tokio::test]
async fn a_load_on_another_node_that_began_before_is_kept_nowhere() {
    for target in ways() {
        let Some((here, there)) = two().await else { return };
        let (a, b) = (numbers(&here), numbers(&there));
        let (old, go) = begun(&b, 1).await;
        here.invalidate([target.clone()]).await;
        go.notify_one();
        assert_eq!(old.await.unwrap(), 1);
        // In Redis it does not count, whether the other node has heard of it or not.
        assert_eq!(read(&a, 2).await, 2, "{target:?}");
        eventually("the other node reads the new value", async || read(&b, 3).await == 2).await;
    }
}

#[tokio::test]
async fn a_server_that_comes_back_with_old_data_brings_nothing_back() {
    let Some(server) = available(stanchion_tests::testbed::Redis::start_with(&[("appendonly", "no")]).await) else {
        return;
    };
    let cache = node(server.url(), &prefix());
    ready(&cache).await;
    let numbers = numbers(&cache);
    assert_eq!(read(&numbers, 1).await, 1);
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("SAVE").query_async::<()>(&mut connection).await.unwrap();
    assert_eq!(cache.invalidate([Target::key("numbers", "key")]).await, Told::Everywhere);
    server.kill();
    server.restart().await.unwrap();
    for value in 2..20 {
        assert_ne!(read(&numbers, value).await, 1);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ready(&cache).await;
    assert_ne!(read(&numbers, 30).await, 1);
}
