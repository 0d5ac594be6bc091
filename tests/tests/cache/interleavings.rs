//! Loads, writes and invalidations of three nodes in every order that chance finds, one step after the other.
//!
//! A round is drawn from its seed. A load is held in its loader before and after it reads the database, while others go on:
//! that is where caches go wrong. Each step says what must hold at once; whenever all is at rest, every node reads the newest
//! value of every key. `STANCHION_SEED` plays one round again; `STANCHION_INTERLEAVINGS` says how many steps there are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stanchion::Error;
use stanchion::cache::{Cache, Namespace, NamespaceOptions, Target};
use stanchion_tests::testbed::{Proxy, redis_url};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::nodes::{node, prefix};

const NODES: usize = 3;
const KEYS: usize = 4;
/// Steps of a round.
const STEPS: u64 = 200;
/// What was drawn cannot be done; it is no step.
const NOTHING: &str = "nothing";
/// Rounds that are played at a time.
const AT_ONCE: usize = 24;
/// Steps in all, unless it is said.
const ALL_STEPS: u64 = 20_000;
/// How long the nodes may take to hear of everything: longer than they may be stale.
const AT_REST: Duration = Duration::from_secs(10);
/// No step takes so long.
const STUCK: Duration = Duration::from_secs(20);

/// The values of the keys: how often each was written.
type Database = Arc<Mutex<[u64; KEYS]>>;

struct Node {
    cache: Cache,
    values: Namespace<u64>,
    wire: Proxy,
    /// What it must not read less than: it has invalidated what was before.
    floor: [u64; KEYS],
}

/// A load that is held in its loader.
struct Held {
    node: usize,
    key: usize,
    /// The node has invalidated it: those who come later do not join it.
    invalidated: bool,
    floor: u64,
    /// Lets it read the database, if it has not.
    read: Option<oneshot::Sender<()>>,
    has_read: Option<oneshot::Receiver<()>>,
    finish: oneshot::Sender<()>,
    caller: JoinHandle<Result<Arc<u64>, Error>>,
}

struct Round {
    random: fastrand::Rng,
    database: Database,
    nodes: Vec<Node>,
    held: Vec<Held>,
    /// Written, and not invalidated yet.
    dirty: BTreeSet<usize>,
    counts: BTreeMap<&'static str, u64>,
}

fn name(key: usize) -> String {
    format!("key-{key}")
}

/// Every key has a tag, which it shares with every second one.
fn tag(key: usize) -> &'static str {
    ["even", "odd"][key % 2]
}

impl Round {
    async fn new(seed: u64, url: &str, server: (Ipv4Addr, u16)) -> Self {
        let (mut nodes, prefix) = (Vec::new(), prefix());
        for _ in 0..NODES {
            let wire = Proxy::to(server).await.unwrap();
            let cache = node(&wire.url(url).unwrap(), &prefix);
            // Another node's load may be held: it is not waited for.
            let options = NamespaceOptions::ttl(Duration::from_secs(600)).wait_for_others(Duration::ZERO);
            let values = cache.namespace("values", options).unwrap();
            nodes.push(Node { cache, values, wire, floor: [0; KEYS] });
        }
        let (random, database) = (fastrand::Rng::with_seed(seed), Database::default());
        Self { random, database, nodes, held: Vec::new(), dirty: BTreeSet::new(), counts: BTreeMap::new() }
    }

    /// Does something that chance draws, and says what; it may be nothing.
    async fn step(&mut self) -> &'static str {
        let (node, key) = (self.random.usize(..NODES), self.random.usize(..KEYS));
        match self.random.u32(..1_000) {
            0..250 => self.begin(node, key).await,
            250..400 => self.read_database().await,
            400..600 => self.finish().await,
            600..700 => self.write(key),
            700..800 => {
                self.invalidate(node, key, "invalidate a key", |round, key| {
                    ([round.nodes[node].values.target(name(key))], vec![key])
                })
                .await
            }
            800..830 => {
                self.invalidate(node, key, "invalidate a tag", |_, key| {
                    ([Target::tag(tag(key))], (0..KEYS).filter(|other| tag(*other) == tag(key)).collect())
                })
                .await
            }
            830..840 => {
                self.invalidate(node, key, "invalidate the namespace", |_, _| {
                    ([Target::namespace("values")], (0..KEYS).collect())
                })
                .await
            }
            840..975 => self.read(node, key).await,
            975..998 => self.rest().await,
            _ => self.cut(node).await,
        }
    }

    /// Whether a caller would wait for a load that is held.
    fn is_held(&self, node: usize, key: usize) -> bool {
        self.held.iter().any(|held| (held.node, held.key, held.invalidated) == (node, key, false))
    }

    /// Asks for a key; a load that it causes is held before it reads the database.
    async fn begin(&mut self, node: usize, key: usize) -> &'static str {
        if self.is_held(node, key) || self.held.len() > 8 {
            return NOTHING;
        }
        let (floor, values) = (self.nodes[node].floor[key], self.nodes[node].values.clone());
        let (begun, has_begun) = oneshot::channel();
        let (read, may_read) = oneshot::channel();
        let (was_read, has_read) = oneshot::channel();
        let (finish, may_finish) = oneshot::channel();
        let database = Arc::clone(&self.database);
        let loader = move || async move {
            let _ = begun.send(());
            let _ = may_read.await;
            let value = database.lock().unwrap()[key];
            let _ = was_read.send(());
            let _ = may_finish.await;
            Ok(value)
        };
        let caller = tokio::spawn(async move { values.get_or_load_tagged(name(key), &[tag(key)], loader).await });
        if timeout(STUCK, has_begun).await.expect("a call neither hits nor loads").is_err() {
            // The loader was dropped: it was not needed.
            self.check(node, key, floor, *caller.await.unwrap().unwrap());
            return "hit";
        }
        let (read, has_read) = (Some(read), Some(has_read));
        self.held.push(Held { node, key, invalidated: false, floor, read, has_read, finish, caller });
        "begin a load"
    }

    async fn read_database(&mut self) -> &'static str {
        let waiting: Vec<usize> = (0..self.held.len()).filter(|at| self.held[*at].read.is_some()).collect();
        let Some(at) = self.random.choice(waiting) else { return NOTHING };
        read_of(&mut self.held[at]).await;
        "read in a load"
    }

    async fn finish(&mut self) -> &'static str {
        if self.held.is_empty() {
            return NOTHING;
        }
        let at = self.random.usize(..self.held.len());
        let held = self.held.swap_remove(at);
        self.land(held).await;
        "finish a load"
    }

    async fn land(&self, mut held: Held) {
        read_of(&mut held).await;
        let _ = held.finish.send(());
        let value = timeout(STUCK, held.caller).await.expect("a load does not end").unwrap().unwrap();
        // It read the database after it was begun.
        self.check(held.node, held.key, held.floor, *value);
    }

    fn write(&mut self, key: usize) -> &'static str {
        self.database.lock().unwrap()[key] += 1;
        self.dirty.insert(key);
        "write"
    }

    async fn invalidate(
        &mut self,
        node: usize,
        key: usize,
        step: &'static str,
        targets: impl FnOnce(&Self, usize) -> ([Target; 1], Vec<usize>),
    ) -> &'static str {
        // A key that was written, more often than not.
        let key = if self.random.u32(..4) > 0 { self.dirty.first().copied().unwrap_or(key) } else { key };
        let (targets, keys) = targets(self, key);
        timeout(STUCK, self.nodes[node].cache.invalidate(targets)).await.expect("an invalidation does not end");
        let values = *self.database.lock().unwrap();
        for key in keys {
            self.dirty.remove(&key);
            self.nodes[node].floor[key] = values[key];
            for held in &mut self.held {
                held.invalidated |= (held.node, held.key) == (node, key);
            }
        }
        step
    }

    async fn read(&self, node: usize, key: usize) -> &'static str {
        if self.is_held(node, key) {
            return NOTHING;
        }
        let value = self.ask(node, key).await;
        self.check(node, key, self.nodes[node].floor[key], value);
        "read"
    }

    async fn ask(&self, node: usize, key: usize) -> u64 {
        let database = Arc::clone(&self.database);
        let loader = move || async move { Ok(database.lock().unwrap()[key]) };
        let tags = [tag(key)];
        let asked = self.nodes[node].values.get_or_load_tagged(name(key), &tags, loader);
        *timeout(STUCK, asked).await.expect("a read does not end").unwrap()
    }

    /// Breaks a node's connections, of commands and of messages.
    async fn cut(&self, node: usize) -> &'static str {
        self.nodes[node].wire.cut().await;
        self.nodes[node].wire.restore().await.unwrap();
        "cut"
    }

    fn check(&self, node: usize, key: usize, floor: u64, value: u64) {
        let newest = self.database.lock().unwrap()[key];
        assert!(value >= floor, "node {node} reads {value} of key {key}, having invalidated what was before {floor}");
        assert!(value <= newest, "node {node} reads {value} of key {key}, which was never written");
    }

    /// Lets everything end, and sees that all nodes read what is newest.
    async fn rest(&mut self) -> &'static str {
        for held in std::mem::take(&mut self.held) {
            self.land(held).await;
        }
        for key in std::mem::take(&mut self.dirty) {
            let node = self.random.usize(..NODES);
            self.nodes[node].values.invalidate(name(key)).await;
        }
        let newest = *self.database.lock().unwrap();
        let since = Instant::now();
        for node in 0..NODES {
            for (key, newest) in newest.iter().enumerate() {
                loop {
                    let value = self.ask(node, key).await;
                    if value == *newest {
                        break;
                    }
                    let late = since.elapsed();
                    assert!(
                        late < AT_REST,
                        "node {node} still reads {value} of key {key}, not {newest}, after {late:?}"
                    );
                    sleep(Duration::from_millis(1)).await;
                }
            }
        }
        "rest"
    }
}

async fn read_of(held: &mut Held) {
    if let (Some(read), Some(has_read)) = (held.read.take(), held.has_read.take()) {
        let _ = read.send(());
        // A load that was given up reads nothing.
        let _ = timeout(STUCK, has_read).await.expect("a load does not read");
    }
}

/// Says which round it was when a test fails in it.
struct Playing(u64);

impl Drop for Playing {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("play it again with STANCHION_SEED={}", self.0);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// Plays a round to its end; what it did, and how often.
async fn play(seed: u64, url: String, server: (Ipv4Addr, u16)) -> BTreeMap<&'static str, u64> {
    let _playing = Playing(seed);
    let mut round = Round::new(seed, &url, server).await;
    while round.counts.values().sum::<u64>() < STEPS {
        let step = round.step().await;
        if step != NOTHING {
            *round.counts.entry(step).or_default() += 1;
        }
    }
    round.rest().await;
    for node in &round.nodes {
        node.cache.close().await;
    }
    std::mem::take(&mut round.counts)
}

#[tokio::test]
async fn at_rest_every_node_reads_the_newest_value() {
    let Some(url) = redis_url() else { return };
    let server = (Ipv4Addr::LOCALHOST, url::Url::parse(&url).unwrap().port().unwrap_or(6_379));
    let (first, rounds) = match number("STANCHION_SEED") {
        Some(seed) => (seed, 1),
        None => (fastrand::u64(..1 << 48), number("STANCHION_INTERLEAVINGS").unwrap_or(ALL_STEPS).div_ceil(STEPS)),
    };
    let (began, mut counts) = (Instant::now(), BTreeMap::<_, u64>::new());
    let mut seeds = first..first + rounds;
    // A round waits more than it works; several share nothing but the server.
    let mut playing = JoinSet::new();
    loop {
        while playing.len() < AT_ONCE
            && let Some(seed) = seeds.next()
        {
            playing.spawn(play(seed, url.clone(), server));
        }
        let Some(played) = playing.join_next().await else { break };
        match played {
            Ok(played) => played.iter().for_each(|(step, count)| *counts.entry(*step).or_default() += count),
            Err(failed) => {
                // The others end first, so that only the one that failed says who it was.
                playing.shutdown().await;
                std::panic::resume_unwind(failed.into_panic());
            }
        }
    }
    println!("{} steps in {:?}, from seed {first}: {counts:?}", counts.values().sum::<u64>(), began.elapsed());
    // It would prove nothing if nothing was loaded across a write.
    if rounds > 10 {
        for step in ["begin a load", "hit", "finish a load", "invalidate a tag", "invalidate the namespace", "rest"] {
            assert!(counts.get(step).is_some_and(|count| *count > 0), "{step} never happened");
        }
    }
}
