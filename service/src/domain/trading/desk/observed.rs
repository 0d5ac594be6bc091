//! Others' leases, judged by what was seen of them and the clock that cannot be set.
//!
//! Every renewal gives its row another `updated_at`, and `expires_at - updated_at` is the lease's length, both read off one
//! clock. So a row that stays as it is for its own length was not renewed for that long, whatever the clocks of the
//! machines say: its holder has stopped, or believes so.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::entity::trading::instance::Model as Instance;
use crate::entity::trading::symbol_assignment::Model as SymbolAssignment;
use crate::types::{Text, Timestamp};

/// What tells a lease from its renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    instance_id: Text<64>,
    fence: i64,
    updated_at: Timestamp,
}

impl Mark {
    pub(super) fn of(row: &SymbolAssignment) -> Self {
        Self { instance_id: row.instance_id.clone(), fence: row.fence, updated_at: row.updated_at }
    }

    pub(super) const fn fence(&self) -> i64 {
        self.fence
    }
}

/// When each lease was first seen as it is.
#[derive(Debug, Default)]
pub(super) struct Leases(HashMap<Text<32>, (Mark, Instant)>);

impl Leases {
    /// Notes a row that was read before `now`; when its lease is over, unless it is renewed.
    pub(super) fn see(&mut self, row: &SymbolAssignment, now: Instant) -> Instant {
        let mark = Mark::of(row);
        let since = match self.0.get(&row.symbol) {
            Some((known, since)) if *known == mark => *since,
            _ => {
                self.0.insert(row.symbol.clone(), (mark, now));
                now
            }
        };
        // One that was given back has no length. One so long that it has no end is never over.
        since.checked_add(row.expires_at.since(row.updated_at)).unwrap_or_else(|| now + Duration::from_secs(3_600))
    }
}

/// When each instance was last seen to have said anything new.
#[derive(Debug, Default)]
pub(super) struct Lives(HashMap<Text<64>, ((i32, Timestamp), Instant)>);

impl Lives {
    /// Notes an instance whose row was read before `now`; whether it has shown a sign of life within `patience`.
    pub(super) fn see(&mut self, row: &Instance, now: Instant, patience: Duration) -> bool {
        let mark = (row.version, row.started_at);
        let (known, since) = self.0.entry(row.id.clone()).or_insert((mark, now));
        if *known != mark {
            (*known, *since) = (mark, now);
        }
        now.saturating_duration_since(*since) < patience
    }
}
