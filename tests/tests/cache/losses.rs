//! A Redis that loses what it was told: all of it, some of it, or all since an old dump. What was invalidated stays so.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use stanchion::cache::{Cache, Namespace, Target, Told};
use stanchion_tests::testbed::{Redis, Server, available, eventually};
use tokio::time::sleep;

use crate::nodes::{link, node, numbers, prefix, ready};
use crate::work::Work;

/// A server that keeps nothing when it goes down, but for what was saved.
async fn forgetful() -> Option<Server> {
    available(Redis::start_with(&[("appendonly", "no")]).await)
}

async fn three(server: &Server) -> [Cache; 3] {
    let prefix = prefix();
    let nodes = [(); 3].map(|()| node(server.url(), &prefix));
    for node in &nodes {
        ready(node).await;
    }
    nodes
}

/// What a restart takes away is loaded again, and nothing is older for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_without_its_data_is_filled_anew() {
    let Some(server) = forgetful().await else { return };
    let nodes = three(&server).await;
    let work = Work::over(&nodes);
    let seen = work.during(async {
        for _ in 0..3 {
            sleep(Duration::from_millis(300)).await;
            server.kill();
            sleep(Duration::from_millis(200)).await;
            server.restart().await.unwrap();
            let back = Instant::now();
            for node in &nodes {
                ready(node).await;
            }
            println!("  restarted without data: every node used it again {:?} after it answered", back.elapsed());
        }
    });
    seen.await.check("restarted without data");
}

/// Where a server keeps its dump.
async fn dump(link: &mut MultiplexedConnection) -> PathBuf {
    redis::cmd("SAVE").query_async::<()>(link).await.unwrap();
    let folder: Vec<String> = redis::cmd("CONFIG").arg("GET").arg("dir").query_async(link).await.unwrap();
    PathBuf::from(&folder[1]).join("dump.rdb")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_with_an_old_dump_again_and_again_brings_nothing_back() {
    let Some(server) = forgetful().await else { return };
    let nodes = three(&server).await;
    let work = Work::over(&nodes);
    let seen = work.during(async {
        for _ in 0..3 {
            // What is in this dump is invalidated before the server comes back with it.
            dump(&mut link(server.url()).await).await;
            sleep(Duration::from_millis(400)).await;
            server.kill();
            server.restart().await.unwrap();
            for node in &nodes {
                ready(node).await;
            }
        }
    });
    seen.await.check("restarted with an old dump");
}

async fn read(numbers: &Namespace<u64>, key: &str, value: u64) -> u64 {
    *numbers.get_or_load_tagged(key, &["tag"], move || async move { Ok(value) }).await.unwrap()
}

/// The dump is older than the nodes, and whoever comes first is told by nobody what has happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_node_reads_nothing_old_from_a_server_that_was_restored() {
    let ways = [Target::key("numbers", "key"), Target::tag("tag"), Target::namespace("numbers"), Target::All];
    for (turn, way) in (0..).step_by(10).zip(ways) {
        let Some(server) = forgetful().await else { return };
        let (prefix, old) = (prefix(), turn + 1);
        let first = node(server.url(), &prefix);
        ready(&first).await;
        assert_eq!(read(&numbers(&first), "key", old).await, old);
        let mut connection = link(server.url()).await;
        let path = dump(&mut connection).await;
        let saved = std::fs::read(&path).unwrap();

        assert_eq!(first.invalidate([way.clone()]).await, Told::Everywhere);
        assert_eq!(read(&numbers(&first), "key", old + 1).await, old + 1);
        drop(first);
        // Somebody restores it from the backup, while nobody is there.
        redis::cmd("SAVE").query_async::<()>(&mut connection).await.unwrap();
        server.kill();
        std::fs::write(&path, saved).unwrap();
        server.restart().await.unwrap();
        let held: u64 = redis::cmd("EXISTS")
            .arg(format!("{prefix}:{{numbers:key}}:v"))
            .query_async(&mut link(server.url()).await)
            .await
            .unwrap();
        assert_eq!(held, 1, "the old value is there again");

        let second = node(server.url(), &prefix);
        assert_eq!(numbers(&second).get("key").await.unwrap(), None, "{way:?}");
        ready(&second).await;
        assert_eq!(read(&numbers(&second), "key", old + 2).await, old + 2, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flushing_the_server_costs_loads_and_nothing_else() {
    let Some(server) = available(Redis::start().await) else { return };
    let nodes = three(&server).await;
    let work = Work::over(&nodes);
    let seen = work.during(async {
        let mut link = link(server.url()).await;
        for _ in 0..100 {
            redis::cmd("FLUSHALL").query_async::<()>(&mut link).await.unwrap();
            sleep(Duration::from_millis(fastrand::u64(1..40))).await;
        }
    });
    seen.await.check("flushed a hundred times");
}

#[tokio::test(flavor = "multi_thread")]
async fn losing_any_of_the_keys_costs_loads_and_nothing_else() {
    let Some(server) = available(Redis::start().await) else { return };
    let nodes = three(&server).await;
    let mut lost = 0_u64;
    let work = Work::over(&nodes);
    let seen = work.during(async {
        let mut link = link(server.url()).await;
        for _ in 0..200 {
            let keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query_async(&mut link).await.unwrap();
            let share = fastrand::f64();
            let keys: Vec<_> = keys.into_iter().filter(|_| fastrand::f64() < share).collect();
            if !keys.is_empty() {
                lost += redis::cmd("DEL").arg(keys).query_async::<u64>(&mut link).await.unwrap();
            }
            sleep(Duration::from_millis(fastrand::u64(1..20))).await;
        }
    });
    seen.await.check("any of the keys deleted");
    println!("  {lost} keys were deleted");
    assert!(lost > 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_any_of_the_keys_costs_loads_and_nothing_else() {
    let settings = [("maxmemory", "4mb"), ("maxmemory-policy", "allkeys-random"), ("appendonly", "no")];
    let Some(server) = available(Redis::start_with(&settings).await) else { return };
    let nodes = three(&server).await;
    let shared = ["seq", "server", "root"].map(|part| format!("{}:{{backplane}}:{part}", nodes[0].options().prefix));
    let mut missed = [0; 3];
    let work = Work::over(&nodes);
    let seen = work.during(async {
        let mut link = link(server.url()).await;
        let end = Instant::now() + Duration::from_secs(3);
        // So much is written by others that every key of ours has to make room again and again.
        eventually("each of the keys that all share was evicted", async || {
            let mut others = redis::pipe();
            for _ in 0..500 {
                others.set(fastrand::u64(..), vec![0_u8; 4_096]).ignore();
            }
            others.query_async::<()>(&mut link).await.unwrap();
            for (key, missed) in shared.iter().zip(&mut missed) {
                let held: u64 = redis::cmd("EXISTS").arg(key).query_async(&mut link).await.unwrap();
                *missed += 1 - held;
            }
            Instant::now() > end && missed.iter().all(|missed| *missed > 0)
        })
        .await;
        // The nodes come to rest on a server that has room.
        redis::cmd("FLUSHALL").query_async::<()>(&mut link).await.unwrap();
    });
    seen.await.check("evicted at random");
    let stats: String = redis::cmd("INFO").arg("stats").query_async(&mut link(server.url()).await).await.unwrap();
    let evicted = stats.lines().find_map(|line| line.strip_prefix("evicted_keys:")).unwrap();
    println!("  {evicted} keys were evicted; of the shared ones seq, server and root were missing {missed:?} times");
    eventually("a node that is there can go on", async || {
        for node in &nodes {
            ready(node).await;
        }
        true
    })
    .await;
}

/// A dump is restored into a server that runs on: not even its run tells that anything happened.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_agree_after_a_subset_of_old_keys_was_restored_in_place() {
    let Some(server) = available(Redis::start().await) else { return };
    let prefix = prefix();
    let (one, two) = (node(server.url(), &prefix), node(server.url(), &prefix));
    ready(&one).await;
    ready(&two).await;
    let mut link = link(server.url()).await;
    let value = format!("{prefix}:{{numbers:key}}:v");
    for (turn, way) in (0..).step_by(10).zip([Target::tag("tag"), Target::namespace("numbers"), Target::All]) {
        assert_eq!(read(&numbers(&one), "key", turn).await, turn);
        let old: Vec<u8> = redis::cmd("GET").arg(&value).query_async(&mut link).await.unwrap();
        assert_eq!(one.invalidate([way.clone()]).await, Told::Everywhere);
        redis::cmd("SET").arg(&value).arg(old).arg("PX").arg(60_000).query_async::<()>(&mut link).await.unwrap();
        // The value is there again, and was loaded under a generation that is over.
        assert_eq!(read(&numbers(&one), "key", turn + 1).await, turn + 1, "{way:?}");
        eventually("the other node agrees", async || read(&numbers(&two), "key", turn + 2).await == turn + 1).await;
        assert_eq!(one.invalidate([Target::All]).await, Told::Everywhere);
    }
}
