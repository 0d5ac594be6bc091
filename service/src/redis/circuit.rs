use std::sync::atomic::{AtomicU8, Ordering};

/// Whether Redis is asked at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CircuitState {
    /// It is well, as far as is known.
    Closed,
    /// It failed: nobody asks it until the next probe.
    Open,
    /// A probe is on its way.
    HalfOpen,
}

/// The state of a circuit, shared by all callers.
#[derive(Debug, Default)]
pub(super) struct Circuit(AtomicU8);

impl Circuit {
    pub(super) fn state(&self) -> CircuitState {
        match self.0.load(Ordering::Acquire) {
            0 => CircuitState::Closed,
            1 => CircuitState::Open,
            _ => CircuitState::HalfOpen,
        }
    }

    /// Opens it; whether it was closed, so that the caller starts the probes.
    pub(super) fn open(&self) -> bool {
        self.0.compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// A probe begins, or has failed, or has found Redis well.
    pub(super) fn set(&self, state: CircuitState) {
        let state = match state {
            CircuitState::Closed => 0,
            CircuitState::Open => 1,
            CircuitState::HalfOpen => 2,
        };
        self.0.store(state, Ordering::Release);
    }
}
