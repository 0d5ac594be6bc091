//! One load for all who ask, whoever of them leaves and however it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use stanchion::Error;
use stanchion::cache::{CacheError, Namespace, NamespaceOptions};
use stanchion_tests::testbed::redis_url;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::nodes::{alone, node, numbers, prefix};

/// A cache without Redis, and one with it where there is one.
fn caches() -> Vec<stanchion::cache::Cache> {
    let remote = redis_url().map(|url| node(&url, &prefix()));
    [Some(alone()), remote].into_iter().flatten().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_cause_one_load() {
    for cache in caches() {
        let (numbers, loads) = (numbers(&cache), Arc::new(AtomicU64::new(0)));
        let callers = (0..1_000).map(|_| {
            let (numbers, loads) = (numbers.clone(), Arc::clone(&loads));
            tokio::spawn(async move {
                let load = || async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok(loads.fetch_add(1, Ordering::SeqCst))
                };
                numbers.get_or_load("key", load).await.unwrap()
            })
        });
        for value in join_all(callers).await {
            assert_eq!(*value.unwrap(), 0);
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_leader_that_leaves_neither_ends_nor_repeats_the_load() {
    for cache in caches() {
        let (numbers, loads, go) = (numbers(&cache), Arc::new(AtomicU64::new(0)), Arc::new(Notify::new()));
        let load = || {
            let (loads, go) = (Arc::clone(&loads), Arc::clone(&go));
            || async move {
                let load = loads.fetch_add(1, Ordering::SeqCst);
                go.notified().await;
                Ok(load)
            }
        };
        for _ in 0..10 {
            assert!(timeout(Duration::from_millis(5), numbers.get_or_load("key", load())).await.is_err());
        }
        go.notify_one();
        assert_eq!(*numbers.get_or_load("key", load()).await.unwrap(), 0);
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_panic_reaches_all_who_wait_and_the_next_caller_loads() {
    for cache in caches() {
        let numbers = numbers(&cache);
        let load = || async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            panic!("the loader's own")
        };
        let waiting = join_all((0..10).map(|_| numbers.get_or_load("key", load))).await;
        for outcome in waiting {
            assert!(matches!(outcome, Err(Error::Cache(CacheError::Panicked { .. }))));
        }
        assert_eq!(*numbers.get_or_load("key", || async { Ok(7) }).await.unwrap(), 7);
    }
}

/// A loader of one key that needs the other one, whose loader needs the first.
async fn in_a_circle(numbers: Namespace<u64>, key: u64) -> Result<u64, Error> {
    let (other, again) = (1 - key, numbers.clone());
    let other = numbers.get_or_load(other.to_string(), move || async move {
        let first = again.get_or_load(key.to_string(), || async { Ok(7) });
        Ok(*first.await?)
    });
    Ok(*other.await?)
}

#[tokio::test]
async fn loaders_that_wait_for_one_another_are_given_up() {
    for cache in caches() {
        let options = NamespaceOptions::<u64>::ttl(Duration::from_secs(600)).hard_timeout(Duration::from_millis(300));
        let numbers = cache.namespace("circle", options).unwrap();
        let circle = in_a_circle(numbers.clone(), 0);
        let error = numbers.get_or_load("0", || circle).await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        // It holds nothing up afterwards.
        assert_eq!(*numbers.get_or_load("0", || async { Ok(1) }).await.unwrap(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_thousand_keys_are_loaded_once_each() {
    let cache = alone();
    let (numbers, loads) = (numbers(&cache), Arc::new(AtomicU64::new(0)));
    let callers = (0..30_000_u64).map(|caller| {
        let (numbers, loads) = (numbers.clone(), Arc::clone(&loads));
        tokio::spawn(async move {
            let key = caller % 10_000;
            let load = move || async move {
                tokio::task::yield_now().await;
                loads.fetch_add(1, Ordering::SeqCst);
                Ok(key)
            };
            assert_eq!(*numbers.get_or_load(key.to_string(), load).await.unwrap(), key);
        })
    });
    for caller in join_all(callers).await {
        caller.unwrap();
    }
    assert_eq!(loads.load(Ordering::SeqCst), 10_000);
}

#[tokio::test]
async fn an_error_is_shared_and_is_seen_through() {
    for cache in caches() {
        let (numbers, loads) = (numbers(&cache), Arc::new(AtomicU64::new(0)));
        let load = || {
            let loads = Arc::clone(&loads);
            || async move {
                loads.fetch_add(1, Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(5)).await;
                Err::<u64, _>(Error::not_found("number", 7))
            }
        };
        for outcome in join_all((0..10).map(|_| numbers.get_or_load("key", load()))).await {
            let error = outcome.unwrap_err();
            assert!(error.is_not_found() && !error.is_conflict());
            assert_eq!(error.to_string(), "there is no number 7");
        }
        assert_eq!(loads.load(Ordering::SeqCst), 1);
    }
}
