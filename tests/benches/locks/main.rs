//! Locks: acquired and given back by one who has them to himself, and handed over to one who waits.
//!
//! In Redis the peer is the least that is right, by hand over the crate `redis`: `SET NX PX` with an owner, and a script
//! that compares it and deletes. In the process it is a map of tokio's mutexes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use serde_json::json;
use stanchion::lock::{InProcess, LockOptions, Locks, RedisLocks};
use stanchion::redis::{Options as RedisOptions, Redis};
use stanchion_tests::bench::{Arguments, Entrant, Goal, Report, take_turns};
use stanchion_tests::testbed::redis_url;

const TTL: Duration = Duration::from_secs(10);
/// Locks of a turn.
const IN_REDIS: usize = 100;
const IN_PROCESS: usize = 5_000;
const ROUNDS: usize = 200;
const NAMES: usize = 1_000;
const HAND_OVERS: usize = 2_000;

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.common.is_benchmark() {
        return Ok(());
    }
    let rounds = options.common.rounds.unwrap_or(ROUNDS);
    let mut report = Report::new("locks", "microseconds to acquire and give back", options.common.json);
    in_redis(&mut report, rounds).await?;
    in_process(&mut report, rounds).await?;
    report.print();
    hand_over(options.common.json).await
}

fn names() -> Arc<[String]> {
    (0..NAMES).map(|n| format!("bench-{}:order:{n}", std::process::id())).collect()
}

fn ours(name: &'static str, locks: Locks, count: usize) -> Entrant<'static> {
    let names = names();
    Entrant::new(name, move || {
        let (locks, names) = (locks.clone(), Arc::clone(&names));
        async move {
            let began = Instant::now();
            for n in 0..count {
                let guard = locks.acquire(&names[n % NAMES], LockOptions::ttl(TTL)).await?;
                guard.release().await?;
            }
            Ok(per_lock(began, count))
        }
    })
}

async fn in_redis(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let url = redis_url().context("no Redis")?;
    let peer = redis::Client::open(url.as_str())?.get_multiplexed_async_connection().await?;
    let names = names();
    let release = Arc::new(redis::Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end",
    ));
    let theirs = Entrant::new("SET NX PX, compare and delete", move || {
        let (mut peer, names, release) = (peer.clone(), Arc::clone(&names), Arc::clone(&release));
        async move {
            let began = Instant::now();
            for n in 0..IN_REDIS {
                let (key, owner) = (&names[n % NAMES], uuid::Uuid::new_v4().simple().to_string());
                let set = redis::cmd("SET").arg(key).arg(&owner).arg("NX").arg("PX").arg(10_000).to_owned();
                anyhow::ensure!(set.query_async::<Option<String>>(&mut peer).await?.is_some(), "it is free");
                let deleted: u32 = release.key(key).arg(&owner).invoke_async(&mut peer).await?;
                anyhow::ensure!(deleted == 1, "it is ours");
            }
            Ok(per_lock(began, IN_REDIS))
        }
    });
    let locks = Locks::new(Arc::new(redis_store()?), "bench");
    let samples = take_turns(rounds, vec![ours("ours", locks, IN_REDIS), theirs]).await?;
    report.compare("Redis", &samples[0], &samples[1], Goal::AtMost(1.1));
    Ok(())
}

async fn in_process(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let names = names();
    let peer: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>> = Arc::default();
    let theirs = Entrant::new("tokio's mutexes in a map", move || {
        let (peer, names) = (Arc::clone(&peer), Arc::clone(&names));
        async move {
            let began = Instant::now();
            for n in 0..IN_PROCESS {
                let lock = {
                    let mut locks = peer.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
                    Arc::clone(locks.entry(names[n % NAMES].clone()).or_default())
                };
                drop(lock.lock().await);
            }
            Ok(per_lock(began, IN_PROCESS))
        }
    });
    let locks = Locks::new(Arc::new(InProcess::default()), "bench");
    let samples = take_turns(rounds, vec![ours("ours", locks, IN_PROCESS), theirs]).await?;
    report.compare("in the process", &samples[0], &samples[1], Goal::AtMost(2.0));
    Ok(())
}

/// Two instances that pass a lock to and fro: from the moment before it is given back to the moment the other has it.
async fn hand_over(json: bool) -> anyhow::Result<()> {
    let nodes = [Locks::new(Arc::new(redis_store()?), "one"), Locks::new(Arc::new(redis_store()?), "two")];
    let name = format!("bench-{}:hand-over", std::process::id());
    let redis = Redis::new(redis_url().context("no Redis")?.parse()?, RedisOptions::default());
    let (mut trips, mut times) = (Vec::new(), Vec::new());
    let mut held = nodes[0].acquire(&name, LockOptions::ttl(TTL)).await?;
    for n in 1..=HAND_OVERS {
        let (next, name) = (nodes[n % 2].clone(), name.clone());
        let waiter = tokio::spawn(async move {
            let guard = next.acquire(&name, LockOptions::ttl(TTL)).await?;
            anyhow::Ok((guard, Instant::now()))
        });
        // It has asked and waits now; the round trip is measured meanwhile.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let began = Instant::now();
        redis.ping().await?;
        trips.push(began.elapsed());
        let began = Instant::now();
        held.release().await?;
        let (guard, granted) = waiter.await??;
        held = guard;
        // The first ones make the subscriptions.
        if n > 20 {
            times.push(granted.duration_since(began));
        }
    }
    held.release().await?;
    let [trip, median, late] = [at(&mut trips, 0.5), at(&mut times, 0.5), at(&mut times, 0.99)];
    let limit = trip + 5.0;
    if json {
        let line = json!({"bench": "locks", "subject": "hand-over", "unit": "ms", "round_trip": trip, "p50": median,
            "p99": late, "target": limit, "met": late <= limit});
        println!("{line}");
    } else {
        let met = if late <= limit { "met" } else { "MISSED" };
        println!(
            "hand-over in Redis, {} times: median {median:.2} ms, p99 {late:.2} ms; round trip {trip:.2} ms",
            times.len()
        );
        println!("target: p99 at most a round trip and 5 ms, {limit:.2} ms: {met}");
    }
    Ok(())
}

/// The value that such a share of them does not exceed, in milliseconds.
fn at(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    times.get((last as f64 * share) as usize).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
}

fn redis_store() -> anyhow::Result<RedisLocks> {
    let redis = Redis::new(redis_url().context("no Redis")?.parse()?, RedisOptions::default());
    Ok(RedisLocks::new(redis, &format!("bench-{}", std::process::id())))
}

fn per_lock(began: Instant, locks: usize) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / locks as f64
}
