use std::time::{Duration, Instant};

/// As good as for ever: no process lives so long, and an instant can be counted on by it.
const EVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// When a lease or a wait that begins at `from` is over.
pub(super) fn end(from: Instant, time: Duration) -> Instant {
    from + time.min(EVER)
}

/// Whole milliseconds, as stores count them: never fewer than asked for, and one at least.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}
