//! How long entries are there: in the process no longer than they count, and as long as Redis's values say themselves.

use std::time::Duration;

use stanchion::cache::NamespaceOptions;
use stanchion_tests::testbed::{eventually, redis_url};

use crate::nodes::{alone, node, numbers, prefix, ready};

const SHORT: Duration = Duration::from_millis(50);
const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn what_is_over_leaves_the_process_though_nobody_asks_for_it() {
    let cache = alone();
    let short = cache.namespace("short", NamespaceOptions::<u64>::ttl(SHORT)).unwrap();
    let idle = cache.namespace("idle", NamespaceOptions::<u64>::ttl(HOUR).idle(SHORT)).unwrap();
    let long = cache.namespace("long", NamespaceOptions::<u64>::ttl(HOUR)).unwrap();
    for key in 0..300 {
        let key = key.to_string();
        short.get_or_load(&key, || async { Ok(1) }).await.unwrap();
        idle.get_or_load(&key, || async { Ok(1) }).await.unwrap();
        long.get_or_load(&key, || async { Ok(1) }).await.unwrap();
    }
    let mut other = 300..;
    eventually("they are gone", async || {
        let key = other.next().map(|key| key.to_string()).unwrap();
        long.get_or_load(key, || async { Ok(1) }).await.unwrap();
        (short.statistics().evictions, idle.statistics().evictions) == (300, 300)
    })
    .await;
    assert_eq!(long.statistics().evictions, 0);
    for key in 0..300 {
        assert!(long.get(key.to_string()).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn an_entry_that_was_replaced_does_not_take_the_new_one_with_it() {
    let cache = alone();
    let options = NamespaceOptions::<u64>::ttl(HOUR).negative_ttl(SHORT).jitter(0.0);
    let numbers = cache.namespace("numbers", options).unwrap();
    for key in 0..300 {
        let key = key.to_string();
        assert!(numbers.get_or_load_optional(&key, &[], || async { Ok(None) }).await.unwrap().is_none());
        // It is not enough that there is nothing: it is loaded, and takes the place of that.
        assert_eq!(*numbers.get_or_load(&key, || async { Ok(1) }).await.unwrap(), 1);
    }
    let mark = cache.namespace("mark", NamespaceOptions::<u64>::ttl(SHORT)).unwrap();
    mark.get_or_load("loaded after them", || async { Ok(1) }).await.unwrap();
    eventually("what was loaded after them is gone", async || {
        numbers.get_or_load("another", || async { Ok(1) }).await.unwrap();
        cache.statistics().total.evictions == 1
    })
    .await;
    assert_eq!((mark.statistics().evictions, numbers.statistics().evictions), (1, 0));
    for key in 0..300 {
        assert_eq!(numbers.get(key.to_string()).await.unwrap().as_deref(), Some(&1));
    }
}

#[tokio::test]
async fn a_value_in_redis_lives_no_longer_than_it_says() {
    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let (here, there) = (node(&url, &prefix), node(&url, &prefix));
    ready(&here).await;
    ready(&there).await;
    let second = here.namespace("n", NamespaceOptions::<u64>::ttl(Duration::from_secs(1)).jitter(0.0)).unwrap();
    let hour = there.namespace::<u64>("n", NamespaceOptions::ttl(HOUR)).unwrap();

    let client = redis::Client::open(url.as_str()).unwrap();
    let mut link = client.get_multiplexed_async_connection().await.unwrap();
    let value = format!("{prefix}:{{n:key}}:v");
    eventually("the other one has read it", async || {
        second.get_or_load("key", || async { Ok(1) }).await.unwrap();
        // As if the time that is left were that of another value, which was there a moment before.
        redis::cmd("PEXPIRE").arg(&value).arg(3_600_000).query_async::<()>(&mut link).await.unwrap();
        hour.get("key").await.unwrap().is_some()
    })
    .await;
    redis::cmd("DEL").arg(&value).query_async::<()>(&mut link).await.unwrap();
    eventually("it is over", async || hour.get("key").await.unwrap().is_none()).await;
}

#[tokio::test]
async fn where_redis_mostly_has_it_it_is_looked_for_there_first() {
    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let (here, there) = (node(&url, &prefix), node(&url, &prefix));
    ready(&here).await;
    ready(&there).await;
    let (here, there) = (numbers(&here), numbers(&there));
    for key in 0..20 {
        let key = key.to_string();
        here.get_or_load_tagged(&key, &["tag"], || async { Ok(1) }).await.unwrap();
        assert_eq!(*there.get_or_load_tagged(&key, &["tag"], || async { Ok(2) }).await.unwrap(), 1);
    }
    assert_eq!((there.statistics().l2_hits, there.statistics().loads), (20, 0));

    // What is there is not always an answer.
    assert_eq!(*there.get_or_load("nowhere", || async { Ok(3) }).await.unwrap(), 3);
    here.get_or_load("untagged", || async { Ok(1) }).await.unwrap();
    assert_eq!(*there.get_or_load_tagged("untagged", &["tag"], || async { Ok(4) }).await.unwrap(), 4);
    assert!(here.get_or_load_optional("nothing", &[], || async { Ok(None) }).await.unwrap().is_none());
    assert_eq!(*there.get_or_load("nothing", || async { Ok(5) }).await.unwrap(), 5);
    here.get_or_load("invalidated", || async { Ok(1) }).await.unwrap();
    there.invalidate("invalidated").await;
    assert_eq!(*there.get_or_load("invalidated", || async { Ok(6) }).await.unwrap(), 6);
    assert_eq!(there.statistics().loads, 4);

    // Nor does it keep what was invalidated, of which the other one has to hear.
    here.cache().invalidate([stanchion::cache::Target::tag("tag")]).await;
    eventually("the tag's entries are loaded anew", async || {
        *there.get_or_load_tagged("0", &["tag"], || async { Ok(7) }).await.unwrap() == 7
    })
    .await;
}
