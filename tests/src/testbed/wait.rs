//! Waiting in tests: for a condition, never for a time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Long, because only a failing test waits that long, and a busy machine must not fail one.
const DEADLINE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(10);

/// Returns as soon as `condition` holds.
///
/// ```no_run
/// # use stanchion_tests::testbed::{eventually, is_running};
/// # async fn example(pid: u32) {
/// eventually("the server is gone", async || !is_running(pid)).await;
/// # }
/// ```
///
/// # Panics
/// If it does not within a minute, with `claim`.
pub async fn eventually(claim: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not after {DEADLINE:?}: {claim}");
        sleep(GLANCE).await;
    }
}
