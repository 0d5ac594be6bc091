//! Three candidates, one leader; each hands over after a while: `cargo run -p stanchion --example leader`, with `REDIS_URL`
//! set to elect across processes.
#![expect(clippy::print_stdout, reason = "what an example prints is its result")]

use std::sync::Arc;
use std::time::Duration;

use stanchion::Error;
use stanchion::lock::{InProcess, Leader, LockOptions, LockStore, Locks, RedisLocks, Term};
use stanchion::redis::{self, Redis};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = std::env::var("REDIS_URL").ok().map(|url| url.parse()).transpose().map_err(Error::other)?;
    let store: Arc<dyn LockStore> = match url {
        Some(url) => Arc::new(RedisLocks::new(Redis::new(url, redis::Options::default()), "example")),
        None => Arc::new(InProcess::new()),
    };
    let shutdown = CancellationToken::new();
    let mut candidates = tokio::task::JoinSet::new();
    for name in ["node-1", "node-2", "node-3"] {
        let locks = Locks::new(Arc::clone(&store), name);
        let leader = Leader::new(&locks, "scheduler", LockOptions::ttl(Duration::from_secs(2)))?;
        let shutdown = shutdown.clone();
        candidates.spawn(async move { leader.run(shutdown.cancelled(), |term| schedule(name, term)).await });
    }
    sleep(Duration::from_secs(1)).await;
    shutdown.cancel();
    while let Some(ended) = candidates.join_next().await {
        ended.map_err(Error::other)??;
    }
    Ok(())
}

/// What the leader alone does; dropped where it stands when its term ends.
async fn schedule(name: &'static str, term: Term) {
    println!("{name} leads");
    for _ in 0..3 {
        println!("  {name} does the work of a leader: {}", term.is_leading());
        sleep(Duration::from_millis(100)).await;
    }
    println!("{name} resigns"); // by returning
}
