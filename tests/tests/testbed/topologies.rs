//! Several Redis servers together: a cluster and its slots, sentinels and the master they choose.

use stanchion_tests::testbed::{RedisCluster, RedisSentinel, available, eventually, is_running};

#[tokio::test]
async fn a_cluster_serves_every_slot_and_all_its_nodes_go_with_it() {
    let Some(cluster) = available(RedisCluster::start(3).await) else { return };
    let client = redis::cluster::ClusterClient::new(cluster_nodes(&cluster)).unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    let mut held = [0_u32; 3];
    for i in 0..200 {
        let key = format!("key {i}");
        redis::cmd("SET").arg(&key).arg(i).exec_async(&mut connection).await.unwrap();
        held[cluster.master_of(&key).await.unwrap()] += 1;
    }
    assert!(held.iter().all(|count| *count > 0), "{held:?}");
    for (master, keys) in cluster.masters().iter().zip(held) {
        let mut connection = single(master.url()).await;
        let size: u32 = redis::cmd("DBSIZE").query_async(&mut connection).await.unwrap();
        assert_eq!(size, keys, "where a key is said to be is where it is");
    }

    let pids: Vec<u32> = cluster.nodes().filter_map(|node| node.pid()).collect();
    assert_eq!(pids.len(), 3);
    drop(cluster);
    assert!(!pids.into_iter().any(is_running));
}

#[tokio::test]
async fn a_clusters_replica_takes_the_place_of_its_killed_master() {
    let Some(cluster) = available(RedisCluster::start_with_replicas(3).await) else { return };
    assert_eq!(cluster.is_master(&cluster.replicas()[1]).await, Some(false));

    cluster.masters()[1].kill();

    let promoted = async || cluster.is_master(&cluster.replicas()[1]).await == Some(true);
    eventually("the replica is a master", promoted).await;
    cluster.masters()[1].restart().await.unwrap();
    let joined = async || cluster.is_master(&cluster.masters()[1]).await == Some(false);
    eventually("the old master is a replica", joined).await;
}

#[tokio::test]
async fn sentinels_name_another_master_when_theirs_is_killed() {
    let Some(sentinel) = available(RedisSentinel::start().await) else { return };
    let first = sentinel.master().await.unwrap().port();
    assert_eq!(first, sentinel.servers()[0].port());

    sentinel.servers()[0].kill();

    let replaced = async || sentinel.master().await.is_some_and(|master| master.port() != first);
    eventually("the sentinels agree on another master", replaced).await;
    sentinel.servers()[0].restart().await.unwrap();
    let demoted = async || {
        let mut connection = single(sentinel.servers()[0].url()).await;
        let info: String = redis::cmd("INFO").arg("replication").query_async(&mut connection).await.unwrap();
        info.contains("role:slave")
    };
    eventually("the old master is a replica", demoted).await;
}

fn cluster_nodes(cluster: &RedisCluster) -> Vec<String> {
    cluster.nodes().map(|node| node.url().to_owned()).collect()
}

async fn single(url: &str) -> redis::aio::MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}
