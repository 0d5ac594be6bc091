//! The audit chain: who did what to what, each entry linked to the one before by a hash.
//!
//! An entry's hash covers all its values and the hash before it, so that none can be changed, removed, moved or put in
//! without every later hash telling. Where the chain ends is kept in a row of its own, locked by whoever appends: so
//! however many append at once, on whichever instance, there is one chain without gaps, and the removal of its last entries
//! is found too. Whoever can write both tables can write another chain; against that, note [`head`] elsewhere from time to
//! time, and verify from there.

mod append;
mod canonical;
mod query;
mod verify;

use serde::{Deserialize, Serialize};

pub use append::{AUDIT_ENTRIES, NewAudit, append};
pub use query::{AuditFilter, audit_entries, audit_entry, head};
pub use verify::{ChainFault, ChainReport, verify};

use crate::entity::journal::audit_head::Model;

/// The one chain there is.
const CHAIN: &str = "main";

/// What stands for the hash before the first entry.
const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Where the audit chain ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The number of its last entry; zero for a chain without entries.
    pub chain_no: i64,
    /// The hash of its last entry, in hexadecimal.
    pub hash: String,
}

impl AuditHead {
    /// Of a chain without entries.
    fn of_nothing() -> Self {
        Self { chain_no: 0, hash: NO_HASH.into() }
    }
}

impl From<Model> for AuditHead {
    fn from(head: Model) -> Self {
        Self { chain_no: head.chain_no, hash: head.hash.into_string() }
    }
}
