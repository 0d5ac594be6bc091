//! A process that takes turns at a lock and writes into a [`Ledger`]: for tests to pause and to kill.
//!
//! `actor locker STORE TTL_MS NUMBER`, the database in `DATABASE_URL`, Redis in `REDIS_URL`. Each turn is a line: `accepted`,
//! `refused` or `missed`. With `keep` after that it holds one lock instead, and its lines are `held FENCE WALL_CLOCK`,
//! `renewed FENCE WALL_CLOCK`, and at last `lost FENCE WALL_CLOCK`, the clock in seconds. It ends by itself when its
//! standard input does, so that none outlives the test that started it.

use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use stanchion_tests::{Ledger, Turn};

pub(super) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    crate::end_with_standard_input();
    let (store, ttl, number, keeps) = match arguments {
        [store, ttl, number] => (store, ttl, number, false),
        [store, ttl, number, keep] if keep == "keep" => (store, ttl, number, true),
        _ => anyhow::bail!("locker STORE TTL_MS NUMBER [keep]"),
    };
    let (ttl, number) = (Duration::from_millis(ttl.parse()?), number.parse()?);
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL")?;
    let redis = std::env::var("REDIS_URL").ok();
    let ledger = Ledger::open(store, &url, redis.as_deref()).await?;
    if keeps {
        return keep(&ledger, ttl).await;
    }

    let mut out = std::io::stdout();
    for round in 0_u64.. {
        // Long enough to be caught in, again and again.
        let pause = tokio::time::sleep(ttl / 10);
        let turn = ledger.turn(number, ttl, pause, round % 2 == 0).await;
        let word = match turn {
            Turn::Accepted => "accepted",
            Turn::Refused => "refused",
            Turn::Missed => "missed",
        };
        writeln!(out, "{word}")?;
        out.flush()?;
    }
    Ok(())
}

/// Holds a lock, and tells of every renewal, until it is lost.
async fn keep(ledger: &Ledger, ttl: Duration) -> anyhow::Result<()> {
    let guard = ledger.keep(ttl).await?;
    let fence = guard.fence().context("it was asked for with a fence")?.token();
    let tell = |what: &str| -> anyhow::Result<()> {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let mut out = std::io::stdout();
        writeln!(out, "{what} {fence} {clock}")?;
        Ok(out.flush()?)
    };
    tell("held")?;
    let (lost, mut deadline) = (guard.lost(), guard.deadline());
    loop {
        tokio::select! {
            () = lost.cancelled() => return tell("lost"),
            () = tokio::time::sleep(ttl / 20) => {}
        }
        if guard.deadline() > deadline {
            deadline = guard.deadline();
            tell("renewed")?;
        }
    }
}
