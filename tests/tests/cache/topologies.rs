//! The cache over a cluster of three masters, and over the master that sentinels name, also when it is replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stanchion::cache::{Cache, Namespace, Target, Told};
use stanchion_tests::testbed::{RedisCluster, RedisSentinel, available, eventually};
use tokio::time::sleep;

use super::nodes::{node, numbers, prefix, ready};
use super::work::Work;

/// What the cache is before: a number, the same for every key.
#[derive(Clone, Default)]
struct Origin(Arc<AtomicU64>);

impl Origin {
    async fn read(&self, values: &Namespace<u64>, key: u32) -> u64 {
        let number = Arc::clone(&self.0);
        let tag = format!("tag-{}", key % 3);
        let load = move || async move { Ok(number.load(Ordering::SeqCst)) };
        *values.get_or_load_tagged(key.to_string(), &[&tag], load).await.unwrap()
    }

    fn write(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

async fn agree(nodes: &[Cache; 2], origin: &Origin, keys: std::ops::Range<u32>, number: u64) {
    for node in nodes {
        let values = numbers(node);
        eventually("every key is read as it was written last", async || {
            for key in keys.clone() {
                if origin.read(&values, key).await != number {
                    return false;
                }
            }
            true
        })
        .await;
    }
}

/// Keys in many slots are loaded by one node, read by the other, and invalidated by key, by tag and by namespace.
async fn is_invalidated_everywhere(nodes: &[Cache; 2], origin: &Origin) {
    const KEYS: u32 = 30;
    let [one, two] = nodes.each_ref().map(numbers);
    agree(nodes, origin, 0..KEYS, origin.0.load(Ordering::SeqCst)).await;
    assert!(two.statistics().l2_hits > 0, "what one loads, the other finds in Redis");

    let number = origin.write();
    one.cache().invalidate((0..KEYS).map(|key| one.target(key.to_string()))).await;
    agree(nodes, origin, 0..KEYS, number).await;
    let number = origin.write();
    two.cache().invalidate((0..3).map(|tag| Target::tag(format!("tag-{tag}")))).await;
    agree(nodes, origin, 0..KEYS, number).await;
    let number = origin.write();
    one.invalidate_all().await;
    agree(nodes, origin, 0..KEYS, number).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_cluster_everything_is_invalidated_everywhere() {
    let Some(cluster) = available(RedisCluster::start(3).await) else { return };
    let (prefix, origin) = (prefix(), Origin::default());
    let nodes = [node(&cluster.url(), &prefix), node(&cluster.url(), &prefix)];
    for node in &nodes {
        ready(node).await;
    }
    is_invalidated_everywhere(&nodes, &origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_sentinels_nothing_old_is_read_after_a_failover() {
    let Some(sentinel) = available(RedisSentinel::start().await) else { return };
    let (prefix, origin) = (prefix(), Origin::default());
    let nodes = [node(&sentinel.url(), &prefix), node(&sentinel.url(), &prefix)];
    for node in &nodes {
        ready(node).await;
    }
    is_invalidated_everywhere(&nodes, &origin).await;

    sentinel.servers()[0].kill();
    let number = origin.write();
    // Nobody can be told now: it is told as soon as another server is the master.
    numbers(&nodes[0]).invalidate_all().await;
    agree(&nodes, &origin, 0..30, number).await;
    for node in &nodes {
        ready(node).await;
    }
    agree(&nodes, &origin, 0..30, number).await;
    is_invalidated_everywhere(&nodes, &origin).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_sentinels_a_master_that_is_killed_under_load_lets_nothing_old_be_read() {
    a_failover_under_load_lets_nothing_old_be_read(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_sentinels_a_master_that_stops_under_load_lets_nothing_old_be_read() {
    a_failover_under_load_lets_nothing_old_be_read(true).await;
}

async fn a_failover_under_load_lets_nothing_old_be_read(stops: bool) {
    let Some(sentinel) = available(RedisSentinel::start().await) else { return };
    let prefix = prefix();
    let nodes = [node(&sentinel.url(), &prefix), node(&sentinel.url(), &prefix)];
    for node in &nodes {
        ready(node).await;
    }
    let work = Work::over(&nodes);
    let seen = work.during(async {
        sleep(Duration::from_millis(300)).await;
        let (master, failed) = (&sentinel.servers()[0], Instant::now());
        if stops {
            master.pause()
        } else {
            master.kill()
        }
        for node in &nodes {
            let told = async || node.invalidate([Target::tag("any")]).await == Told::Everywhere;
            eventually("another server is told", told).await;
            ready(node).await;
        }
        println!("  every node used the new master {:?} after the old one failed", failed.elapsed());
        if stops {
            master.resume()
        } else {
            master.restart().await.unwrap()
        }
        for node in &nodes {
            ready(node).await;
        }
    });
    seen.await.check(if stops { "the master stopped, and back" } else { "the master killed, and back as a replica" });
}
