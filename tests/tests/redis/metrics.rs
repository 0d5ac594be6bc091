//! What is measured, as a recorder sees it.

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use stanchion::redis::{CircuitState, Script};
use stanchion_tests::testbed::{Redis, RedisCluster, available, eventually};

use crate::places::handle;

/// Name, labels and value of every series.
type Series = Vec<(String, Vec<(String, String)>, DebugValue)>;

#[tokio::test(flavor = "multi_thread")]
async fn commands_connections_circuit_and_memory_are_measured() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    recorder.install().unwrap();
    let Some(server) = available(Redis::start_with(&[("maxmemory", "64mb")]).await) else { return };
    let address = format!("127.0.0.1:{}", server.port());
    let redis = handle(server.url());
    let series = || -> Series {
        let all = snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
            let labels = key.key().labels().map(|label| (label.key().to_owned(), label.value().to_owned())).collect();
            (key.key().name().to_owned(), labels, value)
        });
        all.collect()
    };
    let find = |series: &Series, name: &str, wanted: &[(&str, &str)]| {
        let has = |labels: &[(String, String)], (name, value): (&str, &str)| {
            labels.iter().any(|(found, is)| found == name && is == value)
        };
        let found = series.iter().find(|(found, labels, _)| {
            found == name && has(labels, ("server.address", &address)) && wanted.iter().all(|label| has(labels, *label))
        });
        found.map(|(_, _, value)| match value {
            DebugValue::Counter(count) => *count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(values) => values.len() as f64,
        })
    };

    static SCRIPT: Script = Script::new("test.measured", "return 1");
    redis.set("k", b"v", None).await.unwrap();
    for _ in 0..3 {
        redis.get("k").await.unwrap();
    }
    redis.get("none").await.unwrap();
    redis.run::<u64>(&SCRIPT, &[], &[]).await.unwrap();
    let samples = redis.sample().await.unwrap();
    assert_eq!((samples.len(), samples[0].server.as_str()), (1, address.as_str()));
    assert!(samples[0].used > 100_000);
    assert_eq!(samples[0].limit, Some(64 << 20));

    let seen = series();
    let duration = |labels: &[(&str, &str)]| find(&seen, "db.client.operation.duration", labels);
    let redis_get = ("db.operation.name", "GET");
    assert_eq!(duration(&[("db.system.name", "redis"), redis_get, ("outcome", "hit")]), Some(3.0));
    assert_eq!(duration(&[redis_get, ("outcome", "miss")]), Some(1.0));
    assert_eq!(duration(&[("db.operation.name", "test.measured"), ("outcome", "ok")]), Some(1.0));
    assert_eq!(find(&seen, "db.client.connection.count", &[]), Some(1.0));
    assert_eq!(find(&seen, "redis.memory.used", &[]), Some(samples[0].used as f64));
    assert_eq!(find(&seen, "redis.memory.limit", &[]), Some((64 << 20) as f64));
    assert_eq!(find(&seen, "redis.reconnects", &[]), None, "the first connection is none");

    server.kill();
    assert!(redis.get("k").await.is_err());
    let seen = series();
    let error = [redis_get, ("outcome", "error"), ("error.type", "unavailable")];
    assert_eq!(find(&seen, "db.client.operation.duration", &error), Some(1.0));
    assert_eq!(find(&seen, "db.client.connection.count", &[]), Some(0.0));
    assert!(find(&seen, "redis.circuit.state", &[]).is_some_and(|state| state > 0.0));
    assert!(find(&seen, "redis.circuit.transitions", &[("to", "open")]).is_some_and(|count| count >= 1.0));

    server.restart().await.unwrap();
    eventually("it is asked again", async || redis.get("k").await.is_ok()).await;
    assert_eq!(redis.circuit(), CircuitState::Closed);
    let seen = series();
    assert_eq!(find(&seen, "redis.circuit.state", &[]), Some(0.0));
    assert_eq!(find(&seen, "redis.reconnects", &[]), Some(1.0));
    let keys = seen.iter().flat_map(|(_, labels, _)| labels);
    assert!(keys.clone().all(|(_, value)| !value.contains("none")), "no key is a label");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_node_of_a_cluster_has_its_memory_measured() {
    let Some(cluster) = available(RedisCluster::start(3).await) else { return };
    let samples = handle(&cluster.url()).sample().await.unwrap();
    let mut ports: Vec<String> = samples.iter().map(|sample| sample.server.clone()).collect();
    let mut nodes: Vec<String> = cluster.nodes().map(|node| format!("127.0.0.1:{}", node.port())).collect();
    ports.sort();
    nodes.sort();
    assert_eq!(ports, nodes);
    assert!(samples.iter().all(|sample| sample.used > 0 && sample.limit.is_none()));
}
