//! Leader election: one leads at a time, who loses the lock steps down, and another leads.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use sea_orm::{ConnectionTrait, Statement, TransactionSession, TransactionTrait};
use stanchion::Error;
use stanchion::config::RedisUrl;
use stanchion::db::{Db, Options as DbOptions};
use stanchion::lock::{InProcess, Leader, LockName, LockOptions, LockStore, Locks, RedisLocks, TableStore, Term, mint};
use stanchion::redis::{Options, Redis};
use stanchion_tests::testbed::{Backend, Proxy, TestDatabase, eventually, redis_url};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{open, settings};

/// So long that what happens before it is over did not wait for it.
const LONG: Duration = Duration::from_secs(600);

/// A node's locks in Redis, over a connection of its own.
fn over_redis(url: &str, prefix: &str) -> Arc<dyn LockStore> {
    let url: RedisUrl = url.parse().unwrap();
    let options = Options { connect_timeout: Duration::from_secs(2), command_timeout: Duration::from_millis(500) };
    Arc::new(RedisLocks::new(Redis::new(url, options), prefix))
}

/// Nodes over one store: in the process, in rows of a database, and in Redis where there is one.
async fn stores(database: &TestDatabase) -> Vec<(&'static str, Vec<Arc<dyn LockStore>>)> {
    let shared: Arc<dyn LockStore> = Arc::new(InProcess::new());
    let mut stores = vec![("in the process", vec![Arc::clone(&shared), Arc::clone(&shared), shared])];
    let mut rows: Vec<Arc<dyn LockStore>> = Vec::new();
    for _ in 0..3 {
        rows.push(Arc::new(TableStore::new(open(database).await)));
    }
    stores.push(("in rows", rows));
    if let Some(url) = redis_url() {
        let prefix = Uuid::new_v4().simple().to_string();
        stores.push(("in Redis", (0..3).map(|_| over_redis(&url, &prefix)).collect()));
    }
    stores
}

/// Writes as a leader does: refused, once a newer one has been there.
async fn write(db: &Db, term: &Term, candidate: usize) -> Result<(), Error> {
    db.transaction(async |tx| {
        tx.check_fence(term).await?;
        let token = term.fence().map_or(0, stanchion::lock::Fence::token);
        let sql = "INSERT INTO led (fence, candidate) VALUES ($1, $2)";
        let values = [token.into(), i64::try_from(candidate).unwrap_or(0).into()];
        tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_at_a_time_by_the_order_of_fences() {
    const TERMS: i64 = 12;
    let home = TestDatabase::empty(Backend::Sqlite).await.unwrap();
    for (place, stores) in stores(&home).await {
        let database = TestDatabase::empty(Backend::Sqlite).await.unwrap();
        let db = open(&database).await;
        let table =
            "CREATE TABLE led (n INTEGER PRIMARY KEY AUTOINCREMENT, fence BIGINT NOT NULL, candidate BIGINT NOT NULL)";
        db.writer().execute_unprepared(table).await.unwrap();
        let enough = CancellationToken::new();
        let candidates = stores.into_iter().enumerate().map(|(candidate, store)| {
            let (db, enough) = (db.clone(), enough.clone());
            tokio::spawn(async move {
                let options = LockOptions::ttl(Duration::from_millis(300)).fenced(&db);
                let leader = Leader::new(&Locks::new(store, format!("node-{candidate}")), "work", options).unwrap();
                let body = |term: Term| {
                    let (db, enough) = (db.clone(), enough.clone());
                    async move {
                        // Some writes each, then it is another's turn.
                        for _ in 0..3 {
                            if let Err(refused) = write(&db, &term, candidate).await {
                                assert!(refused.is_stale(), "{refused}");
                            }
                        }
                        if term.fence().unwrap().token() >= TERMS {
                            enough.cancel();
                        }
                    }
                };
                leader.run(enough.cancelled(), body).await.unwrap();
                assert!(leader.term().is_none());
            })
        });
        for done in join_all(candidates).await {
            done.unwrap();
        }
        let rows = Statement::from_string(db.backend(), "SELECT fence, candidate FROM led ORDER BY n");
        let rows: Vec<(i64, i64)> = db.writer().query_all_raw(rows).await.unwrap().iter().map(row).collect();
        assert!(rows.is_sorted_by_key(|(fence, _)| *fence), "{place}: {rows:?}");
        let mut terms = rows.clone();
        terms.dedup();
        let fences: Vec<i64> = terms.iter().map(|(fence, _)| *fence).collect();
        assert!(fences.is_sorted_by(|one, next| one < next), "{place}: two led under one fence: {terms:?}");
        let mut leaders: Vec<i64> = terms.iter().map(|(_, candidate)| *candidate).collect();
        leaders.sort_unstable();
        leaders.dedup();
        println!("  {place}: {} writes of {} terms by {} candidates", rows.len(), terms.len(), leaders.len());
        assert!(leaders.len() > 1, "{place}: one candidate led all the time");
    }
}

fn row(row: &sea_orm::QueryResult) -> (i64, i64) {
    (row.try_get_by(0).unwrap(), row.try_get_by(1).unwrap())
}

/// A candidate that campaigns in the background.
struct Campaign {
    leader: Leader,
    stop: CancellationToken,
    running: tokio::task::JoinHandle<Result<(), Error>>,
}

impl Campaign {
    fn start(locks: &Locks, options: LockOptions) -> Self {
        let (leader, stop) = (Leader::new(locks, "work", options).unwrap(), CancellationToken::new());
        let running = tokio::spawn({
            let (leader, stop) = (leader.clone(), stop.clone());
            async move { leader.campaign(stop.cancelled()).await }
        });
        Self { leader, stop, running }
    }

    async fn leads(&self) -> Term {
        let mut standing = self.leader.standing();
        let leads = standing.wait_for(|term| term.as_ref().is_some_and(Term::is_leading));
        let term = tokio::time::timeout(Duration::from_secs(60), leads).await.expect("it leads").unwrap().clone();
        term.unwrap()
    }

    async fn end(self) {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_resigns_ends_or_is_dropped_hands_over_at_once() {
    let home = TestDatabase::empty(Backend::Sqlite).await.unwrap();
    for (_, stores) in stores(&home).await {
        let [one, two, three] = [0, 1, 2].map(|node| Locks::new(Arc::clone(&stores[node]), format!("node-{node}")));
        let options = || LockOptions::ttl(LONG).wait(LONG);
        let first = Campaign::start(&one, options());
        let term = first.leads().await;
        let second = Campaign::start(&two, options());
        assert!(second.leader.term().is_none());
        term.resign();
        let next = second.leads().await;
        assert!(!term.is_leading() && term.over().is_cancelled() && first.leader.term().is_none());
        // It ends.
        let third = Campaign::start(&three, options());
        second.end().await;
        assert!(!next.is_leading());
        let next = third.leads().await;
        // It is dropped.
        let fourth = Campaign::start(&two, options());
        third.running.abort();
        next.over().cancelled().await;
        fourth.leads().await;
        for campaign in [first, fourth] {
            campaign.end().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_steps_down_and_another_leads() {
    let Some(url) = redis_url() else { return };
    let database = TestDatabase::empty(Backend::Sqlite).await.unwrap();
    let db = open(&database).await;
    let port = url::Url::parse(&url).unwrap().port().unwrap_or(6379);
    let proxy = Proxy::to((Ipv4Addr::LOCALHOST, port)).await.unwrap();
    let prefix = Uuid::new_v4().simple().to_string();
    let options = || LockOptions::ttl(Duration::from_secs(1)).fenced(&db);
    let cut_off = Locks::new(over_redis(&proxy.url(&url).unwrap(), &prefix), "node-1");
    let leader = Leader::new(&cut_off, "work", options()).unwrap();
    let stop = CancellationToken::new();
    let dropped = Arc::new(AtomicBool::new(false));
    let running = tokio::spawn({
        let (leader, stop, dropped) = (leader.clone(), stop.clone(), Arc::clone(&dropped));
        async move {
            let body = |_| {
                let mark = Mark(Arc::clone(&dropped));
                async move {
                    let _mark = mark;
                    std::future::pending().await
                }
            };
            leader.run(stop.cancelled(), body).await
        }
    });
    let mut standing = leader.standing();
    let term = standing.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    let other = Campaign::start(&Locks::new(over_redis(&url, &prefix), "node-2"), options());

    proxy.cut().await;
    let cut = Instant::now();
    term.over().cancelled().await;
    let known = Instant::now();
    println!("  stepped down {:?} before its deadline", term.deadline().saturating_duration_since(known));
    eventually("its work is dropped", async || dropped.load(Ordering::SeqCst)).await;
    let next = other.leads().await;
    println!("  another led {:?} after the cut, of a ttl of 1 s", cut.elapsed());
    assert!(next.fence().unwrap().token() > term.fence().unwrap().token());
    db.transaction(async |tx| tx.check_fence(&next).await).await.unwrap();
    let refused = db.transaction(async |tx| tx.check_fence(&term).await).await.unwrap_err();
    assert!(refused.is_stale(), "{refused}");

    // It campaigns again, and does not take the lead from the other.
    proxy.restore().await.unwrap();
    assert!(next.is_leading());
    other.end().await;
    let again = standing.wait_for(Option::is_some).await.unwrap().clone().unwrap();
    assert!(again.number() > term.number() && again.fence().unwrap().token() > next.fence().unwrap().token());
    stop.cancel();
    running.await.unwrap().unwrap();
}

/// Says when it is dropped.
struct Mark(Arc<AtomicBool>);

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_outwaits_the_last_writes_of_the_leader_before() {
    for backend in [Backend::Postgres, Backend::MariaDb] {
        let Some(database) = TestDatabase::migrated(backend).await else { continue };
        let mut settings = settings(&database);
        settings.statement_timeout = Some(Duration::from_millis(300));
        let db = Db::connect("test", &settings, DbOptions::default()).await.unwrap();
        // It has lost its lock, and is in the middle of a transaction.
        let old = mint(&db, &LockName::try_from("work").unwrap()).await.unwrap();
        let writes = db.writer().begin().await.unwrap();
        writes.check_fence(&old).await.unwrap();
        let before = db.round_trips();
        let next =
            Campaign::start(&Locks::new(Arc::new(InProcess::new()), "node-1"), LockOptions::ttl(LONG).fenced(&db));
        eventually("its first fence did not come in time", async || {
            next.running.is_finished() || db.round_trips() >= before + 2
        })
        .await;
        assert!(!next.running.is_finished(), "it campaigns");
        writes.commit().await.unwrap();
        assert!(next.leads().await.fence().unwrap().token() > old.token());
        next.end().await;
    }
}
