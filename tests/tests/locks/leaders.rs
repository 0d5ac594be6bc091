//! Candidates for a lead as processes, paused past their lease and killed: whoever leads next is the only one that writes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::future::join_all;
use nix::sys::signal::Signal;
use stanchion::lock::Term;
use stanchion_tests::testbed::{Backend, TestDatabase, eventually, redis_url};
use stanchion_tests::{Ledger, on_every_backend};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::actors::Actor;

on_every_backend! { empty:
    a_leader_that_is_killed_is_followed,
    a_leader_that_was_paused_writes_nothing_after_the_next,
}

/// A database, and the candidates, the dead ones included.
struct Election {
    database: TestDatabase,
    store: &'static str,
    ledger: Ledger,
    candidates: Vec<Actor>,
    dead: Vec<Actor>,
}

/// Who leads: its place among the candidates, and its fence.
#[derive(Clone, Copy, Debug)]
struct Reign {
    candidate: usize,
    fence: i64,
}

impl Election {
    async fn over(store: &'static str, database: TestDatabase) -> Self {
        let ledger = Ledger::open(store, database.url(), redis_url().as_deref()).await.unwrap();
        ledger.create().await.unwrap();
        Self { database, store, ledger, candidates: Vec::new(), dead: Vec::new() }
    }

    /// Another candidate.
    fn campaigns(&mut self, ttl: Duration) {
        let number = (self.candidates.len() + self.dead.len()).to_string();
        let arguments = [self.store, &ttl.as_millis().to_string(), &number];
        self.candidates.push(Actor::start(&self.database, "leader", &arguments));
    }

    /// The latest term that any of the living has told of.
    fn latest(&self) -> Option<Reign> {
        let terms = self.candidates.iter().enumerate();
        let terms =
            terms.flat_map(|(candidate, actor)| fences(actor, "leads").map(move |fence| Reign { candidate, fence }));
        terms.max_by_key(|reign| reign.fence)
    }

    /// A term after the one with this fence, once its leader has written in it.
    async fn next(&self, earlier: i64) -> Reign {
        let mut next = None;
        eventually("somebody leads and writes", async || {
            next = self.latest().filter(|reign| {
                reign.fence > earlier
                    && self.candidates[reign.candidate].count(&format!("accepted {}", reign.fence)) > 0
            });
            next.is_some()
        })
        .await;
        next.unwrap()
    }

    async fn kill(&mut self, candidate: usize) {
        let mut killed = self.candidates.remove(candidate);
        killed.kill().await;
        self.dead.push(killed);
    }

    /// Leads itself and writes, which comes after the transactions of the dead.
    async fn leads_last(&self) {
        let (leader, enough) = (self.ledger.leader(Duration::from_secs(10)).unwrap(), CancellationToken::new());
        let body = |term: Term| {
            let (ledger, enough) = (self.ledger.clone(), enough.clone());
            async move {
                let fence = term.fence().unwrap();
                if ledger.write(fence, fence.token(), -1).await.is_ok() {
                    enough.cancel();
                }
            }
        };
        let done = timeout(Duration::from_secs(60), leader.run(enough.cancelled(), body)).await;
        done.expect("the dead have let go").unwrap();
    }

    /// Everybody's end, and what was written until then.
    async fn ends(mut self) {
        while !self.candidates.is_empty() {
            self.kill(0).await;
        }
        self.leads_last().await;
        let history = self.ledger.history().await.unwrap();
        let mut leaders = BTreeMap::new();
        for (number, actor) in self.dead.iter().enumerate() {
            for fence in fences(actor, "leads") {
                assert_eq!(leaders.insert(fence, number), None, "two lead under fence {fence}");
            }
        }
        let count = |word: &str| -> usize { self.dead.iter().map(|actor| actor.count(word)).sum() };
        let (accepted, refused, missed) = (count("accepted"), count("refused"), count("missed"));
        println!(
            "{} with {} locks: {} terms, {accepted} told as accepted, {refused} refused, {missed} missed, {history:?}",
            self.database.backend(),
            self.store,
            leaders.len()
        );
        assert_eq!((history.stale, history.counter), (0, history.rows));
        assert!(history.rows > i64::try_from(accepted).unwrap(), "what was accepted is there, and one of our own");
    }
}

/// The fences of a process's lines of one kind.
fn fences(actor: &Actor, word: &str) -> impl Iterator<Item = i64> {
    let lines = actor.lines();
    let fence = |line: String| Some(line.strip_prefix(word)?.strip_prefix(' ')?.parse().unwrap());
    lines.into_iter().filter_map(fence).collect::<Vec<_>>().into_iter()
}

/// One over each store that processes share, with a database of its own; they are held at the same time.
async fn elections(database: TestDatabase) -> Vec<Election> {
    let backend = database.backend();
    let mut elections = vec![Election::over("table", database).await];
    let redis = redis_url().map(|_| "redis");
    let session = (backend != Backend::Sqlite).then_some("session");
    for store in [redis, session].into_iter().flatten() {
        elections.push(Election::over(store, TestDatabase::empty(backend).await.unwrap()).await);
    }
    elections
}

async fn a_leader_that_is_killed_is_followed(database: TestDatabase) {
    join_all(elections(database).await.into_iter().map(leaders_are_killed)).await;
}

async fn a_leader_that_was_paused_writes_nothing_after_the_next(database: TestDatabase) {
    join_all(elections(database).await.into_iter().map(leaders_are_paused)).await;
}

async fn leaders_are_killed(mut election: Election) {
    // A session ends with its process: nobody waits for the end of a lease, which would come too late here.
    let ttl = Duration::from_secs(if election.store == "session" { 600 } else { 1 });
    for _ in 0..3 {
        election.campaigns(ttl);
    }
    let mut reign = election.next(0).await;
    let mut took = Vec::new();
    for _ in 0..2 {
        election.campaigns(ttl);
        election.kill(reign.candidate).await;
        let killed = Instant::now();
        reign = election.next(reign.fence).await;
        took.push(killed.elapsed());
    }
    let backend = election.database.backend();
    println!(
        "{backend} with {} locks: the next one had written {took:.2?} after a leader with a ttl of {ttl:?} was killed",
        election.store
    );
    election.ends().await;
}

async fn leaders_are_paused(mut election: Election) {
    let ttl = Duration::from_millis(600);
    for _ in 0..3 {
        election.campaigns(ttl);
    }
    let mut reign = election.next(0).await;
    let mut followed = 0;
    while followed < 2 {
        let (paused, fence) = (reign.candidate, reign.fence);
        election.candidates[paused].signal(Signal::SIGSTOP);
        // It may have been stopped in a transaction, which holds up the next fence; and a session that lives holds its lock,
        // so that who leads by one is not followed before it goes on.
        let next = timeout(ttl * 4, election.next(fence)).await;
        followed += usize::from(next.is_ok() || election.store == "session");
        election.candidates[paused].signal(Signal::SIGCONT);
        eventually("it hears that its term is over", async || {
            election.candidates[paused].count(&format!("over {fence}")) > 0
        })
        .await;
        reign = election.next(fence).await;
        let refused = format!("refused {fence}");
        eventually("what it writes on is refused", async || election.candidates[paused].count(&refused) > 0).await;
    }
    election.ends().await;
}
