//! The end of a cache: what it owes is told, nothing of it stays behind, and who goes on using it is answered rightly.

use std::net::Ipv4Addr;

use stanchion::cache::{Namespace, Told, cached};
use stanchion::redis::CircuitState;
use stanchion_tests::testbed::{Proxy, Redis, Server, available, eventually, redis_url};

use crate::nodes::{MAX_STALENESS, handle, link, node, numbers, over, prefix, ready};

async fn read(numbers: &Namespace<u64>, key: &str, value: u64) -> u64 {
    *numbers.get_or_load(key, move || async move { Ok(value) }).await.unwrap()
}

/// The connections that others than the asker have to a server: to ask, and to listen.
async fn connections(server: &Server) -> (usize, usize) {
    let list: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut link(server.url()).await).await.unwrap();
    let others = list.lines().filter(|line| !line.contains("cmd=client|list"));
    let (listening, asking): (Vec<_>, Vec<_>) = others.partition(|line| line.contains("sub=1"));
    (asking.len(), listening.len())
}

#[tokio::test]
async fn what_is_owed_is_told_when_the_cache_is_closed() {
    let Some(server) = available(Redis::start().await) else { return };
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, server.port())).await.unwrap();
    let prefix = prefix();
    let redis = handle(&proxy.url(server.url()).unwrap());
    let (here, there) = (over(redis.clone(), &prefix, MAX_STALENESS), node(server.url(), &prefix));
    ready(&here).await;
    ready(&there).await;
    let (a, b) = (numbers(&here), numbers(&there));
    assert_eq!(read(&b, "key", 1).await, 1);

    proxy.cut().await;
    assert_eq!(a.invalidate("key").await, Told::Later);
    // Nobody can be told now. From here on nothing runs in the background that could do it later.
    here.close().await;
    proxy.restore().await.unwrap();
    let well = async || {
        let _ = redis.ping().await;
        redis.circuit() == CircuitState::Closed && redis.connection() != 0
    };
    eventually("Redis can be asked again", well).await;
    assert_eq!(read(&b, "key", 2).await, 1, "nobody has told it yet");

    here.close().await;
    eventually("the other node was told", async || read(&b, "key", 3).await == 3).await;
    // Redis was told first.
    let third = node(server.url(), &prefix);
    ready(&third).await;
    assert_eq!(numbers(&third).get("key").await.unwrap().as_deref(), Some(&3));
}

#[tokio::test]
async fn a_cache_that_was_closed_can_be_used() {
    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let (here, there) = (node(&url, &prefix), node(&url, &prefix));
    ready(&here).await;
    ready(&there).await;
    let (a, b) = (numbers(&here), numbers(&there));
    assert_eq!(read(&a, "key", 1).await, 1);
    here.close().await;
    here.close().await;
    assert_eq!(read(&a, "key", 2).await, 1);

    // It tells, and does not hear; what it holds is good for a moment, and Redis is asked after it.
    assert_eq!(read(&b, "key", 2).await, 1);
    assert_eq!(a.invalidate("key").await, Told::Everywhere);
    assert_eq!(read(&a, "key", 3).await, 3);
    eventually("the other node was told", async || read(&b, "key", 4).await == 3).await;
    assert_eq!(b.invalidate("key").await, Told::Everywhere);
    assert_eq!(read(&b, "key", 5).await, 5);
    eventually("what it holds is no longer good", async || read(&a, "key", 6).await == 5).await;
    let before = a.statistics();
    assert_eq!(read(&a, "another", 7).await, 7);
    assert_eq!(numbers(&there).get("another").await.unwrap().as_deref(), Some(&7), "it still writes to Redis");
    assert_eq!(a.statistics().stores, before.stores + 1);
}

#[tokio::test]
async fn clearing_empties_this_process_and_invalidates_nothing() {
    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let (here, there) = (node(&url, &prefix), node(&url, &prefix));
    ready(&here).await;
    ready(&there).await;
    let (a, b) = (numbers(&here), numbers(&there));
    assert_eq!((read(&a, "key", 1).await, read(&b, "key", 2).await), (1, 1));
    let (mine, others) = (a.statistics(), b.statistics());
    here.clear();
    eventually("nothing is kept", async || here.statistics().entries == 0).await;
    assert_eq!(read(&a, "key", 3).await, 1, "Redis has it still");
    assert_eq!(read(&b, "key", 3).await, 1);
    assert_eq!((a.statistics().l2_hits, a.statistics().loads), (mine.l2_hits + 1, mine.loads));
    assert_eq!(
        (a.statistics().invalidations, b.statistics().invalidations),
        (mine.invalidations, others.invalidations)
    );
}

#[tokio::test]
async fn a_load_that_began_before_the_cache_was_cleared_is_not_kept_here() {
    let cache = crate::nodes::alone();
    let numbers = numbers(&cache);
    let within = cache.clone();
    let load = move || async move {
        within.clear();
        Ok(1)
    };
    assert_eq!(*numbers.get_or_load("key", load).await.unwrap(), 1);
    assert_eq!(read(&numbers, "key", 2).await, 2);
}

#[tokio::test]
async fn nothing_stays_behind_when_the_last_handle_is_gone() {
    let Some(server) = available(Redis::start().await) else { return };
    let cache = node(server.url(), &prefix());
    ready(&cache).await;
    let square = cached(&numbers(&cache), |n: u64| async move { Ok(n * n) });
    square.call(12).await.unwrap();
    eventually("it asks and listens", async || connections(&server).await == (1, 1)).await;
    // Whatever leads to the cache keeps it.
    drop(cache);
    let clone = square.clone();
    drop(square);
    clone.invalidate(&12).await;
    clone.call(12).await.unwrap();
    assert_eq!(connections(&server).await, (1, 1));
    drop(clone);
    eventually("its connections are gone", async || connections(&server).await == (0, 0)).await;
}

#[tokio::test]
async fn a_cache_that_was_closed_listens_no_more_and_one_that_is_dropped_in_an_outage_leaves_nothing() {
    let Some(server) = available(Redis::start().await) else { return };
    let prefix = prefix();
    let cache = node(server.url(), &prefix);
    ready(&cache).await;
    eventually("it asks and listens", async || connections(&server).await == (1, 1)).await;
    cache.close().await;
    eventually("it listens no more", async || connections(&server).await == (1, 0)).await;
    drop(cache);
    eventually("its connection is gone", async || connections(&server).await == (0, 0)).await;

    let cache = node(server.url(), &prefix);
    ready(&cache).await;
    server.kill();
    assert_eq!(numbers(&cache).invalidate("key").await, Told::Later);
    drop(cache);
    server.restart().await.unwrap();
    let witness = node(server.url(), &prefix);
    ready(&witness).await;
    // The one that is gone has had the time to come back.
    eventually("the witness asks and listens", async || connections(&server).await == (1, 1)).await;
    tokio::time::sleep(2 * MAX_STALENESS).await;
    assert_eq!(connections(&server).await, (1, 1));
}
