//! A master that was silent, was replaced, and does not know it yet: what it acknowledges, its successor never hears of.

use std::time::{Duration, Instant};

use stanchion::cache::{Cache, Namespace, NamespaceOptions, Target, Told};
use stanchion::redis::{Options, Redis};
use stanchion_tests::testbed::{RedisCluster, RedisSentinel, Server, available, eventually};
use tokio::time::sleep;

use crate::nodes::{MAX_STALENESS, node, numbers, over, prefix, ready};

/// Where the cache is kept, and by which server what [`Place::name`] names.
enum Place {
    Sentinel(RedisSentinel),
    Cluster(RedisCluster),
}

impl Place {
    fn url(&self) -> String {
        match self {
            Self::Sentinel(servers) => servers.url(),
            Self::Cluster(servers) => servers.url(),
        }
    }

    fn master(&self) -> &Server {
        match self {
            Self::Sentinel(servers) => &servers.servers()[0],
            Self::Cluster(servers) => &servers.masters()[0],
        }
    }

    /// A name of which the master keeps this key in Redis.
    async fn name(&self, key: impl Fn(&str) -> String) -> String {
        let Self::Cluster(servers) = self else { return "name".to_owned() };
        for number in 0.. {
            let name = format!("name-{number}");
            if servers.master_of(&key(&name)).await.unwrap() == 0 {
                return name;
            }
        }
        unreachable!("every master keeps some")
    }
}

/// A node that waits for the silent one, and so does not notice that it was replaced.
fn patient(url: &str, prefix: &str) -> Cache {
    let options = Options { command_timeout: Duration::from_secs(60), ..Options::default() };
    over(Redis::new(url.parse().unwrap(), options), prefix, MAX_STALENESS)
}

/// An entry of each kind that can be invalidated.
struct Entries {
    /// One that is invalidated by its key, and one by its tag.
    numbers: Namespace<u64>,
    key: String,
    tag: String,
    /// One that is invalidated with its namespace.
    others: Namespace<u64>,
}

impl Entries {
    async fn read(&self, value: u64) -> [u64; 3] {
        let load = move || async move { Ok(value) };
        let keyed = self.numbers.get_or_load(&self.key, load).await.unwrap();
        let tagged = self.numbers.get_or_load_tagged("tagged", &[&self.tag], load).await.unwrap();
        let other = self.others.get_or_load("key", load).await.unwrap();
        [*keyed, *tagged, *other]
    }

    fn targets(&self) -> [Target; 3] {
        [self.numbers.target(&self.key), Target::tag(&self.tag), Target::namespace(self.others.name())]
    }
}

async fn what_an_old_master_was_told_holds_in_the_end(place: Place) {
    let (url, prefix) = (place.url(), prefix());
    let (one, two) = (patient(&url, &prefix), node(&url, &prefix));
    for node in [&one, &two] {
        ready(node).await;
    }
    let key = place.name(|key| format!("{prefix}:{{numbers:{key}}}:v")).await;
    let tag = place.name(|tag| format!("{prefix}:{{t:{tag}}}")).await;
    let namespace = place.name(|name| format!("{prefix}:{{n:{name}}}")).await;
    let [first, second] = [&one, &two].map(|cache| {
        let rules = NamespaceOptions::ttl(Duration::from_secs(60 * 60));
        let others = cache.namespace(&namespace, rules).unwrap();
        Entries { numbers: numbers(cache), key: key.clone(), tag: tag.clone(), others }
    });
    assert_eq!(first.read(1).await, [1; 3]);

    place.master().pause();
    eventually("the other node keeps all of it with the new master", async || {
        let before = two.statistics().total.stores;
        two.invalidate(second.targets()).await == Told::Everywhere
            && second.read(1).await == [1; 3]
            && two.statistics().total.stores == before + 3
    })
    .await;

    // The first node writes, and tells the server that it knows. The request is there; the answer comes when it goes on.
    let telling = tokio::spawn({
        let (one, targets) = (one.clone(), first.targets());
        async move { one.invalidate(targets).await }
    });
    sleep(Duration::from_millis(200)).await;
    assert!(!telling.is_finished());
    place.master().resume();
    let told = telling.await.unwrap();
    let written = Instant::now();
    eventually("both read what was written", async || first.read(2).await == [2; 3] && second.read(2).await == [2; 3])
        .await;
    println!("  told {told:?} by the old master; both nodes read what was written {:?} after", written.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_master_behind_sentinels_was_told_holds_in_the_end() {
    let Some(servers) = available(RedisSentinel::start().await) else { return };
    what_an_old_master_was_told_holds_in_the_end(Place::Sentinel(servers)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_old_master_of_a_cluster_was_told_holds_in_the_end() {
    let Some(servers) = available(RedisCluster::start_with_replicas(3).await) else { return };
    what_an_old_master_was_told_holds_in_the_end(Place::Cluster(servers)).await;
}
