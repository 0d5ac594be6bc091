//! A hit in each level of the cache, and what it stands on: `get` of a moka cache of the same values; GET over a connection
//! of the crate `redis`, and MessagePack read by hand. The peer knows the order of the fields by heart and neither how long
//! a value lives nor whether it was altered: ours reads the fields by their names, asks for the time that is left, and sums.
//!
//! One caller asks for one key after the other, in random order; 1,000 products are there, so that none is always at hand.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use serde::{Deserialize, Serialize};
use stanchion::cache::{Cache, CacheOptions, Namespace, NamespaceOptions};
use stanchion::redis::{Options as RedisOptions, Redis};
use stanchion_tests::bench::{Arguments, Entrant, Goal, Report, take_turns};
use stanchion_tests::testbed::redis_url;

const PRODUCTS: u64 = 1_000;
const TTL: Duration = Duration::from_secs(3_600);
/// Hits in a turn.
const IN_PROCESS: usize = 20_000;
const IN_REDIS: usize = 200;
const ROUNDS: usize = 200;

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    common: Arguments,
}

/// About as much as a page of a shop shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Product {
    id: u64,
    name: String,
    price: i64,
    description: String,
    images: Vec<String>,
}

impl Product {
    fn new(id: u64) -> Self {
        Self {
            id,
            name: format!("Product number {id}"),
            price: 129_900,
            description: "A product that is described in a sentence or two, as they are. ".repeat(3),
            images: (0..3).map(|image| format!("https://shop.example/images/{id}/{image}.webp")).collect(),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if !options.common.is_benchmark() {
        return Ok(());
    }
    let rounds = options.common.rounds.unwrap_or(ROUNDS);
    let mut report = Report::new("cache_hit", "microseconds a hit", options.common.json);
    in_process(&mut report, rounds).await?;
    in_redis(&mut report, rounds).await?;
    report.print();
    Ok(())
}

fn keys() -> Arc<[String]> {
    (0..PRODUCTS).map(|id| format!("product:{id}")).collect()
}

/// The keys in an order that looks random, the same in every run.
fn order(count: usize) -> impl Iterator<Item = usize> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..count).map(move |_| random.usize(..PRODUCTS as usize))
}

async fn filled(cache: &Cache, keys: &[String]) -> anyhow::Result<Namespace<Product>> {
    let products = cache.namespace::<Product>("products", NamespaceOptions::ttl(TTL))?;
    for (id, key) in (0..).zip(keys) {
        products.get_or_load(key, move || async move { Ok(Product::new(id)) }).await?;
    }
    Ok(products)
}

async fn in_process(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let keys = keys();
    let alone = filled(&Cache::new(CacheOptions::default(), None)?, &keys).await?;
    let shared = Redis::new(redis_url().context("no Redis")?.parse()?, RedisOptions::default());
    let cache = Cache::new(CacheOptions { prefix: prefix("l1"), ..CacheOptions::default() }, Some(shared))?;
    let both = filled(&cache, &keys).await?;
    let peer: moka::sync::Cache<String, Arc<Product>> =
        moka::sync::Cache::builder().max_capacity(100_000).time_to_live(TTL).build();
    for (id, key) in (0..).zip(keys.iter()) {
        peer.insert(key.clone(), Arc::new(Product::new(id)));
    }
    let ours = |name: &'static str, products: Namespace<Product>| {
        let keys = Arc::clone(&keys);
        Entrant::new(name, move || {
            let (products, keys) = (products.clone(), Arc::clone(&keys));
            async move {
                let began = Instant::now();
                for at in order(IN_PROCESS) {
                    black_box(products.get_or_load(&keys[at], || async { unreachable!("it is there") }).await?);
                }
                Ok(per_hit(began, IN_PROCESS))
            }
        })
    };
    let theirs = Entrant::new("moka", || {
        let (peer, keys) = (peer.clone(), Arc::clone(&keys));
        async move {
            let began = Instant::now();
            for at in order(IN_PROCESS) {
                black_box(peer.get(&keys[at]));
            }
            Ok(per_hit(began, IN_PROCESS))
        }
    });
    let samples = take_turns(rounds, vec![ours("alone", alone), ours("with Redis", both), theirs]).await?;
    report.compare("first level", &samples[0], &samples[2], Goal::AtMost(1.5));
    report.compare("first level, Redis behind it", &samples[1], &samples[2], Goal::AtMost(1.5));
    Ok(())
}

async fn in_redis(report: &mut Report, rounds: usize) -> anyhow::Result<()> {
    let url = redis_url().context("no Redis")?;
    let keys = keys();
    let redis = Redis::new(url.parse()?, RedisOptions::default());
    let options = CacheOptions { prefix: prefix("l2"), l1_capacity: 0, ..CacheOptions::default() };
    let products = filled(&Cache::new(options, Some(redis))?, &keys).await?;

    let mut peer = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let raw = prefix("raw");
    let raw_keys: Arc<[String]> = keys.iter().map(|key| format!("{raw}:{key}")).collect();
    for (id, key) in (0..).zip(raw_keys.iter()) {
        let value = rmp_serde::to_vec(&Product::new(id))?;
        redis::cmd("SET").arg(key).arg(value).arg("PX").arg(3_600_000).query_async::<()>(&mut peer).await?;
    }
    let get = Entrant::new("get", || {
        let (products, keys) = (products.clone(), Arc::clone(&keys));
        async move {
            let began = Instant::now();
            for at in order(IN_REDIS) {
                black_box(products.get(&keys[at]).await?.context("it is there")?);
            }
            Ok(per_hit(began, IN_REDIS))
        }
    });
    let load = Entrant::new("get_or_load", || {
        let (products, keys) = (products.clone(), Arc::clone(&keys));
        async move {
            let began = Instant::now();
            for at in order(IN_REDIS) {
                black_box(products.get_or_load(&keys[at], || async { unreachable!("it is there") }).await?);
            }
            Ok(per_hit(began, IN_REDIS))
        }
    });
    let theirs = Entrant::new("redis, GET and decode", || {
        let (mut peer, keys) = (peer.clone(), Arc::clone(&raw_keys));
        async move {
            let began = Instant::now();
            for at in order(IN_REDIS) {
                let value: Vec<u8> = redis::cmd("GET").arg(&keys[at]).query_async(&mut peer).await?;
                black_box(rmp_serde::from_slice::<Product>(&value)?);
            }
            Ok(per_hit(began, IN_REDIS))
        }
    });
    let samples = take_turns(rounds, vec![get, load, theirs]).await?;
    report.compare("second level, get", &samples[0], &samples[2], Goal::AtMost(1.1));
    report.compare("second level, get_or_load", &samples[1], &samples[2], Goal::AtMost(1.1));
    Ok(())
}

fn per_hit(began: Instant, hits: usize) -> f64 {
    began.elapsed().as_secs_f64() * 1e6 / hits as f64
}

/// A prefix of this run's own: the server may be somebody else's too.
fn prefix(part: &str) -> String {
    format!("bench-{}-{part}", std::process::id())
}
