//! The journal keeps what it is given, finds it, and notices what was done to its audit chain.

mod audit;
mod entries;
mod layer;

use std::time::Duration;

use stanchion::domain::journal::NewLogEntry;
use stanchion::types::Timestamp;

pub(super) const HOUR: Duration = Duration::from_secs(3_600);
pub(super) const DAY: Duration = Duration::from_secs(86_400);

/// An entry of a shop at that instant.
fn entry(ts: Timestamp, message: &str) -> NewLogEntry {
    NewLogEntry { ts, service: "shop".parse().unwrap(), message: message.parse().unwrap(), ..NewLogEntry::default() }
}
