//! A worker that takes alerts and never says what became of them: for tests to kill.
//!
//! `actor claimant CLOCK N LEASE_S`, the database in `DATABASE_URL`, the clock in microseconds since the epoch. It prints the ids
//! that it holds, a line each, then `held`, and waits.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use stanchion::App;
use stanchion::config::{Config, Database};
use stanchion::types::Timestamp;
use stanchion_tests::HandClock;

pub(super) async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let arguments: Vec<i64> =
        arguments.iter().map(|argument| argument.parse().context("a number")).collect::<Result<_, _>>()?;
    let [clock, n, lease] = arguments[..] else { anyhow::bail!("claimant CLOCK N LEASE_S") };
    let url = std::env::var("DATABASE_URL").context("DATABASE_URL")?;
    let clock = Arc::new(HandClock::at(Timestamp::from_micros(clock)?));
    let app = App::start_with(Config::new(Database::new(url.parse()?)), clock).await?;

    let claims = app.alerting().claim(u32::try_from(n)?, Duration::from_secs(lease.try_into()?)).await?;
    let mut out = std::io::stdout();
    for claim in &claims {
        writeln!(out, "{}", claim.alert.id)?;
    }
    writeln!(out, "held")?;
    out.flush()?;
    std::future::pending().await
}
