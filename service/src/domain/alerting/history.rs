use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QueryTrait};
use uuid::Uuid;

use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{ById, Page};
use crate::entity::alerting::alert::{Column, Entity, Model as Alert};
use crate::entity::alerting::alert_delivery::{self, Model as Delivery};
use crate::entity::alerting::{AlertStatus, Severity};
use crate::types::{TimeRange, Timestamp, id_bounds};

/// Which alerts, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    user_id: Option<Uuid>,
    rule_id: Option<Uuid>,
    severity: Option<Severity>,
    status: Option<AlertStatus>,
    created: TimeRange,
}

crate::domain::paged!(AlertFilter);

impl AlertFilter {
    /// All alerts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this user.
    #[must_use]
    pub const fn user(mut self, user_id: Uuid) -> Self {
        self.criteria.user_id = Some(user_id);
        self
    }

    /// Raised by this rule.
    #[must_use]
    pub const fn rule(mut self, rule_id: Uuid) -> Self {
        self.criteria.rule_id = Some(rule_id);
        self
    }

    /// Of this severity.
    #[must_use]
    pub const fn severity(mut self, severity: Severity) -> Self {
        self.criteria.severity = Some(severity);
        self
    }

    /// In this state.
    #[must_use]
    pub const fn status(mut self, status: AlertStatus) -> Self {
        self.criteria.status = Some(status);
        self
    }

    /// Raised at this instant or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.criteria.created.from = Some(from);
        self
    }

    /// Raised before this instant.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.criteria.created.to = Some(to);
        self
    }
}

static BY_ID: ById<Entity> = ById::new();

/// One alert. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn alert(db: &impl ConnectionTrait, id: Uuid) -> Result<Alert, Error> {
    BY_ID.one(db, id).await?.ok_or_else(|| Error::not_found("alert", id))
}

/// A page of alerts. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn alerts(db: &impl ConnectionTrait, filter: &AlertFilter) -> Result<Page<Alert>, Error> {
    let Criteria { user_id, rule_id, severity, status, created } = filter.criteria;
    // The id carries the time: its bounds narrow an index's range down.
    let (low, high) = id_bounds(created);
    let select = Entity::find()
        .apply_if(user_id, |select, user| select.filter(Column::UserId.eq(user)))
        .apply_if(rule_id, |select, rule| select.filter(Column::RuleId.eq(rule)))
        .apply_if(severity, |select, severity| select.filter(Column::Severity.eq(severity)))
        .apply_if(status, |select, status| select.filter(Column::Status.eq(status)))
        .apply_if(low, |select, low| select.filter(Column::Id.gte(low)))
        .apply_if(high, |select, high| select.filter(Column::Id.lt(high)))
        .apply_if(created.from, |select, from| select.filter(Column::CreatedAt.gte(from)))
        .apply_if(created.to, |select, to| select.filter(Column::CreatedAt.lt(to)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

/// How far an alert got, a row for each channel that was tried. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn deliveries(db: &impl ConnectionTrait, alert_id: Uuid) -> Result<Vec<Delivery>, Error> {
    let select = alert_delivery::Entity::find()
        .filter(alert_delivery::Column::AlertId.eq(alert_id))
        .order_by_asc(alert_delivery::Column::Channel);
    Ok(select.all(db).await?)
}
