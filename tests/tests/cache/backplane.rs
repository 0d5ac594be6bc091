//! What an instance may serve while it does not hear the others.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stanchion::cache::Told;
use stanchion_tests::testbed::{Proxy, Redis, available, eventually};

use crate::nodes::{MAX_STALENESS, node, numbers, prefix, ready};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_serves_nothing_older_than_the_bound() {
    let Some(server) = available(Redis::start().await) else { return };
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, server.port())).await.unwrap();
    let prefix = prefix();
    let (writer, reader) = (node(server.url(), &prefix), node(&proxy.url(server.url()).unwrap(), &prefix));
    ready(&writer).await;
    ready(&reader).await;
    let (a, b) = (numbers(&writer), numbers(&reader));
    // The source of truth: when each number was written, and the newest of them.
    let began = Instant::now();
    let newest = Arc::new(AtomicU64::new(0));
    let micros = move || u64::try_from(began.elapsed().as_micros()).unwrap();
    let mut worst = Duration::ZERO;
    for turn in 0..300 {
        match turn {
            60 => proxy.cut().await,
            140 => proxy.restore().await.unwrap(),
            180 => proxy.stall(),
            240 => proxy.restore().await.unwrap(),
            _ => {}
        }
        newest.store(micros(), Ordering::SeqCst);
        assert_eq!(a.invalidate("key").await, Told::Everywhere);
        let truth = newest.load(Ordering::SeqCst);
        let source = Arc::clone(&newest);
        let read = b.get_or_load("key", || async move { Ok(source.load(Ordering::SeqCst)) });
        let Ok(read) = tokio::time::timeout(Duration::from_millis(20), read).await else { continue };
        worst = worst.max(Duration::from_micros(truth.saturating_sub(*read.unwrap())));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("the oldest read was {worst:?} old, of {MAX_STALENESS:?} allowed");
    // What was the newest when it was loaded is served for the bound at most.
    assert!(worst <= MAX_STALENESS + Duration::from_millis(200), "{worst:?}");
}

#[tokio::test]
async fn a_node_that_comes_back_has_dropped_what_it_held() {
    let Some(server) = available(Redis::start().await) else { return };
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, server.port())).await.unwrap();
    let prefix = prefix();
    let (writer, reader) = (node(server.url(), &prefix), node(&proxy.url(server.url()).unwrap(), &prefix));
    ready(&writer).await;
    ready(&reader).await;
    let (a, b) = (numbers(&writer), numbers(&reader));
    assert_eq!(*b.get_or_load("key", || async { Ok(1) }).await.unwrap(), 1);
    proxy.cut().await;
    assert_eq!(a.invalidate("key").await, Told::Everywhere);
    proxy.restore().await.unwrap();
    let fresh = async || *b.get_or_load("key", || async { Ok(2) }).await.unwrap() == 2;
    eventually("the node reads the new value", fresh).await;
}

#[tokio::test]
async fn an_invalidation_that_redis_missed_is_told_when_it_is_back() {
    let Some(server) = available(Redis::start().await) else { return };
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, server.port())).await.unwrap();
    let prefix = prefix();
    let (here, there) = (node(&proxy.url(server.url()).unwrap(), &prefix), node(server.url(), &prefix));
    ready(&here).await;
    ready(&there).await;
    let (a, b) = (numbers(&here), numbers(&there));
    assert_eq!(*b.get_or_load("key", || async { Ok(1) }).await.unwrap(), 1);
    proxy.cut().await;
    assert_eq!(a.invalidate("key").await, Told::Later);
    assert_eq!(*a.get_or_load("key", || async { Ok(2) }).await.unwrap(), 2);
    proxy.restore().await.unwrap();
    let fresh = async || *b.get_or_load("key", || async { Ok(3) }).await.unwrap() != 1;
    eventually("the other node is told", fresh).await;
}
