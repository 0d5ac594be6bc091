//! A crowd of callers that ask a cache for one cold key at once, in a process of its own.
//!
//! `actor stampede CALLERS KEY`, Redis in `REDIS_URL`. It prints `ready`, begins with the next line of its input, prints `load`
//! whenever the key is loaded, and at the end `done` and the value that all callers got.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use stanchion::Error;
use stanchion::cache::{Cache, CacheOptions, NamespaceOptions};
use stanchion::redis::{Options, Redis};

/// How long a load takes: long enough for every caller of every process to come meanwhile.
const LOAD: Duration = Duration::from_millis(300);

pub(super) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let [callers, key] = arguments else { anyhow::bail!("stampede CALLERS KEY") };
    let url = std::env::var("REDIS_URL").context("REDIS_URL")?.parse()?;
    let options = Options { connect_timeout: Duration::from_secs(5), command_timeout: Duration::from_secs(5) };
    let redis = Redis::new(url, options);
    redis.ping().await?;
    let cache = Cache::new(CacheOptions::default(), Some(redis))?;
    // Longer than a busy machine keeps the one that loads from it.
    let rules = NamespaceOptions::ttl(Duration::from_secs(60)).wait_for_others(Duration::from_secs(30));
    let values = cache.namespace::<String>("stampede", rules)?;
    say("ready")?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;

    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..callers.parse::<u32>()? {
        let (values, key) = (values.clone(), key.clone());
        crowd.spawn(async move { values.get_or_load(key, load).await });
    }
    let mut got = None;
    while let Some(value) = crowd.join_next().await {
        let value = value??;
        anyhow::ensure!(got.as_ref().is_none_or(|known| *known == value), "callers got different values");
        got = Some(value);
    }
    say(&format!("done {}", got.context("there was no caller")?))?;
    Ok(())
}

async fn load() -> Result<String, Error> {
    say("load").map_err(Error::other)?;
    tokio::time::sleep(LOAD).await;
    Ok("value".to_owned())
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    out.flush()
}
