use std::fmt;

use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use uuid::Uuid;

use super::canonical::hash;
use super::{AuditHead, head};
use crate::Error;
use crate::entity::journal::audit_entry::{Column, Entity, Model};

/// Entries that are read at once.
const BATCH: u64 = 500;

/// What going through the audit chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChainReport {
    /// Entries that are as they were appended, before the first fault.
    pub verified: u64,
    /// The last of them: where the chain is known to be whole up to.
    pub head: AuditHead,
    /// The first thing that is wrong; what comes after it is not looked at.
    pub fault: Option<ChainFault>,
}

impl ChainReport {
    /// Whether nothing is wrong.
    pub const fn is_intact(&self) -> bool {
        self.fault.is_none()
    }
}

/// What is wrong with the audit chain, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
#[non_exhaustive]
pub enum ChainFault {
    /// The entry of this number was removed.
    Missing {
        /// Its number.
        chain_no: i64,
    },
    /// The entry is not as it was appended: a value, its number or its hash was changed.
    Changed {
        /// Its number.
        chain_no: i64,
        /// Its id.
        id: Uuid,
    },
    /// The entry is sound in itself and does not belong after the one before it: one of them was replaced.
    Unlinked {
        /// Its number.
        chain_no: i64,
        /// Its id.
        id: Uuid,
    },
    /// The entry is beyond the end of the chain: it was put in, or the end was set back.
    BeyondHead {
        /// Its number.
        chain_no: i64,
        /// Its id.
        id: Uuid,
    },
    /// The chain ends with another hash than its last entry has.
    AnotherHead {
        /// The number of the last entry.
        chain_no: i64,
    },
    /// The chain ends before the head that was known, so it was cut off and, perhaps, continued.
    CutOff {
        /// The number of the known head.
        known: i64,
        /// Where it ends now.
        chain_no: i64,
    },
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { chain_no } => write!(f, "the audit entry number {chain_no} is missing"),
            Self::Changed { chain_no, id } => write!(f, "the audit entry number {chain_no} ({id}) was changed"),
            Self::Unlinked { chain_no, id } => {
                write!(f, "the audit entry number {chain_no} ({id}) does not belong after the one before it")
            }
            Self::BeyondHead { chain_no, id } => {
                write!(f, "the audit entry number {chain_no} ({id}) is beyond the end of the chain")
            }
            Self::AnotherHead { chain_no } => {
                write!(f, "the audit chain does not end with the hash of its entry number {chain_no}")
            }
            Self::CutOff { known, chain_no } => {
                write!(f, "the audit chain ends with number {chain_no}, and number {known} was known")
            }
        }
    }
}

/// Goes through the audit chain in batches of 500, from the entry after `known` or from the first one, to its end, and stops
/// at the first fault. Others may append meanwhile; what they append is looked at too. One round trip a batch, and two.
///
/// `known` is a head that was noted when the chain was whole; entries before it are taken for granted.
///
/// `db` has to show of two statements the later one no less than the earlier: a primary, not a choice of replicas.
///
/// # Errors
/// Those of the database. What is wrong with the chain is in the report.
pub async fn verify(db: &impl ConnectionTrait, known: Option<AuditHead>) -> Result<ChainReport, Error> {
    let known = known.unwrap_or_else(AuditHead::of_nothing);
    let mut report = ChainReport { verified: 0, head: known.clone(), fault: None };
    // What the head row has said since the last entry was found.
    let mut end: Option<AuditHead> = None;
    loop {
        let entries = batch(db, report.head.chain_no).await?;
        if entries.is_empty() {
            // Entries and head change together, and the head was read after the entries: so it is never behind them.
            match end {
                Some(end) if end.chain_no > report.head.chain_no => {
                    report.fault = Some(ChainFault::Missing { chain_no: report.head.chain_no + 1 });
                    return Ok(report);
                }
                _ => {}
            }
            let now = head(db).await?;
            report.fault = ended(&report.head, &now, &known);
            if report.fault.is_some() || now.chain_no == report.head.chain_no {
                if let Some(ChainFault::BeyondHead { chain_no, id }) = &mut report.fault {
                    *id = last_id(db, *chain_no).await?;
                }
                return Ok(report);
            }
            end = Some(now);
            continue;
        }
        end = None;
        for entry in entries {
            report.fault = fault(&report.head, &entry);
            if report.fault.is_some() {
                return Ok(report);
            }
            report.verified += 1;
            report.head = AuditHead { chain_no: entry.chain_no, hash: entry.hash.into_string() };
        }
    }
}

async fn batch(db: &impl ConnectionTrait, after: i64) -> Result<Vec<Model>, Error> {
    let entries = Entity::find().filter(Column::ChainNo.gt(after)).order_by_asc(Column::ChainNo).limit(BATCH);
    Ok(entries.all(db).await?)
}

async fn last_id(db: &impl ConnectionTrait, chain_no: i64) -> Result<Uuid, Error> {
    let id = Entity::find().select_only().column(Column::Id).filter(Column::ChainNo.eq(chain_no));
    Ok(id.into_tuple().one(db).await?.unwrap_or_default())
}

/// What is wrong with an entry, coming after `before`.
fn fault(before: &AuditHead, entry: &Model) -> Option<ChainFault> {
    let (chain_no, id) = (entry.chain_no, entry.id);
    if chain_no != before.chain_no + 1 {
        return Some(ChainFault::Missing { chain_no: before.chain_no + 1 });
    }
    if hash(entry) != entry.hash.as_str() {
        return Some(ChainFault::Changed { chain_no, id });
    }
    (entry.prev_hash.as_str() != before.hash).then_some(ChainFault::Unlinked { chain_no, id })
}

/// What is wrong when the entries end with `last` and the head row says `end`.
fn ended(last: &AuditHead, end: &AuditHead, known: &AuditHead) -> Option<ChainFault> {
    if end.chain_no < known.chain_no {
        return Some(ChainFault::CutOff { known: known.chain_no, chain_no: end.chain_no });
    }
    if end.chain_no < last.chain_no {
        // The id is looked up by the caller.
        return Some(ChainFault::BeyondHead { chain_no: end.chain_no + 1, id: Uuid::nil() });
    }
    (end.chain_no == last.chain_no && end.hash != last.hash)
        .then_some(ChainFault::AnotherHead { chain_no: last.chain_no })
}
