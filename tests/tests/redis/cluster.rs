//! A cluster that loses nodes: a shard that is down takes its own keys out of use and no others.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use stanchion::redis::{CircuitState, Event, Redis, RedisErrorKind};
use stanchion_tests::testbed::{Proxy, RedisCluster, available, eventually};

use tokio::time::sleep;

use crate::places::{handle, next, raw};

/// Ten keys for each master.
async fn keys(cluster: &RedisCluster) -> Vec<Vec<String>> {
    let mut keys = vec![Vec::new(); cluster.masters().len()];
    for i in 0.. {
        let key = format!("key {i}");
        let own = &mut keys[cluster.master_of(&key).await.unwrap()];
        if own.len() < 10 {
            own.push(key);
        }
        if keys.iter().all(|keys| keys.len() == 10) {
            break;
        }
    }
    keys
}

async fn set_all(redis: &Redis, keys: &[Vec<String>]) {
    for key in keys.iter().flatten() {
        redis.set(key, b"v", None).await.unwrap();
    }
}

/// Asks for the first master's keys until they are all refused at once, and for the others' keys, which must be served.
async fn the_first_shard_alone_is_refused(redis: &Redis, keys: &[Vec<String>], how: &str) {
    let began = Instant::now();
    let error = redis.get(&keys[0][0]).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    println!("{how}: the first call to the shard took {:?}", began.elapsed());
    eventually("all of the shard's keys are refused at once", async || {
        let mut refused = true;
        for key in &keys[0] {
            let answer = redis.get(key).await;
            refused &= answer.is_err_and(|error| error.kind() == RedisErrorKind::CircuitOpen);
        }
        refused
    })
    .await;
    let (mut refused, mut served) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..20 {
        for (shard, keys) in keys.iter().enumerate() {
            for key in keys {
                let began = Instant::now();
                let answer = redis.get(key).await;
                let took = if shard == 0 { &mut refused } else { &mut served };
                *took = (*took).max(began.elapsed());
                assert_eq!(answer.is_ok(), shard != 0, "{shard}: {answer:?}");
            }
        }
    }
    println!("{how}: then a refusal took {refused:?} at most, an answer of the others {served:?}");
    assert_eq!(redis.circuit(), CircuitState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master_takes_its_own_keys_alone() {
    let Some(cluster) = available(RedisCluster::start(3).await) else { return };
    let (redis, keys) = (handle(&cluster.url()), keys(&cluster).await);
    set_all(&redis, &keys).await;

    cluster.masters()[0].kill();
    the_first_shard_alone_is_refused(&redis, &keys, "killed").await;

    cluster.masters()[0].restart().await.unwrap();
    let began = Instant::now();
    eventually("its keys are served again", async || redis.get(&keys[0][0]).await.is_ok()).await;
    println!("killed: served again {:?} after its restart", began.elapsed());
    set_all(&redis, &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_master_takes_its_own_keys_alone() {
    let Some(cluster) = available(RedisCluster::start(3).await) else { return };
    let (redis, keys) = (handle(&cluster.url()), keys(&cluster).await);
    set_all(&redis, &keys).await;

    cluster.masters()[0].pause();
    the_first_shard_alone_is_refused(&redis, &keys, "stopped").await;

    cluster.masters()[0].resume();
    eventually("its keys are served again", async || redis.get(&keys[0][0]).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_is_found() {
    let Some(cluster) = available(RedisCluster::start_with_replicas(3).await) else { return };
    let (redis, keys) = (handle(&cluster.url()), keys(&cluster).await);
    set_all(&redis, &keys).await;

    cluster.masters()[0].kill();
    let began = Instant::now();
    eventually("its keys take writes again", async || redis.set(&keys[0][0], b"w", None).await.is_ok()).await;
    println!("failover: writes go on {:?} after the master was killed", began.elapsed());
    assert_eq!(redis.get(&keys[0][0]).await.unwrap().as_deref(), Some(b"w".as_slice()));
    assert_eq!(redis.circuit(), CircuitState::Closed);

    cluster.masters()[0].restart().await.unwrap();
    let joined = async || cluster.is_master(&cluster.masters()[0]).await == Some(false);
    eventually("the old master is a replica", joined).await;
    set_all(&redis, &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_replaces_a_silent_master_is_found() {
    let Some(cluster) = available(RedisCluster::start_with_replicas(3).await) else { return };
    let (redis, keys) = (handle(&cluster.url()), keys(&cluster).await);
    set_all(&redis, &keys).await;

    // Nothing closes the connections to it, as when its machine has stopped.
    cluster.masters()[0].pause();
    let began = Instant::now();
    eventually("its keys take writes again", async || redis.set(&keys[0][0], b"w", None).await.is_ok()).await;
    println!("failover: writes go on {:?} after the master was stopped", began.elapsed());
    for key in &keys[0] {
        eventually("all of its shard is served", async || redis.get(key).await.is_ok()).await;
    }
    set_all(&redis, &keys).await;
    assert_eq!(redis.circuit(), CircuitState::Closed);
    redis.ping().await.expect("all masters answer");

    cluster.masters()[0].resume();
    let joined = async || cluster.is_master(&cluster.masters()[0]).await == Some(false);
    eventually("the old master is a replica", joined).await;
    set_all(&redis, &keys).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_silently_lost_is_made_anew() {
    let Some(cluster) = available(RedisCluster::start(3).await) else { return };
    let (master, keys) = (&cluster.masters()[0], keys(&cluster).await);
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, master.port())).await.unwrap();
    // All are told that it is there.
    let port = proxy.address().port();
    let mut announce = redis::cmd("CONFIG");
    announce.arg("SET").arg("cluster-announce-port").arg(port);
    announce.exec_async(&mut raw(master.url()).await).await.unwrap();
    for node in cluster.nodes() {
        eventually("the node knows where it is", async || {
            let mut slots = redis::cmd("CLUSTER");
            let nodes: String = slots.arg("NODES").query_async(&mut raw(node.url()).await).await.unwrap();
            nodes.contains(&format!(":{port}@"))
        })
        .await;
    }
    let redis = handle(&cluster.url());
    set_all(&redis, &keys).await;

    proxy.strand();
    let began = Instant::now();
    eventually("its keys are served again", async || redis.set(&keys[0][0], b"w", None).await.is_ok()).await;
    println!("stranded: served again after {:?}", began.elapsed());
    set_all(&redis, &keys).await;
    // Again, and new ones come to nothing for as long as it takes to have tried one.
    proxy.strand();
    proxy.stall();
    let refused = async || redis.get(&keys[0][0]).await.is_err_and(|e| e.kind() == RedisErrorKind::CircuitOpen);
    eventually("its keys are refused", refused).await;
    sleep(Duration::from_secs(4)).await;
    proxy.restore().await.unwrap();
    let began = Instant::now();
    eventually("its keys are served again", async || redis.set(&keys[0][0], b"w", None).await.is_ok()).await;
    println!("stranded and stalled: served again {:?} after new connections worked", began.elapsed());
    set_all(&redis, &keys).await;
    assert_eq!(redis.circuit(), CircuitState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_asks_for_all_its_slots_is_down_with_one_of_them() {
    let full = [("cluster-require-full-coverage", "yes")];
    let Some(cluster) = available(RedisCluster::start_with(3, false, &full).await) else { return };
    let (redis, keys) = (handle(&cluster.url()), keys(&cluster).await);
    set_all(&redis, &keys).await;

    cluster.masters()[0].kill();
    let down = async || {
        let answer = redis.get(&keys[1][0]).await;
        answer.is_err_and(|error| error.cause() == RedisErrorKind::ClusterDown)
    };
    eventually("the cluster says that it is down", down).await;
    cluster.masters()[0].restart().await.unwrap();
    for own in &keys {
        eventually("every shard is served again", async || redis.get(&own[0]).await.is_ok()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_a_node_opens_the_circuit() {
    let Some(cluster) = available(RedisCluster::start(3).await) else { return };
    let (redis, keys) = (handle(&cluster.url()), keys(&cluster).await);
    set_all(&redis, &keys).await;
    cluster.nodes().for_each(|node| node.kill());
    eventually("nothing is asked", async || {
        let _ = redis.get(&keys[1][0]).await;
        redis.circuit() != CircuitState::Closed
    })
    .await;
    for node in cluster.nodes() {
        node.restart().await.unwrap();
    }
    for own in &keys {
        eventually("every shard is served again", async || redis.get(&own[0]).await.is_ok()).await;
    }
    assert_eq!(redis.circuit(), CircuitState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_connects_though_a_node_is_down() {
    let Some(cluster) = available(RedisCluster::start(3).await) else { return };
    let keys = keys(&cluster).await;
    cluster.masters()[0].kill();
    let redis = handle(&cluster.url());
    redis.set(&keys[1][0], b"v", None).await.unwrap();
    cluster.masters()[0].restart().await.unwrap();
    eventually("the whole cluster is served", async || redis.set(&keys[0][0], b"v", None).await.is_ok()).await;

    cluster.masters()[1].pause();
    let redis = handle(&cluster.url());
    let began = Instant::now();
    redis.set(&keys[0][0], b"v", None).await.unwrap();
    println!("a node stopped: connected and written after {:?}", began.elapsed());
    cluster.masters()[1].resume();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_moves_to_another_node() {
    let Some(cluster) = available(RedisCluster::start(3).await) else { return };
    let redis = handle(&cluster.url());
    let mut subscription = redis.subscribe(vec!["news".to_owned()]);
    assert_eq!(next(&mut subscription).await, Event::Listening);
    // It is on the first that the URL names.
    cluster.masters()[0].kill();
    assert_eq!(next(&mut subscription).await, Event::Lost);
    assert_eq!(next(&mut subscription).await, Event::Listening);
    eventually("it can be told", async || redis.publish("news", b"x").await.is_ok()).await;
    assert_eq!(next(&mut subscription).await, Event::Message { channel: "news".to_owned(), payload: b"x".to_vec() });
}
