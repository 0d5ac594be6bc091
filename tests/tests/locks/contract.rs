//! What every store of locks promises. Each claim is given two nodes over one store, as two instances of a service have it.

use std::any::Any;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::future::join_all;
use stanchion::Error;
use stanchion::lock::{
    Attempt, Holding, InvalidName, LockError, LockGuard, LockName, LockOptions, LockStore, Locks, Owner,
};
use stanchion_tests::testbed::eventually;
use tokio::time::{sleep, timeout};

/// Longer than any test: what is held with it is not freed by the end of its lease.
const LONG: Duration = Duration::from_secs(600);
/// A lease that a test waits out.
const SHORT: Duration = Duration::from_millis(300);
/// How long what has to come is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the claims tests of a store: `lock_contract!(redis, crate::redis)`, where `crate::redis` is an async function that
/// gives [`Nodes`], or `None` where this run has no server for it.
macro_rules! lock_contract {
    ($module:ident, $nodes:path) => {
        mod $module {
            $crate::contract::lock_contract! { @claims $nodes:
                what_is_held_is_granted_to_nobody_else
                an_owner_that_asks_again_is_granted_again
                only_the_holder_extends
                only_the_holder_gives_back
                who_waits_gets_what_is_given_back
                a_wait_ends_in_time
                a_lease_that_is_not_renewed_ends
                a_lease_that_is_extended_goes_on
                names_are_told_apart
                what_is_held_is_listed
                contenders_never_meet
                a_dropped_acquisition_leaves_nothing_behind
                a_guard_renews_its_lease
                a_dropped_guard_gives_back
                a_guard_dropped_outside_of_the_runtime_gives_back
            }
        }
    };
    (@claims $nodes:path: $($claim:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $claim() {
                if let Some(nodes) = $nodes().await {
                    $crate::contract::$claim(nodes).await;
                }
            }
        )+
    };
}
pub(crate) use lock_contract;

/// Two instances' view of one store, which is this test's own.
pub(crate) struct Nodes {
    one: Arc<dyn LockStore>,
    two: Arc<dyn LockStore>,
    drops: usize,
    listing_their_own: bool,
    /// Dropped last: the servers.
    _kept: Vec<Box<dyn Any + Send>>,
}

impl Nodes {
    pub(crate) fn new(one: Arc<dyn LockStore>, two: Arc<dyn LockStore>) -> Self {
        Self { one, two, drops: 500, listing_their_own: false, _kept: Vec::new() }
    }

    /// How many acquisitions are dropped.
    pub(crate) fn drops(mut self, drops: usize) -> Self {
        self.drops = drops;
        self
    }

    /// Each lists only what it holds itself.
    pub(crate) fn listing_their_own(mut self) -> Self {
        self.listing_their_own = true;
        self
    }

    /// What has to live as long as the nodes.
    pub(crate) fn keeping(mut self, kept: impl Any + Send) -> Self {
        self._kept.push(Box::new(kept));
        self
    }

    /// Whether nothing is held, as both see it.
    async fn are_free(&self) -> bool {
        self.one.held(10).await.unwrap().is_empty() && self.two.held(10).await.unwrap().is_empty()
    }

    fn locks(&self) -> [Locks; 2] {
        [Locks::new(Arc::clone(&self.one), "one"), Locks::new(Arc::clone(&self.two), "two")]
    }
}

fn name(text: &str) -> LockName {
    LockName::try_from(text).unwrap()
}

fn owners() -> (Owner, Owner) {
    (Owner::new("one"), Owner::new("two"))
}

async fn asks(store: &Arc<dyn LockStore>, name: &LockName, owner: &Owner, wait: Duration) -> bool {
    matches!(store.acquire(name, owner, LONG, wait).await.unwrap(), Attempt::Granted { .. })
}

async fn tries(store: &Arc<dyn LockStore>, name: &LockName, owner: &Owner) -> bool {
    asks(store, name, owner, Duration::ZERO).await
}

pub(crate) async fn what_is_held_is_granted_to_nobody_else(nodes: Nodes) {
    let (name, (first, second), third) = (name("a"), owners(), Owner::new("one"));
    let before = Instant::now();
    let Attempt::Granted { since } = nodes.one.acquire(&name, &first, LONG, Duration::ZERO).await.unwrap() else {
        panic!("a free lock is granted");
    };
    assert!(since >= before && since <= Instant::now(), "counted from before its request");
    assert!(!tries(&nodes.two, &name, &second).await);
    assert!(!tries(&nodes.one, &name, &third).await, "nor to others of the same instance");
    assert!(nodes.one.release(&name, &first).await.unwrap());
    assert!(tries(&nodes.two, &name, &second).await);
    assert!(!tries(&nodes.one, &name, &first).await);
}

pub(crate) async fn an_owner_that_asks_again_is_granted_again(nodes: Nodes) {
    let (name, (owner, other)) = (name("a"), owners());
    assert!(tries(&nodes.one, &name, &owner).await);
    assert!(tries(&nodes.one, &name, &owner).await);
    assert!(asks(&nodes.one, &name, &owner, PATIENCE).await, "waiting or not");
    assert!(nodes.one.release(&name, &owner).await.unwrap());
    assert!(tries(&nodes.two, &name, &other).await, "given back once is given back");
}

pub(crate) async fn only_the_holder_extends(nodes: Nodes) {
    let (name, (owner, other)) = (name("a"), owners());
    assert!(!nodes.one.extend(&name, &owner, LONG).await.unwrap(), "what nobody holds is not taken by it");
    assert!(tries(&nodes.two, &name, &other).await);
    assert!(!nodes.one.extend(&name, &owner, LONG).await.unwrap());
    assert!(nodes.two.extend(&name, &other, LONG).await.unwrap());
    assert!(nodes.two.release(&name, &other).await.unwrap());
    assert!(!nodes.two.extend(&name, &other, LONG).await.unwrap());
    assert!(tries(&nodes.one, &name, &owner).await);
}

pub(crate) async fn only_the_holder_gives_back(nodes: Nodes) {
    let (name, (owner, other)) = (name("a"), owners());
    assert!(!nodes.one.release(&name, &owner).await.unwrap());
    assert!(tries(&nodes.one, &name, &owner).await);
    assert!(!nodes.two.release(&name, &other).await.unwrap());
    assert!(!tries(&nodes.two, &name, &other).await, "it is held still");
    assert!(nodes.one.release(&name, &owner).await.unwrap());
    assert!(!nodes.one.release(&name, &owner).await.unwrap(), "once");
}

pub(crate) async fn who_waits_gets_what_is_given_back(nodes: Nodes) {
    let [one, two] = nodes.locks();
    let options = LockOptions::ttl(LONG).wait(PATIENCE);
    let mut guard = one.acquire("a", options.clone()).await.unwrap();
    let mut took = Vec::new();
    for round in 0..20 {
        let next = if round % 2 == 0 { &two } else { &one };
        let waiting = tokio::spawn({
            let (next, options) = (next.clone(), options.clone());
            async move { (next.acquire("a", options).await.unwrap(), Instant::now()) }
        });
        sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        let released = Instant::now();
        guard.release().await.unwrap();
        let (next, at) = waiting.await.unwrap();
        took.push(at - released);
        guard = next;
    }
    took.sort();
    println!("{}: handed over in {:?}, the slowest of {} {:?}", nodes.one.kind(), took[10], took.len(), took[19]);
}

pub(crate) async fn a_wait_ends_in_time(nodes: Nodes) {
    let [one, two] = nodes.locks();
    let _guard = one.acquire("a", LockOptions::ttl(LONG)).await.unwrap();
    let (begun, wait) = (Instant::now(), Duration::from_millis(100));
    let Err(Error::Lock(LockError::Held { name, waited })) = two.acquire("a", LockOptions::ttl(LONG).wait(wait)).await
    else {
        panic!("it is held");
    };
    assert_eq!(name.as_str(), "a");
    assert!(waited >= wait && begun.elapsed() >= wait);
    assert!(two.try_acquire("a", LockOptions::ttl(LONG)).await.unwrap().is_none());
}

pub(crate) async fn a_lease_that_is_not_renewed_ends(nodes: Nodes) {
    if nodes.one.holding() != Holding::Lease {
        return;
    }
    let (name, (owner, other)) = (name("a"), owners());
    let Attempt::Granted { since } = nodes.one.acquire(&name, &owner, SHORT, Duration::ZERO).await.unwrap() else {
        panic!("a free lock is granted");
    };
    assert!(asks(&nodes.two, &name, &other, PATIENCE).await, "who waits hears of its end");
    assert!(since.elapsed() >= SHORT, "not before its end: {:?}", since.elapsed());
    assert!(!nodes.one.extend(&name, &owner, LONG).await.unwrap());
    assert!(!nodes.one.release(&name, &owner).await.unwrap());
    assert!(!tries(&nodes.one, &name, &owner).await);
}

pub(crate) async fn a_lease_that_is_extended_goes_on(nodes: Nodes) {
    let (name, (owner, other)) = (name("a"), owners());
    let granted = nodes.one.acquire(&name, &owner, PATIENCE, Duration::ZERO).await.unwrap();
    assert!(matches!(granted, Attempt::Granted { .. }));
    assert!(nodes.one.extend(&name, &owner, SHORT).await.unwrap());
    assert!(nodes.one.extend(&name, &owner, LONG).await.unwrap());
    assert!(!asks(&nodes.two, &name, &other, SHORT * 3).await);
    assert!(nodes.one.release(&name, &owner).await.unwrap());
}

pub(crate) async fn names_are_told_apart(nodes: Nodes) {
    let long = "n".repeat(200);
    let longest = "\u{1f511}".repeat(200);
    let almost = format!("{}x", "\u{1f511}".repeat(199));
    let texts = [
        "order:binance:ETHUSDT:1850",
        "a",
        "A",
        "a ",
        " a",
        "a b",
        "\u{e4}",
        "a\u{308}",
        "\u{df}",
        "ss",
        "{a}",
        "}a{",
        "a*",
        "a?",
        "a[b]",
        "a\\",
        "a'b",
        "a\"b",
        "a%b",
        "a_b",
        "aXb",
        "\u{1f511}",
        "\u{1f512}",
        &long,
        &longest,
        &almost,
    ];
    let names: Vec<LockName> = texts.iter().map(|text| name(text)).collect();
    let (owner, other) = owners();
    for name in &names {
        assert!(tries(&nodes.one, name, &owner).await, "{name} is another one");
    }
    for name in &names {
        assert!(!tries(&nodes.two, name, &other).await, "{name} is held");
        assert!(nodes.one.release(name, &owner).await.unwrap(), "{name} is given back");
    }
    for refused in ["", " ", "\t", "a\nb", "a\0", &"n".repeat(201), &"\u{1f511}".repeat(201)] {
        assert_eq!(LockName::try_from(refused), Err(InvalidName));
    }
    let refused = nodes.locks()[0].try_acquire("n".repeat(201), LockOptions::ttl(LONG)).await.unwrap_err();
    assert!(refused.is_invalid(), "{refused}");
}

pub(crate) async fn what_is_held_is_listed(nodes: Nodes) {
    let [one, mut two] = nodes.locks();
    if nodes.listing_their_own {
        two = one.clone();
    }
    assert!(two.held(10).await.unwrap().is_empty());
    let first = one.acquire("a", LockOptions::ttl(LONG)).await.unwrap();
    let second = two.acquire("b c", LockOptions::ttl(LONG)).await.unwrap();
    let held = two.held(10).await.unwrap();
    assert_eq!(held.len(), 2, "{held:?}");
    assert_eq!(held.iter().map(|lock| &lock.name).collect::<BTreeSet<_>>().len(), 2);
    for lock in &held {
        assert!(lock.remaining.is_none_or(|left| left <= LONG), "{lock:?}");
    }
    assert_eq!(one.held(1).await.unwrap().len(), 1);
    assert!(one.held(0).await.unwrap().is_empty());
    first.release().await.unwrap();
    second.release().await.unwrap();
    assert!(two.held(10).await.unwrap().is_empty());
}

pub(crate) async fn contenders_never_meet(nodes: Nodes) {
    const TASKS: u64 = 20;
    const ROUNDS: u64 = 50;
    let locks = nodes.locks();
    // Read, and written a while later: whoever meets somebody else loses an update.
    let counter = Arc::new(AtomicU64::new(0));
    let inside = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let tasks = (0..TASKS).map(|task| {
        let (locks, counter, inside) = (locks[task as usize % 2].clone(), Arc::clone(&counter), Arc::clone(&inside));
        tokio::spawn(async move {
            for _ in 0..ROUNDS {
                let options = LockOptions::ttl(Duration::from_secs(30)).wait(PATIENCE);
                let guard = locks.acquire("counter", options).await.unwrap();
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two are inside");
                let read = counter.load(Ordering::SeqCst);
                tokio::task::yield_now().await;
                counter.store(read + 1, Ordering::SeqCst);
                inside.fetch_sub(1, Ordering::SeqCst);
                guard.release().await.unwrap();
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    assert_eq!(counter.load(Ordering::SeqCst), TASKS * ROUNDS);
    println!("{}: {} hand-overs among {TASKS} tasks in {:?}", nodes.one.kind(), TASKS * ROUNDS, begun.elapsed());
}

pub(crate) async fn a_dropped_acquisition_leaves_nothing_behind(nodes: Nodes) {
    const TASKS: usize = 50;
    let locks = nodes.locks();
    let granted = Arc::new(AtomicU64::new(0));
    let tasks = (0..TASKS).map(|task| {
        let (locks, granted, drops) = (locks[task % 2].clone(), Arc::clone(&granted), nodes.drops / TASKS);
        tokio::spawn(async move {
            for _ in 0..drops {
                let name = format!("lock {}", fastrand::u8(..4));
                let options = LockOptions::ttl(LONG).wait(PATIENCE);
                let mut acquisition = Box::pin(locks.acquire(name, options));
                // Dropped at its first awaits, or after a random while.
                let guard = match fastrand::u8(..4) {
                    0 => is_granted(futures::poll!(&mut acquisition)),
                    1 => {
                        let first = futures::poll!(&mut acquisition);
                        if first.is_pending() {
                            tokio::task::yield_now().await;
                            is_granted(futures::poll!(&mut acquisition))
                        } else {
                            is_granted(first)
                        }
                    }
                    _ => {
                        let granted = timeout(Duration::from_micros(fastrand::u64(..3_000)), &mut acquisition).await;
                        matches!(granted, Ok(Ok(_)))
                    }
                };
                granted.fetch_add(guard.into(), Ordering::Relaxed);
            }
        })
    });
    for task in join_all(tasks).await {
        task.unwrap();
    }
    let (drops, granted) = (nodes.drops, granted.load(Ordering::Relaxed));
    println!("{}: {drops} acquisitions dropped, {granted} of them granted", nodes.one.kind());
    eventually("nothing is held", async || nodes.are_free().await).await;
    for at in 0..4 {
        // A server may still be about to notice that a session has ended; what holds a lease would be in the way for long.
        eventually("nothing is in its way", async || {
            let next = locks[0].try_acquire(format!("lock {at}"), LockOptions::ttl(LONG)).await.unwrap();
            let granted = next.is_some();
            if let Some(next) = next {
                next.release().await.unwrap();
            }
            granted
        })
        .await;
    }
}

fn is_granted(acquisition: Poll<Result<LockGuard, Error>>) -> bool {
    matches!(acquisition, Poll::Ready(Ok(_)))
}

pub(crate) async fn a_guard_renews_its_lease(nodes: Nodes) {
    let [one, two] = nodes.locks();
    let ttl = Duration::from_millis(1_500);
    let guard = one.acquire("a", LockOptions::ttl(ttl)).await.unwrap();
    let first = guard.deadline();
    let other = two.acquire("a", LockOptions::ttl(ttl).wait(ttl * 2)).await;
    assert!(matches!(other, Err(Error::Lock(LockError::Held { .. }))), "{other:?}");
    assert!(guard.is_held() && guard.deadline() > first + ttl && !guard.lost().is_cancelled());
    guard.release().await.unwrap();
    two.acquire("a", LockOptions::ttl(ttl)).await.unwrap().release().await.unwrap();
}

pub(crate) async fn a_dropped_guard_gives_back(nodes: Nodes) {
    let [one, two] = nodes.locks();
    for _ in 0..10 {
        drop(one.acquire("a", LockOptions::ttl(LONG).wait(PATIENCE)).await.unwrap());
        drop(two.acquire("a", LockOptions::ttl(LONG).wait(PATIENCE)).await.unwrap());
    }
    eventually("nothing is held", async || nodes.are_free().await).await;
}

pub(crate) async fn a_guard_dropped_outside_of_the_runtime_gives_back(nodes: Nodes) {
    let [one, _] = nodes.locks();
    let guard = one.acquire("a", LockOptions::ttl(LONG)).await.unwrap();
    std::thread::spawn(move || drop(guard)).join().unwrap();
    eventually("nothing is held", async || nodes.are_free().await).await;
}
