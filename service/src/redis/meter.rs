use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Histogram, counter, gauge, histogram};

use super::circuit::CircuitState;
use super::error::RedisErrorKind;
use super::memory::Memory;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Hit,
    Miss,
    Error(RedisErrorKind),
}

impl Outcome {
    /// The labels `outcome` and `error.type`.
    const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Ok => ("ok", ""),
            Self::Hit => ("hit", ""),
            Self::Miss => ("miss", ""),
            Self::Error(kind) => ("error", kind.name()),
        }
    }
}

/// What Redis costs and how it is, told to the recorder of the process in OpenTelemetry's names.
///
/// Durations are kept as handles, so that a command that was seen before costs a look into a short list and no allocation.
pub(super) struct Meter {
    /// Its hosts, as the label `server.address` has them.
    address: Arc<str>,
    durations: RwLock<Vec<Series>>,
}

struct Series {
    operation: &'static str,
    names: (&'static str, &'static str),
    histogram: Histogram,
}

impl Meter {
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.into(), durations: RwLock::default() }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// A command took this long.
    pub(super) fn took(&self, operation: &'static str, outcome: Outcome, duration: Duration) {
        let names = outcome.names();
        // The names are literals: the same one is the same place, and if it is not, the series has two handles.
        let same = |known: &&Series| {
            std::ptr::eq(known.operation, operation)
                && std::ptr::eq(known.names.0, names.0)
                && std::ptr::eq(known.names.1, names.1)
        };
        if let Some(known) = self.durations.read().unwrap_or_else(PoisonError::into_inner).iter().find(same) {
            known.histogram.record(duration.as_secs_f64());
            return;
        }
        let mut labels = vec![
            metrics::Label::new("db.system.name", "redis"),
            metrics::Label::new("db.operation.name", operation),
            metrics::Label::new("server.address", Arc::clone(&self.address)),
            metrics::Label::new("outcome", names.0),
        ];
        if !names.1.is_empty() {
            labels.push(metrics::Label::new("error.type", names.1));
        }
        let histogram = histogram!("db.client.operation.duration", labels);
        histogram.record(duration.as_secs_f64());
        let mut durations = self.durations.write().unwrap_or_else(PoisonError::into_inner);
        durations.push(Series { operation, names, histogram });
    }

    /// There is a connection now, the `number`th, or there is none.
    pub(super) fn connection(&self, number: Option<u64>) {
        let address = || Arc::clone(&self.address);
        let open = if number.is_some() { 1.0 } else { 0.0 };
        gauge!("db.client.connection.count", "db.system.name" => "redis", "server.address" => address()).set(open);
        if number.is_some_and(|number| number > 1) {
            counter!("redis.reconnects", "server.address" => address()).increment(1);
        }
    }

    /// The circuit went over: 0 is closed, 1 open, 0.5 half open.
    pub(super) fn circuit(&self, state: CircuitState) {
        let address = || Arc::clone(&self.address);
        let (value, to) = match state {
            CircuitState::Closed => (0.0, "closed"),
            CircuitState::HalfOpen => (0.5, "half_open"),
            CircuitState::Open => (1.0, "open"),
        };
        gauge!("redis.circuit.state", "server.address" => address()).set(value);
        counter!("redis.circuit.transitions", "server.address" => address(), "to" => to).increment(1);
    }

    /// So many of a cluster's slots are not asked for now.
    pub(super) fn slots_down(&self, slots: u32) {
        gauge!("redis.cluster.slots.down", "server.address" => Arc::clone(&self.address)).set(slots);
    }

    /// What the nodes' memory holds, in bytes.
    pub(super) fn memory(&self, nodes: &[Memory]) {
        for node in nodes {
            let address = || metrics::SharedString::from(node.server.clone());
            let bytes = |bytes: u64| {
                // Exact up to 2^53 bytes.
                #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
                let bytes = bytes as f64;
                bytes
            };
            gauge!("redis.memory.used", "server.address" => address()).set(bytes(node.used));
            if let Some(limit) = node.limit {
                gauge!("redis.memory.limit", "server.address" => address()).set(bytes(limit));
            }
        }
    }
}
