//! Locks in a database: leases in rows on every engine, and sessions where the engine has locks for them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use sea_orm::{ConnectionTrait, Statement};
use stanchion::db::Db;
use stanchion::lock::{Attempt, LockError, LockName, LockStore, Owner, SessionStore, TableStore};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::{Backend, Proxy, TestDatabase, eventually};
use tokio::time::timeout;

use crate::{open, settings};

on_every_backend! { empty:
    a_free_lock_takes_one_round_trip,
    who_was_not_heard_of_for_a_lease_is_followed_by_the_next,
    who_renews_is_not_followed,
    who_comes_back_is_another_holder,
    who_waits_in_one_process_asks_in_turn,
    repeated_attempts_without_a_wait_take_over_too,
    what_was_taken_over_is_neither_extended_nor_released_by_who_had_it,
    who_asks_again_is_granted_again,
    contenders_on_two_nodes_lose_no_update,
    attempts_that_are_dropped_leave_nothing,
    a_released_lock_is_handed_over,
    what_is_held_is_listed,
    a_session_that_is_cut_loses_its_lock,
    a_wait_that_is_dropped_holds_nothing,
    a_session_that_does_not_answer_holds_up_no_release,
}

const LONG: Duration = Duration::from_secs(60);

fn name(text: &str) -> LockName {
    LockName::try_from(text).unwrap()
}

fn owner() -> Owner {
    Owner::new("test")
}

fn granted(attempt: Result<Attempt, LockError>) -> bool {
    matches!(attempt.unwrap(), Attempt::Granted { .. })
}

async fn table(database: &TestDatabase) -> (Db, TableStore) {
    let db = open(database).await;
    (db.clone(), TableStore::new(db))
}

/// Two nodes for each kind of store that the database has.
async fn nodes(database: &TestDatabase) -> Vec<[Arc<dyn LockStore>; 2]> {
    let rows: [Arc<dyn LockStore>; 2] = [Arc::new(table(database).await.1), Arc::new(table(database).await.1)];
    if database.backend() == Backend::Sqlite {
        return vec![rows];
    }
    vec![rows, [Arc::new(sessions(database.url(), database)), Arc::new(sessions(database.url(), database))]]
}

/// Sessions of the server at `url`; the database's name keeps tests apart where locks are the whole server's.
fn sessions(url: &str, database: &TestDatabase) -> SessionStore {
    let mut settings = settings(database);
    settings.url = url.parse().unwrap();
    SessionStore::new(&settings, &database.name()).unwrap()
}

async fn a_free_lock_takes_one_round_trip(database: TestDatabase) {
    let (db, store) = table(&database).await;
    let (name, owner) = (name("a"), owner());
    let before = db.round_trips();
    assert!(granted(store.acquire(&name, &owner, LONG, Duration::ZERO).await));
    assert_eq!(db.round_trips() - before, 1);
    assert!(store.extend(&name, &owner, LONG).await.unwrap());
    assert_eq!(db.round_trips() - before, 2);
    assert!(store.release(&name, &owner).await.unwrap());
    assert_eq!(db.round_trips() - before, 3);
}

async fn who_was_not_heard_of_for_a_lease_is_followed_by_the_next(database: TestDatabase) {
    let ((_, dead), (_, next)) = (table(&database).await, table(&database).await);
    let (name, ttl) = (name("a"), Duration::from_millis(300));
    assert!(granted(dead.acquire(&name, &owner(), ttl, Duration::ZERO).await));
    let asked = Instant::now();
    let Attempt::Granted { since } = next.acquire(&name, &owner(), ttl, LONG).await.unwrap() else {
        panic!("not granted");
    };
    println!("{}: taken over {:?} after the first look at a lease of {ttl:?}", database.backend(), asked.elapsed());
    assert!(since.duration_since(asked) >= ttl, "not before a whole lease was seen to pass");
}

async fn who_renews_is_not_followed(database: TestDatabase) {
    let ((_, holder), (_, next)) = (table(&database).await, table(&database).await);
    let (name, owned, ttl) = (name("a"), owner(), Duration::from_secs(1));
    assert!(granted(holder.acquire(&name, &owned, ttl, Duration::ZERO).await));
    let waits = tokio::spawn({
        let name = name.clone();
        async move { granted(next.acquire(&name, &owner(), ttl, ttl * 2).await) }
    });
    while !waits.is_finished() {
        assert!(holder.extend(&name, &owned, ttl).await.unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!waits.await.unwrap());
}

async fn who_comes_back_is_another_holder(database: TestDatabase) {
    let ((_, holder), (_, watcher)) = (table(&database).await, table(&database).await);
    let (name, owned, ttl) = (name("a"), owner(), Duration::from_millis(300));
    // As one is granted whose first grant came too late, and who asked again.
    for _ in 0..2 {
        assert!(granted(holder.acquire(&name, &owned, ttl, Duration::ZERO).await));
        let first = Instant::now();
        assert!(!granted(watcher.acquire(&name, &owner(), ttl, Duration::ZERO).await) || first.elapsed() > ttl);
        assert!(holder.release(&name, &owned).await.unwrap());
        tokio::time::sleep(ttl + ttl / 2).await;
    }
}

async fn who_waits_in_one_process_asks_in_turn(database: TestDatabase) {
    const CROWD: u64 = 500;
    let (db, store) = table(&database).await;
    let (name, holder) = (name("a"), owner());
    assert!(granted(store.acquire(&name, &holder, LONG, Duration::ZERO).await));
    let before = db.round_trips();
    let crowd = join_all((0..CROWD).map(|_| {
        let (store, name) = (store.clone(), name.clone());
        async move { granted(store.acquire(&name, &owner(), LONG, Duration::from_millis(200)).await) }
    }));
    assert!(crowd.await.into_iter().all(|granted| !granted));
    let asked = db.round_trips() - before;
    assert!(asked < CROWD / 2, "{asked} round trips for {CROWD} who wait");
}

async fn repeated_attempts_without_a_wait_take_over_too(database: TestDatabase) {
    let ((_, dead), (_, next)) = (table(&database).await, table(&database).await);
    let (name, ttl) = (name("a"), Duration::from_millis(100));
    assert!(granted(dead.acquire(&name, &owner(), ttl, Duration::ZERO).await));
    eventually("it is taken over", async || granted(next.acquire(&name, &owner(), ttl, Duration::ZERO).await)).await;
}

async fn what_was_taken_over_is_neither_extended_nor_released_by_who_had_it(database: TestDatabase) {
    let ((_, old), (_, new)) = (table(&database).await, table(&database).await);
    let (name, first, second) = (name("a"), owner(), owner());
    assert!(granted(old.acquire(&name, &first, Duration::from_millis(50), Duration::ZERO).await));
    assert!(granted(new.acquire(&name, &second, LONG, LONG).await));
    assert!(!old.extend(&name, &first, LONG).await.unwrap());
    assert!(!old.release(&name, &first).await.unwrap());
    assert!(new.extend(&name, &second, LONG).await.unwrap());
    assert!(new.release(&name, &second).await.unwrap());
    assert!(!new.release(&name, &second).await.unwrap());
}

async fn who_asks_again_is_granted_again(database: TestDatabase) {
    for [store, other] in nodes(&database).await {
        let (name, owned) = (name("a"), owner());
        for _ in 0..3 {
            assert!(granted(store.acquire(&name, &owned, LONG, Duration::ZERO).await));
        }
        assert!(!granted(other.acquire(&name, &owner(), LONG, Duration::ZERO).await));
        assert!(store.release(&name, &owned).await.unwrap());
        assert!(granted(other.acquire(&name, &owner(), LONG, Duration::ZERO).await));
    }
}

async fn contenders_on_two_nodes_lose_no_update(database: TestDatabase) {
    let db = open(&database).await;
    db.writer().execute_unprepared("CREATE TABLE counters (n integer)").await.unwrap();
    db.writer().execute_unprepared("INSERT INTO counters VALUES (0)").await.unwrap();
    let counter = async || -> i32 {
        let statement = Statement::from_string(db.backend(), "SELECT n FROM counters");
        db.writer().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
    };
    let mut expected = 0;
    for stores in nodes(&database).await {
        let (tasks, rounds) = (6, 10);
        join_all((0..tasks).map(|task| {
            let (store, db, counter) = (Arc::clone(&stores[task % 2]), &db, &counter);
            async move {
                for _ in 0..rounds {
                    let owned = owner();
                    assert!(granted(store.acquire(&name("counter"), &owned, LONG, LONG).await));
                    let next = counter().await + 1;
                    let sql = format!("UPDATE counters SET n = {next}");
                    db.writer().execute_unprepared(&sql).await.unwrap();
                    assert!(store.release(&name("counter"), &owned).await.unwrap());
                }
            }
        }))
        .await;
        expected += i32::try_from(tasks * rounds).unwrap();
        assert_eq!(counter().await, expected);
    }
}

async fn attempts_that_are_dropped_leave_nothing(database: TestDatabase) {
    for [store, other] in nodes(&database).await {
        for _ in 0..200 {
            let (name, owned) = (name("a"), owner());
            let after = Duration::from_micros(fastrand::u64(0..3_000));
            // Granted, refused or dropped on the way: who asked gives it back.
            drop(timeout(after, store.acquire(&name, &owned, LONG, Duration::ZERO)).await);
            store.release(&name, &owned).await.unwrap();
        }
        eventually("nothing is held", async || {
            let owned = owner();
            let free = granted(other.acquire(&name("a"), &owned, LONG, Duration::ZERO).await);
            other.release(&name("a"), &owned).await.unwrap();
            free
        })
        .await;
    }
}

async fn a_released_lock_is_handed_over(database: TestDatabase) {
    for [store, other] in nodes(&database).await {
        let mut times = Vec::new();
        for _ in 0..20 {
            let (name, first, second) = (name("a"), owner(), owner());
            assert!(granted(store.acquire(&name, &first, LONG, Duration::ZERO).await));
            let waits = tokio::spawn({
                let (other, name, second) = (Arc::clone(&other), name.clone(), second.clone());
                async move {
                    assert!(granted(other.acquire(&name, &second, LONG, LONG).await));
                    Instant::now()
                }
            });
            tokio::time::sleep(Duration::from_millis(15)).await;
            let released = Instant::now();
            assert!(store.release(&name, &first).await.unwrap());
            times.push(waits.await.unwrap().saturating_duration_since(released));
            assert!(other.release(&name, &second).await.unwrap());
        }
        times.sort();
        println!(
            "{} {}: handed over in {:?} (median of 20), {:?} at most",
            database.backend(),
            store.kind(),
            times[10],
            times[19]
        );
    }
}

async fn what_is_held_is_listed(database: TestDatabase) {
    for [store, _] in nodes(&database).await {
        assert!(store.held(10).await.unwrap().is_empty());
        for text in ["b", "a", "c"] {
            assert!(granted(store.acquire(&name(text), &owner(), LONG, Duration::ZERO).await));
        }
        let held = store.held(2).await.unwrap();
        assert_eq!(held.len(), 2);
        let held = store.held(10).await.unwrap();
        let names: Vec<&str> = held.iter().map(|lock| lock.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(held.iter().all(|lock| lock.holder == "test"), "{held:?}");
        assert!(held.iter().all(|lock| lock.remaining.is_none_or(|left| left <= LONG && left > LONG / 2)), "{held:?}");
    }
}

async fn a_session_that_is_cut_loses_its_lock(database: TestDatabase) {
    if database.backend() == Backend::Sqlite {
        let refused = SessionStore::new(&settings(&database), "").unwrap_err();
        assert!(matches!(refused, LockError::Options(_)), "{refused:?}");
        return;
    }
    let port = url::Url::parse(database.url()).unwrap().port().unwrap();
    let proxy = Proxy::to(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap();
    let store = sessions(&proxy.url(database.url()).unwrap(), &database);
    let other = sessions(database.url(), &database);
    let (name, owned) = (name("a"), owner());
    assert!(granted(store.acquire(&name, &owned, LONG, Duration::ZERO).await));
    assert!(store.extend(&name, &owned, LONG).await.unwrap());

    proxy.cut().await;
    assert!(!store.extend(&name, &owned, LONG).await.unwrap());
    // The server frees what the session held, and whoever waits gets it.
    assert!(granted(other.acquire(&name, &owner(), LONG, LONG).await));
    proxy.restore().await.unwrap();
    assert!(!store.extend(&name, &owned, LONG).await.unwrap(), "it is never taken again");
    let held = store.held(10).await.unwrap();
    // MariaDB tells nobody what others hold.
    assert_eq!(held.len(), usize::from(database.backend() == Backend::Postgres), "{held:?}");
    assert!(!store.release(&name, &owned).await.unwrap());
    assert!(!granted(store.acquire(&name, &owner(), LONG, Duration::ZERO).await), "the store is of use again");
}

async fn a_wait_that_is_dropped_holds_nothing(database: TestDatabase) {
    for [store, other] in nodes(&database).await {
        let (name, owned) = (name("a"), owner());
        assert!(granted(store.acquire(&name, &owned, LONG, Duration::ZERO).await));
        for _ in 0..3 {
            let gone = owner();
            let waited =
                timeout(Duration::from_millis(100), other.acquire(&name, &gone, LONG, Duration::from_secs(2))).await;
            assert!(waited.is_err());
            other.release(&name, &gone).await.unwrap();
        }
        assert!(store.release(&name, &owned).await.unwrap());
        assert!(granted(other.acquire(&name, &owner(), LONG, LONG).await));
    }
}

async fn a_session_that_does_not_answer_holds_up_no_release(database: TestDatabase) {
    if database.backend() == Backend::Sqlite {
        return;
    }
    let port = url::Url::parse(database.url()).unwrap().port().unwrap();
    let proxy = Proxy::to(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.unwrap();
    let store = Arc::new(sessions(&proxy.url(database.url()).unwrap(), &database));
    let (name, owned, hour) = (name("a"), owner(), Duration::from_secs(3_600));
    assert!(granted(store.acquire(&name, &owned, hour, Duration::ZERO).await));
    proxy.stall();
    let mut proof = Box::pin(store.extend(&name, &owned, hour));
    assert!(timeout(Duration::from_millis(100), &mut proof).await.is_err());
    let released = timeout(Duration::from_secs(120), store.release(&name, &owned)).await.expect("it does not wait");
    assert!(!released.unwrap(), "nobody knows");
}
