//! A process that campaigns for a lead, and writes into a [`Ledger`] as long as it leads: for tests to pause and to kill.
//!
//! `actor leader STORE TTL_MS NUMBER`, the database in `DATABASE_URL`, Redis in `REDIS_URL`. A term begins with the line
//! `leads FENCE` and ends with `over FENCE`. What it has begun to write it goes on writing after that, as work does that
//! nobody stops, until the database refuses it: each write is a line, `accepted FENCE`, `missed FENCE`, and at last
//! `refused FENCE`. It ends by itself when its standard input does.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use stanchion::Error;
use stanchion::lock::{Fence, LockError, Term};
use stanchion_tests::Ledger;

pub(super) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    crate::end_with_standard_input();
    let [store, ttl, number] = arguments else { anyhow::bail!("leader STORE TTL_MS NUMBER") };
    let (ttl, number) = (Duration::from_millis(ttl.parse()?), number.parse()?);
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL")?;
    let redis = std::env::var("REDIS_URL").ok();
    let ledger = Ledger::open(store, &url, redis.as_deref()).await?;
    let body = |term: Term| {
        let ledger = ledger.clone();
        async move {
            let Some(fence) = term.fence().cloned() else { return };
            tell("leads", fence.token());
            let _over = Over(fence.token());
            tokio::spawn(write(ledger, fence, number));
            term.over().cancelled().await;
        }
    };
    Ok(ledger.leader(ttl)?.run(std::future::pending(), body).await?)
}

async fn write(ledger: Ledger, fence: Fence, number: i64) {
    let token = fence.token();
    loop {
        match ledger.write(&fence, token, number).await {
            Ok(()) => tell("accepted", token),
            Err(Error::Lock(LockError::Stale { .. })) => return tell("refused", token),
            Err(error) => {
                eprintln!("a leader could not write: {error}");
                tell("missed", token);
            }
        }
        // Paused, it is more often between two writes than in one.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Tells when it is dropped, which is how a term ends.
struct Over(i64);

impl Drop for Over {
    fn drop(&mut self) {
        tell("over", self.0);
    }
}

fn tell(what: &str, fence: i64) {
    let mut out = std::io::stdout();
    // Where nobody listens any more there is nothing to tell.
    let _told = writeln!(out, "{what} {fence}").and_then(|()| out.flush());
}
