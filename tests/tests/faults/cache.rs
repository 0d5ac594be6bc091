//! The cache while its Redis fails: no read fails, what is loaded is right, and the nodes agree again afterwards.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use stanchion::cache::{Cache, CacheOptions, Namespace, NamespaceOptions};
use stanchion::redis::{Options, Redis};
use stanchion_tests::testbed::{Redis as RedisServer, Server, available, eventually};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

/// What a command may take before Redis counts as down.
const TIMEOUT: Duration = Duration::from_millis(300);
const MISSES: usize = 200;

/// The number that is cached, as a database has it; and how often it was read there.
#[derive(Clone, Default)]
struct Origin(Arc<(AtomicU64, AtomicU64)>);

impl Origin {
    async fn read(&self, values: &Namespace<u64>, key: &str) -> u64 {
        let origin = self.clone();
        let load = move || async move {
            let (number, loads) = &*origin.0;
            loads.fetch_add(1, Ordering::SeqCst);
            Ok(number.load(Ordering::SeqCst))
        };
        *values.get_or_load(key, load).await.expect("a read that needs no Redis")
    }

    fn write(&self) -> u64 {
        self.0.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// A node: a cache with connections of its own.
fn node(redis: &Server) -> Namespace<u64> {
    let options = Options { connect_timeout: TIMEOUT, command_timeout: TIMEOUT };
    let redis = Redis::new(redis.url().parse().unwrap(), options);
    let cache = Cache::new(CacheOptions::default(), Some(redis)).unwrap();
    cache.namespace("numbers", NamespaceOptions::ttl(Duration::from_secs(60))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_redis_fails_no_read_and_the_nodes_agree_after_it() {
    let Some(redis) = available(RedisServer::start().await) else { return };
    let (one, two, origin) = (node(&redis), node(&redis), Origin::default());
    for (fault, name) in ["kill -9", "SIGSTOP", "kill -9, all forgotten"].into_iter().enumerate() {
        let number = origin.write();
        one.invalidate("hot").await;
        for node in [&one, &two] {
            eventually("the node has heard of it", async || origin.read(node, "hot").await == number).await;
        }
        let over = Arc::new(AtomicBool::new(false));
        let readers = [&one, &two].map(|node| {
            let (origin, node, over) = (origin.clone(), node.clone(), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut reads, mut longest, mut newest) = (0_u64, Duration::ZERO, 0);
                while !over.load(Ordering::SeqCst) {
                    let begun = Instant::now();
                    newest = origin.read(&node, "hot").await.max(newest);
                    longest = longest.max(begun.elapsed());
                    reads += 1;
                    if reads.is_multiple_of(64) {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
                (reads, longest)
            })
        });

        if fault == 1 {
            redis.pause()
        } else {
            redis.kill()
        }
        let loads = origin.0.1.load(Ordering::SeqCst);
        let mut times = Vec::new();
        for miss in 0..MISSES {
            let begun = Instant::now();
            assert_eq!(origin.read(&one, &format!("cold-{fault}-{miss}")).await, number);
            times.push(begun.elapsed());
        }
        let first = times[0];
        times.sort_unstable();
        // Each was loaded; besides, only what was hot and could no longer be proved to be fresh.
        assert!(origin.0.1.load(Ordering::SeqCst) >= loads + MISSES as u64);
        let newest = origin.write();
        one.invalidate("hot").await;
        assert_eq!(origin.read(&one, "hot").await, newest, "what was invalidated is gone at once where that was said");

        if fault == 1 {
            redis.resume()
        } else {
            redis.restart().await.unwrap()
        }
        let back = Instant::now();
        for node in [&one, &two] {
            eventually("the node reads what is newest", async || origin.read(node, "hot").await == newest).await;
        }
        let agreed = back.elapsed();
        // And nothing older comes back.
        let later = origin.write();
        two.invalidate("hot").await;
        for node in [&two, &one] {
            eventually("what one says, the other hears", async || origin.read(node, "hot").await == later).await;
        }
        over.store(true, Ordering::SeqCst);
        let read = join_all(readers).await.into_iter().map(Result::unwrap);
        let (reads, longest) = read.fold((0, Duration::ZERO), |all, one| (all.0 + one.0, all.1.max(one.1)));
        println!(
            "  {name}: the first of {MISSES} misses took {first:?} (timeout {TIMEOUT:?}), the median {:?}, 99 of 100 at most {:?}; \
             {reads} hot reads, the longest {longest:?}; the nodes agreed {agreed:?} after",
            times[MISSES / 2],
            times[MISSES * 99 / 100],
        );
    }
}

/// Lets a crowd ask for a cold key in ten processes at once; how often it was loaded.
async fn stampede(key: &str, redis: &Server, with_redis: bool) -> usize {
    let mut processes = Vec::new();
    for _ in 0..10 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_actor"));
        command.arg("stampede");
        command.args(["1000", key]).env("REDIS_URL", redis.url());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        processes.push((child, lines));
    }
    for (_, lines) in &mut processes {
        assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
    }
    if !with_redis {
        redis.kill();
    }
    for (child, _) in &mut processes {
        child.stdin.as_mut().unwrap().write_all(b"go\n").await.unwrap();
    }
    let counts = processes.into_iter().map(async |(mut child, mut lines)| {
        let (mut loads, mut done) = (0, false);
        while let Some(line) = lines.next_line().await.unwrap() {
            loads += usize::from(line == "load");
            done |= line == "done value";
        }
        assert!(child.wait().await.unwrap().success() && done);
        loads
    });
    join_all(counts).await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_of_a_thousand_callers_load_a_cold_key_once() {
    let Some(redis) = available(RedisServer::start().await) else { return };
    let (with, without) = (stampede("a", &redis, true).await, stampede("b", &redis, false).await);
    println!("  10 processes of 1,000 callers each: {with} load; {without} with Redis down");
    assert_eq!(with, 1);
    assert!(without <= 10, "{without}");
}
