//! What is served when the loader fails, is slow, or finds nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stanchion::Error;
use stanchion::cache::{CacheError, NamespaceOptions};
use stanchion_tests::testbed::eventually;

use crate::nodes::alone;

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(60);

fn options() -> NamespaceOptions<u64> {
    NamespaceOptions::ttl(SHORT).jitter(0.0)
}

#[tokio::test]
async fn a_stale_value_stands_in_for_a_failing_loader_which_is_then_left_alone() {
    let numbers = alone().namespace("n", options().stale_for(LONG).stale_throttle(LONG)).unwrap();
    assert_eq!(*numbers.get_or_load("key", || async { Ok(1) }).await.unwrap(), 1);
    let asked = Arc::new(AtomicU64::new(0));
    let fail = || {
        let asked = Arc::clone(&asked);
        || async move {
            asked.fetch_add(1, Ordering::SeqCst);
            Err(Error::not_found("number", 1))
        }
    };
    eventually("the loader is asked", async || {
        assert_eq!(*numbers.get_or_load("key", fail()).await.unwrap(), 1);
        asked.load(Ordering::SeqCst) == 1
    })
    .await;
    for _ in 0..10 {
        assert_eq!(*numbers.get_or_load("key", fail()).await.unwrap(), 1);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(numbers.statistics().stale >= 11);

    numbers.invalidate("key").await;
    assert!(numbers.get_or_load("key", fail()).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_slow_loader_is_not_waited_for_where_there_is_a_stale_value() {
    let options = options().stale_for(LONG).soft_timeout(Duration::from_millis(5));
    let numbers = alone().namespace("n", options).unwrap();
    assert_eq!(*numbers.get_or_load("key", || async { Ok(1) }).await.unwrap(), 1);
    let slow = || async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(2)
    };
    tokio::time::sleep(2 * SHORT).await;
    let began = Instant::now();
    assert_eq!(*numbers.get_or_load("key", slow).await.unwrap(), 1);
    println!("the stale value came after {:?}", began.elapsed());
    eventually("the load went on", async || *numbers.get_or_load("key", slow).await.unwrap() == 2).await;
}

#[tokio::test]
async fn a_loader_that_hangs_is_given_up() {
    let numbers = alone().namespace("n", options().hard_timeout(SHORT)).unwrap();
    let error = numbers.get_or_load("key", std::future::pending::<Result<u64, Error>>).await.unwrap_err();
    assert!(error.is_timeout() && matches!(error, Error::Cache(CacheError::Timeout { .. })));
}

#[tokio::test]
async fn that_there_is_nothing_is_kept_for_its_own_time() {
    let options = NamespaceOptions::<u64>::ttl(LONG).negative_ttl(Duration::from_millis(100)).jitter(0.0);
    let numbers = alone().namespace("n", options).unwrap();
    assert!(numbers.get_or_load_optional("key", &[], || async { Ok(None) }).await.unwrap().is_none());
    assert!(numbers.get_or_load_optional("key", &[], || async { Ok(Some(1)) }).await.unwrap().is_none());
    eventually("it is looked for again", async || {
        numbers.get_or_load_optional("key", &[], || async { Ok(Some(1)) }).await.unwrap().is_some()
    })
    .await;
    numbers.invalidate("key").await;
    assert!(numbers.get_or_load_optional("key", &[], || async { Ok(None) }).await.unwrap().is_none());
    // Who needs a value is not told that there is none: it is loaded.
    assert_eq!(*numbers.get_or_load("key", || async { Ok(3) }).await.unwrap(), 3);
}

#[tokio::test]
async fn an_entry_is_refreshed_before_its_end_and_goes_when_idle() {
    let cache = alone();
    let options = NamespaceOptions::<u64>::ttl(Duration::from_secs(2)).jitter(0.0).refresh_ahead(0.9);
    let numbers = cache.namespace("refreshed", options).unwrap();
    assert_eq!(*numbers.get_or_load("key", || async { Ok(1) }).await.unwrap(), 1);
    eventually("it is loaded anew", async || *numbers.get_or_load("key", || async { Ok(2) }).await.unwrap() == 2).await;

    let idle = cache.namespace("idle", NamespaceOptions::<u64>::ttl(LONG).idle(SHORT)).unwrap();
    assert_eq!(*idle.get_or_load("key", || async { Ok(1) }).await.unwrap(), 1);
    tokio::time::sleep(5 * SHORT).await;
    assert_eq!(*idle.get_or_load("key", || async { Ok(2) }).await.unwrap(), 2);
}
