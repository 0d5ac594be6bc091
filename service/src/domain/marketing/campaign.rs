use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait};
use uuid::Uuid;

use crate::Error;
use crate::db::Page;
use crate::db::page::PageRequest;
use crate::domain::{State, Transition};
use crate::entity::marketing::CampaignStatus;
use crate::entity::marketing::campaign::{Column, Entity, Model};
use crate::types::{AtColumn, Json, Text, Timestamp, id_at};

/// A campaign to be prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCampaign {
    /// Its name.
    pub name: Text<100>,
    /// What it is: `coupon`, `flash_sale`, ...
    pub kind: Text<50>,
    /// Its rules: an object, for whoever runs this kind.
    pub rules: Json,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it is over; after it begins.
    pub ends_at: Timestamp,
}

impl State for CampaignStatus {
    const ALL: &'static [Self] = Self::ALL;

    fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Draft | Self::Paused, Self::Active)
                | (Self::Active, Self::Paused)
                | (Self::Draft | Self::Active | Self::Paused, Self::Ended)
        )
    }
}

/// Which campaigns, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CampaignFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    status: Option<CampaignStatus>,
    kind: Option<Text<50>>,
}

crate::domain::paged!(CampaignFilter);

impl CampaignFilter {
    /// All campaigns.
    pub fn new() -> Self {
        Self::default()
    }

    /// In this state.
    #[must_use]
    pub const fn status(mut self, status: CampaignStatus) -> Self {
        self.criteria.status = Some(status);
        self
    }

    /// Of this kind.
    #[must_use]
    pub fn kind(mut self, kind: Text<50>) -> Self {
        self.criteria.kind = Some(kind);
        self
    }
}

/// Prepares a campaign: a draft, until it is activated. One round trip.
///
/// # Errors
/// [`Error::Value`] for a blank name or kind; [`Error::Invalid`] for rules that are no object, and for one that ends before
/// it begins.
pub async fn create_campaign(db: &impl ConnectionTrait, new: NewCampaign, now: Timestamp) -> Result<Model, Error> {
    if !new.rules.is_object() {
        return Err(Error::Invalid("the rules of a campaign are a JSON object".into()));
    }
    within(new.starts_at, new.ends_at)?;
    let model = Model {
        id: id_at(now).at("campaigns.id")?,
        name: new.name.non_blank().at("campaigns.name")?,
        kind: new.kind.non_blank().at("campaigns.kind")?,
        rules: new.rules,
        starts_at: new.starts_at,
        ends_at: new.ends_at,
        status: CampaignStatus::Draft,
        created_at: now,
        updated_at: now,
    };
    Entity::insert(model.clone().into_active_model()).exec_without_returning(db).await?;
    Ok(model)
}

/// Puts a campaign into another state: a draft becomes active, an active one is paused and goes on, and each can end, for
/// good. One round trip.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] that names both states.
pub async fn set_campaign_status(
    db: &impl ConnectionTrait,
    id: Uuid,
    to: CampaignStatus,
    now: Timestamp,
) -> Result<(), Error> {
    let update = Entity::update_many().col_expr(Column::UpdatedAt, Expr::val(now));
    Transition { what: "campaign", id: Column::Id, state: Column::Status, to }.apply(db, id, update).await
}

/// One campaign. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn campaign(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, Error> {
    Entity::find_by_id(id).one(db).await?.ok_or_else(|| Error::not_found("campaign", id))
}

/// A page of campaigns. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn campaigns(db: &impl ConnectionTrait, filter: &CampaignFilter) -> Result<Page<Model>, Error> {
    let Criteria { status, kind } = &filter.criteria;
    let select = Entity::find()
        .apply_if(*status, |select, status| select.filter(Column::Status.eq(status)))
        .apply_if(kind.clone(), |select, kind| select.filter(Column::Kind.eq(kind)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

/// Sees that something ends after it begins.
pub(super) fn within(starts_at: Timestamp, ends_at: Timestamp) -> Result<(), Error> {
    if starts_at < ends_at {
        return Ok(());
    }
    Err(Error::Invalid(format!("what begins at {starts_at} cannot end at {ends_at}")))
}
