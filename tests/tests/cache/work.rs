//! Readers and writers at work on several nodes, and what every read is held against while something happens to Redis.
//!
//! What a node has invalidated itself it never reads again. What was told everywhere no node reads once `MAX_STALENESS` is
//! over: both moments are taken so that a slow machine makes the claim weaker, never false.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use stanchion::cache::{Cache, Namespace, Target, Told};
use stanchion_tests::testbed::eventually;
use tokio::time::sleep;

use crate::nodes::{MAX_STALENESS, numbers};

const ROWS: usize = 24;
const TAGS: usize = 4;

/// A row of the database, and what is known of its invalidations.
#[derive(Debug, Default)]
struct Row {
    /// How often it was written.
    newest: AtomicU64,
    /// What all were told of, and since when.
    told: Mutex<Vec<(Instant, u64)>>,
    /// The last of it.
    last_told: AtomicU64,
    /// What each node has invalidated itself.
    own: [AtomicU64; 3],
}

/// Three nodes at most, and the rows they read and write.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    nodes: Vec<Namespace<u64>>,
    rows: Arc<[Row]>,
    /// Of the present shift.
    tally: Arc<Tally>,
}

#[derive(Debug, Default)]
struct Tally {
    over: AtomicBool,
    reads: AtomicU64,
    told: AtomicU64,
    later: AtomicU64,
    oldest: Mutex<Duration>,
    longest: Mutex<Duration>,
    /// Reads that were older than they may be.
    broken: Mutex<Vec<String>>,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) reads: u64,
    /// Invalidations that all were told of.
    pub(crate) told: u64,
    /// Those that they will be told of.
    pub(crate) later: u64,
    /// How long ago the oldest value that was read had been invalidated.
    pub(crate) oldest: Duration,
    /// The longest read.
    pub(crate) longest: Duration,
    /// Reads that were older than they may be.
    pub(crate) broken: Vec<String>,
}

impl Seen {
    /// Says what was seen, and that nothing was older than it may be.
    pub(crate) fn check(&self, what: &str) {
        self.say(what);
        let broken = &self.broken;
        assert!(broken.is_empty(), "{} reads were too old: {:?}", broken.len(), &broken[..broken.len().min(3)]);
    }

    /// Says what was seen.
    pub(crate) fn say(&self, what: &str) {
        let Self { reads, told, later, oldest, longest, broken } = self;
        println!(
            "  {what}: {reads} reads, the longest {longest:?}; {told} invalidations told, {later} later; the oldest value \
             was read {oldest:?} after its invalidation, {MAX_STALENESS:?} allowed; {} were too old",
            broken.len()
        );
        assert!(*reads > 0 && *told > 0, "nothing happened");
    }
}

impl Work {
    pub(crate) fn over(nodes: &[Cache]) -> Self {
        let rows = (0..ROWS).map(|_| Row::default()).collect();
        Self { nodes: nodes.iter().map(numbers).collect(), rows, tally: Arc::default() }
    }

    /// Reads and writes on all nodes for as long as `events` takes.
    pub(crate) async fn during(&self, events: impl Future<Output = ()>) -> Seen {
        let mut tasks = Vec::new();
        let shift = Self { tally: Arc::default(), ..self.clone() };
        for node in 0..self.nodes.len() {
            let (reader, writer) = (shift.clone(), shift.clone());
            tasks.push(tokio::spawn(async move {
                while !reader.tally.over.load(Ordering::SeqCst) {
                    for _ in 0..ROWS {
                        reader.read(node, fastrand::usize(..ROWS)).await;
                    }
                    sleep(Duration::from_millis(1)).await;
                }
            }));
            tasks.push(tokio::spawn(async move {
                while !writer.tally.over.load(Ordering::SeqCst) {
                    writer.write(node).await;
                    sleep(Duration::from_millis(fastrand::u64(1..10))).await;
                }
            }));
        }
        events.await;
        shift.tally.over.store(true, Ordering::SeqCst);
        join_all(tasks).await.into_iter().for_each(|task| task.unwrap());
        self.agree().await;
        let tally = &shift.tally;
        Seen {
            reads: tally.reads.load(Ordering::SeqCst),
            told: tally.told.load(Ordering::SeqCst),
            later: tally.later.load(Ordering::SeqCst),
            oldest: *tally.oldest.lock().unwrap(),
            longest: *tally.longest.lock().unwrap(),
            broken: tally.broken.lock().unwrap().clone(),
        }
    }

    /// Waits until every node reads every row as it was written last, and sees that none goes back.
    async fn agree(&self) {
        for node in 0..self.nodes.len() {
            eventually("the node reads every row as it was written last", async || self.is_newest(node).await).await;
        }
        for node in 0..self.nodes.len() {
            assert!(self.is_newest(node).await, "what was agreed on has gone back");
        }
    }

    async fn is_newest(&self, node: usize) -> bool {
        for row in 0..ROWS {
            if self.ask(node, row).await != self.rows[row].newest.load(Ordering::SeqCst) {
                return false;
            }
        }
        true
    }

    async fn ask(&self, node: usize, row: usize) -> u64 {
        let rows = Arc::clone(&self.rows);
        let load = move || async move {
            let read = rows[row].newest.load(Ordering::SeqCst);
            // There is time to invalidate it before it is kept.
            sleep(Duration::from_millis(fastrand::u64(..3))).await;
            Ok(read)
        };
        let tag = tag(row);
        *self.nodes[node].get_or_load_tagged(row.to_string(), &[&tag], load).await.expect("a read needs no Redis")
    }

    async fn read(&self, node: usize, at: usize) {
        let (row, began) = (&self.rows[at], Instant::now());
        let own = row.own[node].load(Ordering::SeqCst);
        let read = match fastrand::u8(..8) {
            0 => match self.nodes[node].get(at.to_string()).await.expect("a read needs no Redis") {
                Some(read) => *read,
                None => return,
            },
            _ => self.ask(node, at).await,
        };
        self.tally.reads.fetch_add(1, Ordering::SeqCst);
        let mut longest = self.tally.longest.lock().unwrap();
        *longest = longest.max(began.elapsed());
        drop(longest);
        let mut age = Duration::ZERO;
        if row.last_told.load(Ordering::SeqCst) > read {
            let told = row.told.lock().unwrap();
            let first = told.iter().filter(|(_, version)| *version > read).map(|(since, _)| *since).min();
            age = first.map_or(Duration::ZERO, |since| began.saturating_duration_since(since));
            drop(told);
            let mut oldest = self.tally.oldest.lock().unwrap();
            *oldest = oldest.max(age);
        }
        if age > MAX_STALENESS || read < own {
            let text = format!("node {node} read {read} of row {at}: {own} was invalidated here, {age:?} old");
            self.tally.broken.lock().unwrap().push(text);
        }
    }

    /// Writes a row and invalidates it, with others or alone.
    async fn write(&self, node: usize) {
        let (row, numbers) = (fastrand::usize(..ROWS), &self.nodes[node]);
        self.rows[row].newest.fetch_add(1, Ordering::SeqCst);
        let (target, covers): (Target, fn(usize, usize) -> bool) = match fastrand::u8(..32) {
            0 => (Target::All, |_, _| true),
            1..3 => (Target::namespace(numbers.name()), |_, _| true),
            3..12 => (Target::tag(tag(row)), |one, other| one % TAGS == other % TAGS),
            _ => (numbers.target(row.to_string()), |one, other| one == other),
        };
        let covered = (0..ROWS).filter(|other| covers(row, *other));
        let covered: Vec<_> = covered.map(|row| (row, self.rows[row].newest.load(Ordering::SeqCst))).collect();
        let told = numbers.cache().invalidate([target]).await;
        let now = Instant::now();
        let count = if told == Told::Everywhere { &self.tally.told } else { &self.tally.later };
        count.fetch_add(1, Ordering::SeqCst);
        for (row, version) in covered {
            let row = &self.rows[row];
            row.own[node].fetch_max(version, Ordering::SeqCst);
            if told == Told::Everywhere {
                row.told.lock().unwrap().push((now, version));
                row.last_told.fetch_max(version, Ordering::SeqCst);
            }
        }
    }
}

fn tag(row: usize) -> String {
    format!("tag-{}", row % TAGS)
}
