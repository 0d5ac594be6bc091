//! A replica takes the place of the server that kept a lock: what it knows of stays with its holder, what it does not know
//! of is granted again, and then the fences decide.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stanchion::Error;
use stanchion::db::Db;
use stanchion::lock::{Fenced, LockError, LockGuard, LockOptions, Locks, RedisLocks};
use stanchion::redis::{Options, Redis};
use stanchion_tests::testbed::{Backend, RedisCluster, RedisSentinel, Server, TestDatabase, available, eventually};
use uuid::Uuid;

use crate::faults::is_lost_in_time;
use crate::open;

/// Not renewed before the test is over, unless its holder asks for it.
const LONG: Duration = Duration::from_secs(600);
/// Renewed every two seconds, which is about what a failover takes.
const SHORT: Duration = Duration::from_secs(6);

mod sentinel {
    use super::{Place, RedisSentinel, available};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lock_that_the_new_master_knows_stays_with_its_holder() {
        let Some(servers) = available(RedisSentinel::start().await) else { return };
        super::what_was_replicated_is_kept(Place::Sentinel(servers)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lock_that_the_new_master_does_not_know_is_lost_and_its_fence_refused() {
        let Some(servers) = available(RedisSentinel::start().await) else { return };
        super::what_was_not_replicated_is_lost(Place::Sentinel(servers)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_holder_that_an_old_master_believes_is_kept_out_by_its_fence() {
        let Some(servers) = available(RedisSentinel::start().await) else { return };
        super::what_an_old_master_renews_is_refused(Place::Sentinel(servers)).await;
    }
}

mod cluster {
    use super::{Place, RedisCluster, available};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lock_that_the_new_master_knows_stays_with_its_holder() {
        let Some(servers) = available(RedisCluster::start_with_replicas(3).await) else { return };
        super::what_was_replicated_is_kept(Place::Cluster(servers)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_lock_that_the_new_master_does_not_know_is_lost_and_its_fence_refused() {
        let Some(servers) = available(RedisCluster::start_with_replicas(3).await) else { return };
        super::what_was_not_replicated_is_lost(Place::Cluster(servers)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_holder_that_an_old_master_believes_is_kept_out_by_its_fence() {
        let Some(servers) = available(RedisCluster::start_with_replicas(3).await) else { return };
        super::what_an_old_master_renews_is_refused(Place::Cluster(servers)).await;
    }
}

/// Where locks are kept, and who takes over.
enum Place {
    Sentinel(RedisSentinel),
    Cluster(RedisCluster),
}

impl Place {
    fn locks(&self, instance: &str) -> Locks {
        let url = match self {
            Self::Sentinel(servers) => servers.url(),
            Self::Cluster(servers) => servers.url(),
        };
        Locks::new(Arc::new(RedisLocks::new(Redis::new(url.parse().unwrap(), Options::default()), "test")), instance)
    }

    /// The server that keeps the locks with [`names`](Self::names).
    fn master(&self) -> &Server {
        match self {
            Self::Sentinel(servers) => &servers.servers()[0],
            Self::Cluster(servers) => &servers.masters()[0],
        }
    }

    fn replicas(&self) -> &[Server] {
        match self {
            Self::Sentinel(servers) => &servers.servers()[1..],
            Self::Cluster(servers) => &servers.replicas()[..1],
        }
    }

    /// Two names of locks that the master keeps.
    async fn names(&self) -> [String; 2] {
        let mut names = Vec::new();
        while names.len() < 2 {
            let name = Uuid::new_v4().to_string();
            let kept = match self {
                Self::Sentinel(_) => true,
                Self::Cluster(servers) => servers.master_of(&format!("test:lock:{{{name}}}")).await.unwrap() == 0,
            };
            if kept {
                names.push(name);
            }
        }
        [names.remove(0), names.remove(0)]
    }

    async fn until_all_is_replicated(&self) {
        let all = self.replicas().len();
        eventually("the replicas have it", async || {
            let reached: usize = ask(self.master(), redis::cmd("WAIT").arg(all).arg(1_000)).await.unwrap();
            reached == all
        })
        .await;
    }

    /// From now on nothing reaches the replicas, which stand still, not even what would wait for them on the wire.
    async fn cut_off_replicas(&self) {
        for replica in self.replicas() {
            replica.pause();
        }
        let _cut: i64 = ask(self.master(), redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("replica")).await.unwrap();
        eventually("the master has no replica", async || {
            let told: String = ask(self.master(), redis::cmd("INFO").arg("replication")).await.unwrap();
            told.contains("connected_slaves:0")
        })
        .await;
    }

    fn let_replicas_go_on(&self) {
        for replica in self.replicas() {
            replica.resume();
        }
    }
}

async fn ask<T: redis::FromRedisValue>(server: &Server, command: &redis::Cmd) -> redis::RedisResult<T> {
    let mut connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
    command.query_async(&mut connection).await
}

/// Where the fences are minted.
async fn home() -> (TestDatabase, Db) {
    let database = TestDatabase::empty(Backend::Sqlite).await.unwrap();
    let db = open(&database).await;
    (database, db)
}

fn options(ttl: Duration, db: &Db) -> LockOptions {
    LockOptions::ttl(ttl).wait(Duration::from_secs(1)).fenced(db)
}

/// What a question about a lock comes to once somebody answers it.
async fn answered<T>(claim: &str, question: impl AsyncFn() -> Result<T, Error>) -> Result<T, Error> {
    let mut answer = None;
    eventually(claim, async || {
        let told = question().await;
        let somebody = !told.as_ref().is_err_and(Error::is_unavailable);
        answer = somebody.then_some(told);
        somebody
    })
    .await;
    answer.unwrap()
}

async fn extended(guard: &LockGuard) -> Result<(), Error> {
    answered("somebody answers who asks for a new lease", async || guard.extend(LONG).await).await
}

async fn writes(db: &Db, holder: &(impl Fenced + Sync)) -> Result<(), Error> {
    db.transaction(async |tx| tx.check_fence(holder).await).await
}

fn token(guard: &LockGuard) -> i64 {
    guard.fence().unwrap().token()
}

async fn what_was_replicated_is_kept(place: Place) {
    let ((_home, db), [by_hand, by_itself]) = (home().await, place.names().await);
    let (holder, other) = (place.locks("holder"), place.locks("other"));
    let long = holder.acquire(&by_hand, options(LONG, &db)).await.unwrap();
    let short = holder.acquire(&by_itself, options(SHORT, &db)).await.unwrap();
    place.until_all_is_replicated().await;

    let killed = Instant::now();
    place.master().kill();
    extended(&long).await.expect("the new master knows of it");
    let replaced = Instant::now();
    println!("renewed over the new master {:?} after the old one was killed", replaced - killed);
    let refused = answered("the other is answered", async || other.try_acquire(&by_hand, options(LONG, &db)).await);
    assert!(refused.await.unwrap().is_none(), "it is held still");
    assert!(long.is_held() && !long.lost().is_cancelled());
    writes(&db, &long).await.unwrap();

    // The failover may have taken as long as a short lease lasts; then its holder has heard of it.
    let kept = tokio::select! {
        () = is_lost_in_time("failover", &short) => false,
        () = eventually("it is renewed", async || short.deadline() >= replaced + SHORT) => true,
    };
    println!("a lease of {SHORT:?} was {}", if kept { "renewed by itself" } else { "lost" });
    if kept {
        let asked =
            answered("the other is answered", async || other.try_acquire(&by_itself, options(SHORT, &db)).await);
        assert!(asked.await.unwrap().is_none() || short.lost().is_cancelled());
    } else {
        let next = is_granted(&other, &by_itself, &db).await;
        assert!(!short.is_held() && token(&next) > token(&short));
        assert!(writes(&db, short.fence().unwrap()).await.unwrap_err().is_stale());
    }
    long.release().await.unwrap();
    assert!(other.try_acquire(&by_hand, options(LONG, &db)).await.unwrap().is_some());
}

async fn what_was_not_replicated_is_lost(place: Place) {
    let ((_home, db), [by_hand, by_itself]) = (home().await, place.names().await);
    let (holder, other) = (place.locks("holder"), place.locks("other"));
    // All is connected and warm: what follows is over before the replicas are missed.
    for name in [&by_hand, &by_itself] {
        holder.acquire(name, options(LONG, &db)).await.unwrap().release().await.unwrap();
    }
    place.cut_off_replicas().await;
    let first = holder.acquire(&by_hand, options(LONG, &db)).await.unwrap();
    let short = holder.acquire(&by_itself, options(SHORT, &db)).await.unwrap();
    place.master().kill();
    place.let_replicas_go_on();
    let hears = tokio::spawn(async move {
        is_lost_in_time("not replicated", &short).await;
        short
    });

    let next = is_granted(&other, &by_hand, &db).await;
    // The lease that nobody knows of any more has not ended: two hold the lock now, and one may write.
    assert!(first.is_held() && next.is_held());
    assert!(token(&next) > token(&first));
    for _ in 0..3 {
        let refused = writes(&db, &first).await.unwrap_err();
        assert!(matches!(refused, Error::Lock(LockError::Stale { .. })), "{refused}");
        writes(&db, &next).await.unwrap();
    }
    // It hears of that when it renews.
    let lost = extended(&first).await.unwrap_err();
    assert!(matches!(lost, Error::Lock(LockError::Lost { .. })), "{lost}");
    assert!(first.lost().is_cancelled() && !first.is_held());
    let short = hears.await.unwrap();

    // The old master comes back with what it had granted: that counts for nothing.
    place.master().restart().await.unwrap();
    extended(&next).await.unwrap();
    let held = answered("the other is answered", async || other.held(10).await).await.unwrap();
    assert_eq!(held.iter().map(|lock| &lock.name).collect::<Vec<_>>(), [&by_hand], "what was lost is not taken again");
    for lost in [first, short] {
        assert!(!lost.is_held() && lost.release().await.unwrap_err().is_stale());
    }
    next.release().await.unwrap();
}

/// The old master is not dead, only silent, and its holder does not notice that it has been replaced.
async fn what_an_old_master_renews_is_refused(place: Place) {
    let ((_home, db), [name, _]) = (home().await, place.names().await);
    let (holder, other) = (place.locks("holder"), place.locks("other"));
    holder.acquire(&name, options(LONG, &db)).await.unwrap().release().await.unwrap();
    place.cut_off_replicas().await;
    let first = holder.acquire(&name, options(LONG, &db)).await.unwrap();
    place.master().pause();
    place.let_replicas_go_on();
    let next = is_granted(&other, &name, &db).await;
    assert!(first.is_held() && token(&next) > token(&first));

    let resumed = Instant::now();
    place.master().resume();
    let mut renewed = 0;
    eventually("the first hears that it has lost it", async || {
        let refused = writes(&db, &first).await.unwrap_err();
        assert!(refused.is_stale(), "{refused}");
        match first.extend(LONG).await {
            Ok(()) => renewed += 1,
            Err(error) => assert!(error.is_stale() || error.is_unavailable(), "{error}"),
        }
        first.lost().is_cancelled()
    })
    .await;
    println!("the old master renewed it {renewed} times, in {:?}", resumed.elapsed());
    assert!(!first.is_held() && next.is_held());
    extended(&next).await.unwrap();
    writes(&db, &next).await.unwrap();
    next.release().await.unwrap();
}

/// The lock, as soon as a server grants it that has taken the old one's place.
async fn is_granted(locks: &Locks, name: &str, db: &Db) -> LockGuard {
    let begun = Instant::now();
    let mut granted = None;
    eventually("it is granted", async || {
        let told =
            answered("somebody answers who asks for it", async || locks.try_acquire(name, options(LONG, db)).await);
        granted = told.await.unwrap();
        granted.is_some()
    })
    .await;
    println!("granted by the new master after {:?}", begun.elapsed());
    granted.unwrap()
}
