use std::time::{Duration, Instant};

/// An instant of the monotonic clock: nanoseconds since its cache was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tick(pub(super) u64);

impl Tick {
    pub(super) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }

    pub(super) fn until(self, later: Self) -> Duration {
        Duration::from_nanos(later.0.saturating_sub(self.0))
    }
}

/// Where ticks come from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeline(Instant);

impl Timeline {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn now(&self) -> Tick {
        Tick(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn instant(&self, tick: Tick) -> Instant {
        self.0 + Duration::from_nanos(tick.0)
    }
}
