use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait, Select};
use uuid::Uuid;

use super::{AuditHead, CHAIN};
use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{ById, Page};
use crate::entity::journal::audit_entry::{Column, Entity, Model};
use crate::entity::journal::audit_head;
use crate::types::{TimeRange, Timestamp, id_bounds};

/// Which audit entries, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    actor_id: Option<Uuid>,
    action: Option<String>,
    resource: Option<String>,
    resource_id: Option<String>,
    occurred: TimeRange,
}

crate::domain::paged!(AuditFilter);

impl AuditFilter {
    /// All entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// What this user did.
    #[must_use]
    pub const fn actor(mut self, actor: Uuid) -> Self {
        self.criteria.actor_id = Some(actor);
        self
    }

    /// Where this was done.
    #[must_use]
    pub fn action(mut self, action: impl Into<String>) -> Self {
        self.criteria.action = Some(action.into());
        self
    }

    /// What was done to things of this kind.
    #[must_use]
    pub fn resource(mut self, resource: impl Into<String>) -> Self {
        self.criteria.resource = Some(resource.into());
        self.criteria.resource_id = None;
        self
    }

    /// What was done to this one thing.
    #[must_use]
    pub fn thing(mut self, resource: impl Into<String>, id: impl Into<String>) -> Self {
        self.criteria.resource = Some(resource.into());
        self.criteria.resource_id = Some(id.into());
        self
    }

    /// Done at this instant or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.criteria.occurred.from = Some(from);
        self
    }

    /// Done before this instant.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.criteria.occurred.to = Some(to);
        self
    }

    fn select(&self) -> Result<Select<Entity>, Error> {
        let Criteria { actor_id, action, resource, resource_id, occurred } = &self.criteria;
        for given in [action, resource, resource_id].into_iter().flatten() {
            if given.contains('\0') {
                return Err(Error::Invalid("no audit entry contains a NUL character".into()));
            }
        }
        let (low, high) = id_bounds(*occurred);
        Ok(Entity::find()
            .apply_if(*actor_id, |select, actor| select.filter(Column::ActorId.eq(actor)))
            .apply_if(action.as_deref(), |select, action| select.filter(Column::Action.eq(action)))
            .apply_if(resource.as_deref(), |select, resource| select.filter(Column::Resource.eq(resource)))
            .apply_if(resource_id.as_deref(), |select, id| select.filter(Column::ResourceId.eq(id)))
            .apply_if(low, |select, low| select.filter(Column::Id.gte(low)))
            .apply_if(high, |select, high| select.filter(Column::Id.lt(high)))
            .apply_if(occurred.from, |select, from| select.filter(Column::OccurredAt.gte(from)))
            .apply_if(occurred.to, |select, to| select.filter(Column::OccurredAt.lt(to))))
    }
}

static BY_ID: ById<Entity> = ById::new();

/// One audit entry. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn audit_entry(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, Error> {
    BY_ID.one(db, id).await?.ok_or_else(|| Error::not_found("audit entry", id))
}

/// A page of audit entries. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn audit_entries(db: &impl ConnectionTrait, filter: &AuditFilter) -> Result<Page<Model>, Error> {
    filter.page.read(db, filter.select()?, [Column::Id], &filter.criteria).await
}

/// Where the audit chain ends. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn head(db: &impl ConnectionTrait) -> Result<AuditHead, Error> {
    let head = audit_head::Entity::find().filter(audit_head::Column::Chain.eq(CHAIN)).one(db).await?;
    Ok(head.map_or_else(AuditHead::of_nothing, Into::into))
}
