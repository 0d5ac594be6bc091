//! A crowd on a cold key: 1,000 callers ask for it at once, and it is loaded once, which takes 2 milliseconds. The peer is the
//! least that does so: a map of tokio's `OnceCell`s. Every turn has a key of its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Parser;
use stanchion::Error;
use stanchion::cache::{Cache, CacheOptions, Namespace, NamespaceOptions};
use stanchion::redis::{Options as RedisOptions, Redis};
use stanchion_tests::bench::{Arguments, Entrant, Goal, Report, take_turns};
use stanchion_tests::testbed::redis_url;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

const CALLERS: usize = 1_000;
const LOAD: Duration = Duration::from_millis(2);
const TTL: Duration = Duration::from_secs(600);
const ROUNDS: usize = 200;

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,
}

type Cells = Arc<Mutex<HashMap<String, Arc<OnceCell<Arc<u64>>>>>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.common.is_benchmark() {
        return Ok(());
    }
    let alone = Cache::new(CacheOptions::default(), None)?;
    let redis = Redis::new(redis_url().context("no Redis")?.parse()?, RedisOptions::default());
    let prefix = format!("bench-{}", std::process::id());
    let shared = Cache::new(CacheOptions { prefix, ..CacheOptions::default() }, Some(redis))?;
    let entrants = vec![ours("alone", &alone)?, ours("with Redis", &shared)?, theirs()];
    let samples = take_turns(options.common.rounds.unwrap_or(ROUNDS), entrants).await?;
    let mut report = Report::new("stampede", "microseconds until 1,000 callers are served", options.common.json);
    report.compare("in the process", &samples[0], &samples[2], Goal::None);
    report.compare("with Redis behind it", &samples[1], &samples[2], Goal::None);
    report.print();
    Ok(())
}

fn ours(name: &'static str, cache: &Cache) -> anyhow::Result<Entrant<'static>> {
    let values: Namespace<u64> = cache.namespace("stampede", NamespaceOptions::ttl(TTL))?;
    Ok(Entrant::new(name, move || {
        let values = values.clone();
        crowd(move |key, loads| {
            let values = values.clone();
            async move { Ok(values.get_or_load(key, move || load(loads)).await?) }
        })
    }))
}

fn theirs() -> Entrant<'static> {
    let cells = Cells::default();
    Entrant::new("a OnceCell in a map", move || {
        let cells = Arc::clone(&cells);
        crowd(move |key, loads| {
            let cells = Arc::clone(&cells);
            async move {
                let cell = {
                    let mut cells = cells.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
                    Arc::clone(cells.entry(key).or_default())
                };
                let value = cell.get_or_try_init(|| async move { load(loads).await.map(Arc::new) }).await?;
                Ok(Arc::clone(value))
            }
        })
    })
}

/// Lets all of them ask at once; how long it takes until the last is served.
async fn crowd<F, Fut>(ask: F) -> anyhow::Result<f64>
where
    F: Fn(String, Arc<AtomicU64>) -> Fut,
    Fut: Future<Output = anyhow::Result<Arc<u64>>> + Send + 'static,
{
    static TURNS: AtomicU64 = AtomicU64::new(0);
    let (key, loads) = (format!("cold:{}", TURNS.fetch_add(1, Ordering::Relaxed)), Arc::<AtomicU64>::default());
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        callers.spawn(ask(key.clone(), Arc::clone(&loads)));
    }
    while let Some(value) = callers.join_next().await {
        ensure!(*value?? == 42, "another value");
    }
    let took = began.elapsed();
    ensure!(loads.load(Ordering::Relaxed) == 1, "it was loaded more than once");
    Ok(took.as_secs_f64() * 1e6)
}

async fn load(loads: Arc<AtomicU64>) -> Result<u64, Error> {
    tokio::time::sleep(LOAD).await;
    loads.fetch_add(1, Ordering::Relaxed);
    Ok(42)
}
