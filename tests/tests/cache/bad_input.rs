//! Keys, values, options and contents of Redis that nobody should send, and servers that refuse: a typed error or a miss,
//! never a wrong value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stanchion::Error;
use stanchion::cache::{Cache, CacheOptions, Namespace, NamespaceOptions};
use stanchion_tests::testbed::{Redis, available, eventually, redis_url};

use crate::nodes::{alone, node, numbers, prefix};

/// Counts its loads.
#[derive(Clone, Default)]
struct Loads(Arc<AtomicU64>);

impl Loads {
    fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Asks for a key, and loads this.
    async fn ask<V>(&self, values: &Namespace<V>, key: &str, value: V) -> Result<Arc<V>, Error>
    where
        V: Serialize + for<'de> Deserialize<'de> + Send + Sync + 'static,
    {
        let loads = Arc::clone(&self.0);
        let load = move || async move {
            loads.fetch_add(1, Ordering::SeqCst);
            Ok(value)
        };
        values.get_or_load(key, load).await
    }
}

fn texts(cache: &Cache, version: u8) -> Namespace<String> {
    cache.namespace("texts", NamespaceOptions::ttl(Duration::from_secs(60)).version(version)).unwrap()
}

async fn link(url: &str) -> redis::aio::MultiplexedConnection {
    redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap()
}

/// The keys in Redis that hold the values of a prefix.
async fn value_keys(url: &str, prefix: &str) -> Vec<String> {
    let keys: Vec<String> =
        redis::cmd("KEYS").arg(format!("{prefix}:*:v")).query_async(&mut link(url).await).await.unwrap();
    keys
}

#[tokio::test]
async fn a_key_may_be_any_text() {
    let url = redis_url();
    let prefix = prefix();
    let one = url.as_ref().map_or_else(alone, |url| node(url, &prefix));
    let other = url.as_ref().map_or_else(|| one.clone(), |url| node(url, &prefix));
    let (long, longest) = ("k".repeat(10_000), "k".repeat(64 * 1024));
    let (long, longest) = (long.as_str(), longest.as_str());
    let keys = ["", " ", "a b", "a:b:c", "{a}", "}{", "\0\r\n", "*", "茶🍵", "sha256:0", long, longest];
    let (ones, others, loads) = (texts(&one, 0), texts(&other, 0), Loads::default());
    for key in keys {
        loads.ask(&ones, key, format!("of {key}")).await.unwrap();
    }
    for key in keys {
        assert_eq!(*loads.ask(&others, key, "another".to_owned()).await.unwrap(), format!("of {key}"));
    }
    assert_eq!(loads.count(), 12);
    // Each is a key of its own, and is invalidated alone.
    ones.invalidate("a:b:c").await;
    assert_eq!(*loads.ask(&ones, "a:b:c", "new".to_owned()).await.unwrap(), "new");
    assert_eq!(*loads.ask(&ones, "a b", "new".to_owned()).await.unwrap(), "of a b");

    let error = loads.ask(&ones, &"k".repeat(64 * 1024 + 1), String::new()).await.unwrap_err();
    assert!(error.is_invalid());
    assert!(error.to_string().len() < 200, "the error shows the key");
    assert!(ones.get("k".repeat(64 * 1024 + 1)).await.unwrap_err().is_invalid());
}

#[tokio::test]
async fn a_value_of_fifty_megabytes_is_kept() {
    let prefix = prefix();
    let one = redis_url().map_or_else(alone, |url| node(&url, &prefix));
    let (ones, loads) = (texts(&one, 0), Loads::default());
    let large = "0123456789abcdef".repeat(50_000_000 / 16);
    loads.ask(&ones, "large", large.clone()).await.unwrap();
    assert_eq!(*loads.ask(&ones, "large", String::new()).await.unwrap(), large);
    if let Some(url) = redis_url() {
        let other = node(&url, &prefix);
        assert_eq!(*loads.ask(&texts(&other, 0), "large", String::new()).await.unwrap(), large);
        ones.invalidate("large").await;
    }
    assert_eq!(loads.count(), 1);
}

/// Alters what Redis holds of one key, by `damage`, and sees that a node which reads it there loads anew, and mends it.
async fn damaged(what: &str, damage: impl AsyncFn(&str, String)) {
    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let loads = Loads::default();
    loads.ask(&texts(&node(&url, &prefix), 0), "key", "first".to_owned()).await.unwrap();
    let keys = value_keys(&url, &prefix).await;
    assert_eq!(keys.len(), 1);
    damage(&url, keys[0].clone()).await;
    let read = loads.ask(&texts(&node(&url, &prefix), 0), "key", "second".to_owned()).await.unwrap();
    assert_eq!((read.as_str(), loads.count()), ("second", 2), "{what}");
    // It was written over.
    let read = loads.ask(&texts(&node(&url, &prefix), 0), "key", "third".to_owned()).await.unwrap();
    assert_eq!((read.as_str(), loads.count()), ("second", 2), "{what}");
}

#[tokio::test]
async fn what_was_altered_in_redis_is_a_miss() {
    let set = |bytes: Vec<u8>| {
        async move |url: &str, key: String| {
            redis::cmd("SET")
                .arg(key)
                .arg(bytes.clone())
                .arg("KEEPTTL")
                .query_async::<()>(&mut link(url).await)
                .await
                .unwrap();
        }
    };
    damaged("nothing", set(Vec::new())).await;
    damaged("noise", set(b"noise".to_vec())).await;
    damaged("much noise", set(vec![0xff; 100_000])).await;
    damaged("a flipped bit", async |url: &str, key: String| {
        let mut link = link(url).await;
        let mut bytes: Vec<u8> = redis::cmd("GET").arg(&key).query_async(&mut link).await.unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        redis::cmd("SET").arg(key).arg(bytes).arg("KEEPTTL").query_async::<()>(&mut link).await.unwrap();
    })
    .await;
    damaged("cut off", async |url: &str, key: String| {
        let mut link = link(url).await;
        let bytes: Vec<u8> = redis::cmd("GET").arg(&key).query_async(&mut link).await.unwrap();
        let half = &bytes[..bytes.len() / 2];
        redis::cmd("SET").arg(key).arg(half).arg("KEEPTTL").query_async::<()>(&mut link).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_key_of_another_type_is_a_miss() {
    damaged("a list", async |url: &str, key: String| {
        let mut link = link(url).await;
        redis::cmd("DEL").arg(&key).query_async::<()>(&mut link).await.unwrap();
        redis::cmd("RPUSH").arg(&key).arg("not ours").query_async::<()>(&mut link).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_value_of_another_version_of_the_shape_is_a_miss() {
    let Some(url) = redis_url() else { return };
    let (prefix, loads) = (prefix(), Loads::default());
    for (version, loaded) in [(0, 1), (1, 2), (1, 2), (0, 3)] {
        let texts = texts(&node(&url, &prefix), version);
        loads.ask(&texts, "key", "text".to_owned()).await.unwrap();
        assert_eq!(loads.count(), loaded);
    }
}

#[tokio::test]
async fn two_applications_in_one_redis_do_not_meet() {
    let Some(url) = redis_url() else { return };
    let (one, other) = (node(&url, &prefix()), node(&url, &prefix()));
    let loads = Loads::default();
    assert_eq!(*loads.ask(&texts(&one, 0), "key", "one".to_owned()).await.unwrap(), "one");
    assert_eq!(*loads.ask(&texts(&other, 0), "key", "other".to_owned()).await.unwrap(), "other");
    texts(&one, 0).invalidate_all().await;
    assert_eq!(*loads.ask(&texts(&other, 0), "key", "new".to_owned()).await.unwrap(), "other");
    assert_eq!(*loads.ask(&texts(&one, 0), "key", "new".to_owned()).await.unwrap(), "new");
}

#[tokio::test]
async fn times_that_make_no_sense_are_refused() {
    let cache = alone();
    let century = Duration::from_secs(100 * 365 * 86_400);
    let ttl = NamespaceOptions::<u64>::ttl;
    let minute = Duration::from_secs(60);
    for options in [
        ttl(Duration::ZERO),
        ttl(Duration::from_nanos(1)),
        ttl(century),
        ttl(Duration::MAX),
        ttl(minute).negative_ttl(Duration::ZERO),
        ttl(minute).stale_for(century),
        ttl(minute).hard_timeout(Duration::ZERO),
        ttl(minute).jitter(f64::NAN),
        ttl(minute).jitter(1.5),
        ttl(minute).refresh_ahead(-0.1),
    ] {
        let error = cache.namespace("times", options).unwrap_err();
        assert!(error.is_invalid(), "{error}");
        assert!(error.to_string().contains("must be"), "{error}");
    }
    for name in ["", "a b", "a:b", "茶", "n".repeat(65).as_str()] {
        assert!(cache.namespace(name, ttl(minute)).unwrap_err().is_invalid(), "{name}");
    }
    for prefix in ["", "a b", "{a}", "p".repeat(65).as_str()] {
        let options = CacheOptions { prefix: prefix.to_owned(), ..CacheOptions::default() };
        assert!(Cache::new(options, None).unwrap_err().is_invalid(), "{prefix}");
    }
    cache.namespace("times", ttl(minute)).unwrap();
    assert!(cache.namespace("times", ttl(2 * minute)).unwrap_err().is_invalid());
    assert!(cache.namespace("times", NamespaceOptions::<String>::ttl(minute)).unwrap_err().is_invalid());
}

#[tokio::test]
async fn a_redis_that_is_full_keeps_nobody_from_reading() {
    let full = Redis::start_with(&[("maxmemory", "1500kb"), ("maxmemory-policy", "noeviction")]).await;
    let Some(server) = available(full) else { return };
    let cache = node(server.url(), &prefix());
    let (texts, loads) = (texts(&cache, 0), Loads::default());
    let mut random = fastrand::Rng::with_seed(1);
    let noise: String = (0..100_000).map(|_| random.alphanumeric()).collect();
    for key in 0..100 {
        assert_eq!(*loads.ask(&texts, &key.to_string(), noise.clone()).await.unwrap(), noise);
    }
    assert_eq!(loads.count(), 100);
    let used = redis::cmd("INFO").arg("stats").query_async::<String>(&mut link(server.url()).await).await.unwrap();
    assert!(used.contains("rejected"), "{used}");
    // What it can still tell holds: an invalidation is not served around.
    texts.invalidate("99").await;
    assert_eq!(*loads.ask(&texts, "99", "new".to_owned()).await.unwrap(), "new");
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_keeps_nobody_from_reading() {
    let Some(server) = available(Redis::start_with(&[]).await) else { return };
    // A replica of nobody who is there: it answers, and takes no writes.
    let port = 1;
    let mut admin = link(server.url()).await;
    redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).query_async::<()>(&mut admin).await.unwrap();
    let cache = node(server.url(), &prefix());
    let (numbers, loads) = (numbers(&cache), Loads::default());
    assert_eq!(*loads.ask(&numbers, "key", 1).await.unwrap(), 1);
    numbers.invalidate("key").await;
    assert_eq!(*loads.ask(&numbers, "key", 2).await.unwrap(), 2);
    // And when it is the master again, all is well.
    redis::cmd("REPLICAOF").arg("NO").arg("ONE").query_async::<()>(&mut admin).await.unwrap();
    eventually("what was to be told is told, and values are stored again", async || {
        numbers.invalidate("key").await;
        let loaded = loads.count();
        loads.ask(&numbers, "key", 3).await.unwrap();
        let prefix = cache.options().prefix.clone();
        loads.count() > loaded && !value_keys(server.url(), &prefix).await.is_empty()
    })
    .await;
}

#[tokio::test]
async fn what_is_named_alike_does_not_meet() {
    let url = redis_url();
    for cache in [Some(alone()), url.map(|url| node(&url, &prefix()))].into_iter().flatten() {
        // Namespaces named as what the cache names for itself, and keys and tags that end as its keys do.
        let spaces: Vec<Namespace<String>> = ["t", "n", "g", "v", "root", "backplane", "seq"]
            .map(|name| cache.namespace(name, NamespaceOptions::ttl(Duration::from_secs(600))).unwrap())
            .into();
        let keys = ["x", "x}", "x}:v", "x}:g", "{x", "seq", "root", "n:t", "t:x", ""];
        let loads = Loads::default();
        let all = || spaces.iter().flat_map(|space| keys.map(|key| (space, key)));
        for (space, key) in all() {
            loads.ask(space, key, format!("{} {key}", space.name())).await.unwrap();
        }
        let others = all().map(|(space, key)| (space, key, format!("{} {key}", space.name())));
        let others: Vec<_> = others.filter(|(space, key, _)| (space.name(), *key) != ("t", "x")).collect();
        // Of one key, and of tags that nothing has: the others stay.
        cache.invalidate([spaces[0].target("x")]).await;
        cache.invalidate(keys.map(stanchion::cache::Target::tag)).await;
        let before = loads.count();
        if cache.statistics().total.stores > 0 {
            // So that it is read from Redis.
            cache.clear();
        }
        for (space, key, value) in &others {
            assert_eq!(*loads.ask(space, key, "new".to_owned()).await.unwrap(), *value);
        }
        assert_eq!(loads.count(), before);
        assert_eq!(*loads.ask(&spaces[0], "x", "new".to_owned()).await.unwrap(), "new");
    }
}

/// Whether another node reads from Redis what one has loaded.
async fn survives<V>(nodes: &[Cache; 2], value: V) -> bool
where
    V: Serialize + for<'de> Deserialize<'de> + Clone + PartialEq + Send + Sync + 'static,
{
    let [here, there] = nodes.each_ref().map(|node| node.default_namespace::<V>().unwrap());
    let load = value.clone();
    here.get_or_load("key", || async move { Ok(load) }).await.unwrap();
    there.get("key").await.unwrap().as_deref() == Some(&value)
}

#[tokio::test]
async fn what_serde_can_write_reads_back_on_another_node() {
    use std::borrow::Cow;
    use std::collections::{BTreeMap, HashMap};
    use std::net::IpAddr;
    use std::time::SystemTime;

    use stanchion::types::{Timestamp, new_id};
    use uuid::Uuid;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Inner {
        id: Uuid,
        price: rust_decimal::Decimal,
        at: Timestamp,
        numbers: (i64, u64, f64),
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        name: String,
        #[serde(flatten)]
        inner: Inner,
        #[serde(flatten)]
        rest: HashMap<String, i32>,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Number(i64),
        Id { id: Uuid },
        Text(String),
        Nothing,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Full(Inner),
        Empty,
    }
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", content = "value")]
    enum Adjacent {
        Id(Uuid),
        Pair(u8, String),
    }

    let Some(url) = redis_url() else { return };
    let prefix = prefix();
    let nodes = [node(&url, &prefix), node(&url, &prefix)];
    for node in &nodes {
        crate::nodes::ready(node).await;
    }
    let inner = Inner {
        id: new_id(),
        price: "-12345678901234567890.123456".parse().unwrap(),
        at: Timestamp::from_micros(-1).unwrap(),
        numbers: (i64::MIN, u64::MAX, -0.5),
    };
    let flat = Flat { name: "茶".to_owned(), inner: inner.clone(), rest: HashMap::from([("a".to_owned(), -7)]) };
    assert!(survives(&nodes, inner.clone()).await, "a struct");
    assert!(survives(&nodes, flat).await, "flattened structs and maps");
    let untagged =
        vec![Untagged::Number(-7), Untagged::Id { id: inner.id }, Untagged::Text(String::new()), Untagged::Nothing];
    assert!(survives(&nodes, untagged).await, "an enum without tags");
    assert!(survives(&nodes, vec![Tagged::Full(inner.clone()), Tagged::Empty]).await, "an enum with a tag inside");
    assert!(survives(&nodes, vec![Adjacent::Id(inner.id), Adjacent::Pair(1, "b".to_owned())]).await, "a tag beside");
    assert!(survives(&nodes, (i128::MIN, u128::MAX)).await, "128 bits");
    assert!(survives(&nodes, (f64::MIN_POSITIVE, f64::NEG_INFINITY, f32::MAX, 'é', ())).await, "numbers");
    assert!(survives(&nodes, HashMap::from([((1_u8, -2_i64), "pair".to_owned())])).await, "a map with keys of pairs");
    assert!(survives(&nodes, BTreeMap::from([(i64::MIN, None), (0, Some(inner.id))])).await, "a map with numbers");
    assert!(survives(&nodes, (Duration::from_nanos(1), SystemTime::UNIX_EPOCH)).await, "times");
    let address: IpAddr = "2001:db8::1".parse().unwrap();
    assert!(survives(&nodes, (address, vec![0_u8, 255], Box::<str>::from("\0"))).await, "an address, and bytes");
    assert!(survives(&nodes, Cow::<'static, str>::Owned("text".to_owned())).await, "what may be borrowed");
    assert!(survives(&nodes, serde_json::json!({ "a": [1, 1.0, null, u64::MAX, { "b": "c" }] })).await, "JSON");

    let default = nodes[0].default_namespace::<f64>().unwrap();
    default.get_or_load("key", || async { Ok(f64::NAN) }).await.unwrap();
    assert!(nodes[1].default_namespace::<f64>().unwrap().get("key").await.unwrap().unwrap().is_nan());
    // What serde makes one of is one here too: of an option in an option, the outer one.
    assert!(!survives(&nodes, Some(None::<u8>)).await);
    assert!(survives(&nodes, (None::<Option<u8>>, Some(Some(7_u8)))).await, "options in options");
}
