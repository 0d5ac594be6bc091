use std::net::IpAddr;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::canonical::hash;
use super::{AuditHead, CHAIN};
use crate::Error;
use crate::db::Tx;
use crate::entity::journal::{audit_entry, audit_head};
use crate::types::{AtColumn, Json, Text, Timestamp, ValueError, id_at};

/// The table of audit entries.
pub const AUDIT_ENTRIES: &str = "audit_entries";

/// Entries that one statement inserts.
const AT_ONCE: usize = 500;

/// What is to be appended to the audit chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAudit {
    /// Who did it; nobody, if no one was signed in.
    pub actor_id: Option<Uuid>,
    /// What was done, or tried: `refund`; not blank.
    pub action: Text<64>,
    /// The kind of thing that it was done to: `order`; not blank.
    pub resource: Text<64>,
    /// The one thing that it was done to.
    pub resource_id: Option<Text<64>>,
    /// Whether it was allowed.
    pub granted: bool,
    /// The thing as it was.
    pub before: Option<Json>,
    /// The thing as it became.
    pub after: Option<Json>,
    /// The address that the request came from.
    pub ip: Option<IpAddr>,
    /// When it was done; not before 1970.
    pub occurred_at: Timestamp,
}

impl Default for NewAudit {
    /// Nothing, done by nobody and not allowed: to fill in.
    fn default() -> Self {
        Self {
            actor_id: None,
            action: Text::default(),
            resource: Text::default(),
            resource_id: None,
            granted: false,
            before: None,
            after: None,
            ip: None,
            occurred_at: Timestamp::EPOCH,
        }
    }
}

impl NewAudit {
    /// The entry that it becomes after `head`.
    fn into_model(self, head: &AuditHead, now: Timestamp) -> Result<audit_entry::Model, ValueError> {
        let mut entry = audit_entry::Model {
            id: id_at(self.occurred_at).at("audit_entries.occurred_at")?,
            chain_no: head.chain_no + 1,
            actor_id: self.actor_id,
            action: self.action.non_blank().at("audit_entries.action")?,
            resource: self.resource.non_blank().at("audit_entries.resource")?,
            resource_id: self.resource_id,
            granted: self.granted,
            state_before: self.before,
            state_after: self.after,
            ip: self.ip.map(|ip| ip.to_string().parse()).transpose().at("audit_entries.ip")?,
            occurred_at: self.occurred_at,
            prev_hash: head.hash.parse().at("audit_entries.prev_hash")?,
            hash: Text::default(),
            created_at: now,
        };
        entry.hash = hash(&entry).parse().at("audit_entries.hash")?;
        Ok(entry)
    }
}

/// Appends entries to the audit chain in the caller's transaction, in this order, and gives the new head. Three round trips,
/// one more for every 500 entries, and two more for the first entry of all.
///
/// Until the transaction ends nobody else appends: do it last. If it is rolled back, nothing is appended.
///
/// # Errors
/// [`Error::Value`] for an entry that cannot be stored, naming the column; those of the database.
pub async fn append(tx: &Tx, entries: impl IntoIterator<Item = NewAudit>, now: Timestamp) -> Result<AuditHead, Error> {
    let mut head = lock(tx, now).await?;
    let before = head.chain_no;
    let mut models = Vec::new();
    for entry in entries {
        let entry = entry.into_model(&head, now)?;
        head = AuditHead { chain_no: entry.chain_no, hash: entry.hash.as_str().to_owned() };
        models.push(entry.into_active_model());
    }
    if head.chain_no == before {
        return Ok(head);
    }
    for some in models.chunks(AT_ONCE) {
        audit_entry::Entity::insert_many(some.to_vec()).exec_without_returning(tx).await?;
    }
    let end = audit_head::Model {
        chain: Text::default(),
        chain_no: head.chain_no,
        hash: head.hash.parse().at("audit_heads.hash")?,
        updated_at: now,
    };
    let mut end = end.into_active_model().reset_all();
    end.chain = sea_orm::ActiveValue::NotSet;
    audit_head::Entity::update_many().set(end).filter(audit_head::Column::Chain.eq(CHAIN)).exec(tx).await?;
    Ok(head)
}

/// The head, locked until the transaction ends. SQLite's transaction is the only one that writes anyway.
async fn lock(tx: &Tx, now: Timestamp) -> Result<AuditHead, Error> {
    let locked = || async {
        let head = audit_head::Entity::find().filter(audit_head::Column::Chain.eq(CHAIN)).lock_exclusive();
        head.one(tx).await
    };
    if let Some(head) = locked().await? {
        return Ok(head.into());
    }
    // The first entry of all; others may be at it too.
    let first = audit_head::Model {
        chain: CHAIN.parse().at("audit_heads.chain")?,
        chain_no: 0,
        hash: super::NO_HASH.parse().at("audit_heads.hash")?,
        updated_at: now,
    };
    let there = OnConflict::column(audit_head::Column::Chain).do_nothing_on([audit_head::Column::Chain]).to_owned();
    audit_head::Entity::insert(first.into_active_model()).on_conflict(there).exec_without_returning(tx).await?;
    Ok(locked().await?.map_or_else(AuditHead::of_nothing, Into::into))
}
