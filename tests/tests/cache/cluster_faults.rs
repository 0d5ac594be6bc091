//! The cache over a cluster that loses its nodes and what they knew.
//!
//! A cluster's connection stays while its nodes come and go, and a replica that takes its master's place may never have heard
//! of an invalidation that the master had acknowledged. What it holds is read until the next proof finds out that the servers
//! are others; from then on nothing of it is.

use std::time::{Duration, Instant};

use redis::cluster_async::ClusterConnection;
use stanchion::cache::{Cache, Namespace, NamespaceOptions, Target, Told};
use stanchion_tests::testbed::{RedisCluster, Server, available, eventually};
use tokio::time::sleep;

use crate::nodes::{link, node, numbers, prefix, ready};
use crate::work::Work;

async fn nodes<const N: usize>(cluster: &RedisCluster, prefix: &str) -> [Cache; N] {
    let nodes = [(); N].map(|()| node(&cluster.url(), prefix));
    for node in &nodes {
        ready(node).await;
    }
    nodes
}

/// The cluster itself, past the cache.
async fn raw(cluster: &RedisCluster) -> ClusterConnection {
    let hosts: Vec<String> = cluster.nodes().map(|node| node.url().to_owned()).collect();
    redis::cluster::ClusterClient::new(hosts).unwrap().get_async_connection().await.unwrap()
}

/// Which of its masters keeps what all instances share.
async fn keeper(cluster: &RedisCluster, prefix: &str) -> usize {
    cluster.master_of(&format!("{prefix}:{{backplane}}:seq")).await.unwrap()
}

/// Waits until every node can tell the others and stores in every shard.
async fn whole(nodes: &[Cache]) {
    for node in nodes {
        let probes = node.namespace::<u64>("probes", NamespaceOptions::ttl(Duration::from_secs(60))).unwrap();
        eventually("an invalidation reaches every shard", async || {
            let targets = (0..30).map(|key| probes.target(key.to_string()));
            node.invalidate(targets).await == Told::Everywhere
        })
        .await;
        eventually("values are stored in every shard", async || {
            let before = probes.statistics().stores;
            for _ in 0..30 {
                probes.get_or_load(format!("{:x}", fastrand::u64(..)), || async { Ok(1) }).await.unwrap();
            }
            probes.statistics().stores == before + 30
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn masters_that_fail_under_load_fail_no_read_and_the_nodes_agree_again() {
    let Some(cluster) = available(RedisCluster::start_with_replicas(3).await) else { return };
    let prefix = prefix();
    let nodes: [Cache; 3] = nodes(&cluster, &prefix).await;
    let keeper = keeper(&cluster, &prefix).await;
    let work = Work::over(&nodes);
    let killed_with_the_numbers = (keeper, false, "killed, which counts the announcements");
    let killed = ((keeper + 1) % 3, false, "killed, which does not");
    let silent = ((keeper + 2) % 3, true, "stopped");
    for (victim, stops, what) in [killed_with_the_numbers, killed, silent] {
        let master = &cluster.masters()[victim];
        let seen = work.during(async {
            sleep(Duration::from_millis(300)).await;
            let failed = Instant::now();
            if stops {
                master.pause()
            } else {
                master.kill()
            }
            let replica = &cluster.replicas()[victim];
            eventually("its replica takes its place", async || cluster.is_master(replica).await == Some(true)).await;
            let promoted = failed.elapsed();
            whole(&nodes).await;
            println!(
                "  its replica took its place after {promoted:?}, and every node used it {:?} after the failure",
                failed.elapsed()
            );
        });
        // What a replica had not heard may have been read for a moment. `during` has seen that all agree now.
        seen.await.say(&format!("a master {what}"));
        let seen = work.during(async {
            if stops {
                master.resume()
            } else {
                master.restart().await.unwrap()
            }
            eventually("the old master is a replica", async || cluster.is_master(master).await == Some(false)).await;
            whole(&nodes).await;
        });
        seen.await.check("it is back, as a replica");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn masters_that_come_back_without_their_data_are_filled_anew() {
    let forgetful = [("appendonly", "no")];
    let Some(cluster) = available(RedisCluster::start_with(3, false, &forgetful).await) else { return };
    let nodes: [Cache; 3] = nodes(&cluster, &prefix()).await;
    let work = Work::over(&nodes);
    let seen = work.during(async {
        for master in cluster.masters() {
            master.kill();
            sleep(Duration::from_millis(200)).await;
            master.restart().await.unwrap();
            whole(&nodes).await;
        }
    });
    seen.await.check("each master lost its data in turn");
    let seen = work.during(async {
        cluster.nodes().for_each(Server::kill);
        sleep(Duration::from_millis(500)).await;
        for master in cluster.masters() {
            master.restart().await.unwrap();
        }
        let back = Instant::now();
        whole(&nodes).await;
        println!("  the whole cluster lost its data: every node used all of it {:?} after it was back", back.elapsed());
    });
    seen.await.check("the whole cluster lost its data");
}

async fn read(numbers: &Namespace<u64>, key: &str, value: u64) -> u64 {
    *numbers.get_or_load_tagged(key, &["tag"], move || async move { Ok(value) }).await.unwrap()
}

fn value_key(prefix: &str, key: &str) -> String {
    format!("{prefix}:{{numbers:{key}}}:v")
}

/// So many keys whose values are with one master.
async fn keys_of(cluster: &RedisCluster, prefix: &str, master: usize, count: usize) -> Vec<String> {
    let mut keys = Vec::new();
    for number in 0.. {
        let key = number.to_string();
        if cluster.master_of(&value_key(prefix, &key)).await.unwrap() == master {
            keys.push(key);
        }
        if keys.len() == count {
            break;
        }
    }
    keys
}

/// A replica takes its master's place that has not heard of an invalidation which was acknowledged: it was down then, and so
/// it holds the values of before.
async fn a_replica_that_missed_it_is_promoted(
    keeps_the_numbers: bool,
    by: fn(&Namespace<u64>, &[String]) -> Vec<Target>,
) {
    let Some(cluster) = available(RedisCluster::start_with_replicas(3).await) else { return };
    let prefix = prefix();
    let keeper = keeper(&cluster, &prefix).await;
    let victim = if keeps_the_numbers { keeper } else { (keeper + 1) % 3 };
    let (master, replica) = (&cluster.masters()[victim], &cluster.replicas()[victim]);
    let nodes: [Cache; 2] = nodes(&cluster, &prefix).await;
    let [one, two] = nodes.each_ref().map(numbers);
    let keys = keys_of(&cluster, &prefix, victim, 150).await;
    for key in &keys {
        assert_eq!(read(&one, key, 1).await, 1);
    }
    let mut of_replica = link(replica.url()).await;
    redis::cmd("READONLY").query_async::<()>(&mut of_replica).await.unwrap();
    eventually("the replica has all of it", async || {
        let mut held = 0;
        for key in &keys {
            let exists = redis::cmd("EXISTS").arg(value_key(&prefix, key)).query_async::<u64>(&mut of_replica).await;
            held += exists.unwrap();
        }
        held == keys.len() as u64
    })
    .await;

    replica.kill();
    assert_eq!(one.cache().invalidate(by(&one, &keys)).await, Told::Everywhere);
    let shared = format!("{prefix}:{{backplane}}:server");
    let mut link = raw(&cluster).await;
    let servers: String = redis::cmd("GET").arg(&shared).query_async(&mut link).await.unwrap();
    master.kill();
    replica.restart().await.unwrap();
    eventually("the replica takes its master's place", async || cluster.is_master(replica).await == Some(true)).await;
    let promoted = Instant::now();

    // Each read is of a key that was not read before, so that it is Redis that answers.
    let (mut unread, mut old) = (keys.iter(), 0_u32);
    for numbers in [&one, &two] {
        eventually("what was forgotten to be invalid is no longer read", async || {
            let Some(key) = unread.next() else { return false };
            let stores = numbers.statistics().stores;
            let value = read(numbers, key, 2).await;
            old += u32::from(value == 1);
            value == 2 && numbers.statistics().stores > stores
        })
        .await;
    }
    println!("  no old value was read {:?} after the promotion, {old} before", promoted.elapsed());
    let changed: String = redis::cmd("GET").arg(&shared).query_async(&mut raw(&cluster).await).await.unwrap();
    assert_ne!(changed, servers, "it was found out that the servers are others");

    // From here on it is as it should be, though Redis holds the old values still.
    let rest: Vec<_> = unread.collect();
    assert!(rest.len() > 10, "{}", rest.len());
    let third = node(&cluster.url(), &prefix);
    ready(&third).await;
    for (turn, key) in rest.iter().enumerate() {
        let mut link = self::link(replica.url()).await;
        let held: u64 = redis::cmd("EXISTS").arg(value_key(&prefix, key)).query_async(&mut link).await.unwrap();
        assert_eq!(held, 1, "its old value is there");
        let reader = [&one, &two, &numbers(&third)][turn % 3].clone();
        assert_eq!(read(&reader, key, 3).await, 3, "{turn}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_that_missed_the_keys_invalidation_is_found_out() {
    a_replica_that_missed_it_is_promoted(false, |numbers, keys| keys.iter().map(|key| numbers.target(key)).collect())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_that_missed_everything_and_keeps_the_numbers_is_found_out() {
    a_replica_that_missed_it_is_promoted(true, |_, _| vec![Target::All]).await;
}
