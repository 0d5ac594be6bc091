use std::time::Duration;

use metrics::{Key, Label, Level, Metadata, Unit, describe_counter, describe_histogram, with_recorder};

const METADATA: Metadata<'static> = Metadata::new("stanchion::lock", Level::INFO, Some(module_path!()));

/// How an acquisition ended.
#[derive(Clone, Copy)]
pub(super) enum Outcome {
    Acquired,
    /// Held by somebody else, and not waited for.
    Conflict,
    /// Held by somebody else as long as was waited.
    Timeout,
    Error,
    /// Granted without the store, which could not be used.
    Degraded,
}

/// What the locks of one store tell. Its keys are made once: a lock in the process costs less than making one.
pub(super) struct Meter {
    outcomes: [Key; 5],
    lost: Key,
    wait: Key,
    hold: Key,
}

impl Meter {
    pub(super) fn new(store: &'static str) -> Self {
        describe_counter!("lock.acquisitions", "Attempts to acquire a lock, by their outcome");
        describe_counter!("lock.lost", "Locks that were lost while they were held, or could no longer be proved");
        describe_histogram!("lock.wait.duration", Unit::Seconds, "From asking for a lock to its grant");
        describe_histogram!("lock.hold.duration", Unit::Seconds, "From a lock's grant to its release or loss");
        let key = |name: &'static str| Key::from_parts(name, vec![Label::new("store", store)]);
        let outcomes = ["acquired", "conflict", "timeout", "error", "degraded"]
            .map(|outcome| key("lock.acquisitions").with_extra_labels(vec![Label::new("outcome", outcome)]));
        Self { outcomes, lost: key("lock.lost"), wait: key("lock.wait.duration"), hold: key("lock.hold.duration") }
    }

    pub(super) fn asked(&self, outcome: Outcome) {
        count(&self.outcomes[outcome as usize]);
    }

    pub(super) fn lost(&self) {
        count(&self.lost);
    }

    pub(super) fn waited(&self, time: Duration) {
        measure(&self.wait, time);
    }

    pub(super) fn was_held(&self, time: Duration) {
        measure(&self.hold, time);
    }
}

fn count(key: &Key) {
    with_recorder(|recorder| recorder.register_counter(key, &METADATA)).increment(1);
}

fn measure(key: &Key, time: Duration) {
    with_recorder(|recorder| recorder.register_histogram(key, &METADATA)).record(time);
}
