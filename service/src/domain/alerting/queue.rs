use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, OnConflict};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::Error;
use crate::db::Tx;
use crate::domain::{State, Transition};
use crate::entity::alerting::alert::{self, Column, Entity, Model as Alert};
use crate::entity::alerting::alert_delivery::{self, Model as Delivery};
use crate::entity::alerting::{AlertStatus, Channel, DeliveryStatus, Severity};
use crate::types::{AtColumn, Json, LongText, Text, Timestamp, id_at};

/// Alerts that one claim takes at most.
pub const MAX_CLAIM: u32 = 100;

/// When an alert that did not reach its channels is tried again, and when no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySchedule {
    /// Attempts after which an alert is given up.
    pub max_attempts: u32,
    /// The pause after the first attempt; it doubles with each one.
    pub backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
}

impl Default for RetrySchedule {
    /// Eight attempts, with pauses of 5 seconds to 15 minutes.
    fn default() -> Self {
        Self { max_attempts: 8, backoff: Duration::from_secs(5), max_backoff: Duration::from_secs(900) }
    }
}

impl RetrySchedule {
    /// The pause after an attempt, from 1: up to a quarter shorter than the schedule says, by the alert's id, so that those
    /// that failed together do not come back together.
    pub fn pause(&self, alert: Uuid, attempt: u32) -> Duration {
        let doubled = self.backoff.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
        let longest = doubled.min(self.max_backoff);
        let share = f64::from(alert.as_bytes()[15]) / 255.0;
        longest - longest.mul_f64(share / 4.0)
    }
}

/// An alert that a service raises itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAlert {
    /// The user who is told.
    pub user_id: Uuid,
    /// How urgent it is.
    pub severity: Severity,
    /// What happened, in a line.
    pub title: Text<255>,
    /// What happened.
    pub message: LongText,
    /// What else there is to know.
    pub metadata: Option<Json>,
    /// What makes it the same alert: a second one with this key is not raised, ever.
    pub dedup_key: Option<Text<200>>,
}

impl NewAlert {
    /// An alert without a key.
    #[must_use]
    pub const fn new(user_id: Uuid, severity: Severity, title: Text<255>, message: LongText) -> Self {
        Self { user_id, severity, title, message, metadata: None, dedup_key: None }
    }

    /// With this key.
    #[must_use]
    pub fn dedup_key(mut self, key: Text<200>) -> Self {
        self.dedup_key = Some(key);
        self
    }
}

/// An alert that a worker holds until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The alert; its `attempts` is the number of this attempt, by which the result is accepted.
    pub alert: Alert,
    /// How far earlier attempts got.
    pub deliveries: Vec<Delivery>,
}

impl Claim {
    /// Whether a channel still has to be tried.
    pub fn wants(&self, channel: Channel) -> bool {
        let known = self.deliveries.iter().find(|delivery| delivery.channel == channel);
        known.is_none_or(|delivery| delivery.status == DeliveryStatus::Pending)
    }
}

/// What became of an alert on a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The channel.
    pub channel: Channel,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of one attempt on one channel. The texts are stored: no secrets in them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The channel accepted it.
    Delivered,
    /// It did not, and may later.
    Retry {
        /// Why.
        error: String,
        /// How long the channel asked to be left alone.
        after: Option<Duration>,
    },
    /// It did not, and will not.
    Refused {
        /// Why.
        error: String,
    },
    /// It is not configured.
    Skipped,
}

/// What an attempt made of the alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Recorded {
    /// It has reached every channel that did not give up.
    Sent,
    /// It is tried again from this instant on.
    Retry(Timestamp),
    /// It reached no channel, and is given up.
    Failed,
    /// Somebody has acknowledged it meanwhile; it stays so.
    Acknowledged,
}

impl State for AlertStatus {
    const ALL: &'static [Self] = Self::ALL;

    fn may_become(self, next: Self) -> bool {
        use AlertStatus::{Acknowledged, Failed, Pending, Sending, Sent};
        matches!(
            (self, next),
            (Pending | Sending, Sending)
                | (Sending, Pending | Sent | Failed)
                | (Failed, Pending)
                | (Pending | Sending | Sent | Failed, Acknowledged)
        )
    }
}

/// Raises an alert. One round trip; two with a key.
///
/// With a key that was used before, nothing happens and the alert that was raised then is returned, whatever it says.
///
/// # Errors
/// [`Error::Value`] for a blank title.
pub async fn enqueue(
    db: &impl ConnectionTrait,
    new: NewAlert,
    max_attempts: u32,
    now: Timestamp,
) -> Result<Alert, Error> {
    let alert = Alert {
        id: id_at(now).at("alerts.id")?,
        rule_id: None,
        user_id: new.user_id,
        title: new.title.non_blank().at("alerts.title")?,
        message: new.message,
        severity: new.severity,
        status: AlertStatus::Pending,
        metadata: new.metadata,
        dedup_key: new.dedup_key.map(Text::non_blank).transpose().at("alerts.dedup_key")?,
        attempts: 0,
        max_attempts: i32::try_from(max_attempts).unwrap_or(i32::MAX),
        next_attempt_at: Some(now),
        sent_at: None,
        created_at: now,
        updated_at: now,
    };
    let insert = Entity::insert_many([alert.clone().into_active_model()]);
    let Some(key) = alert.dedup_key.clone() else {
        insert.exec_without_returning(db).await?;
        return Ok(alert);
    };
    insert.on_conflict_do_nothing_on([Column::DedupKey]).exec_without_returning(db).await?;
    let stored = Entity::find().filter(Column::DedupKey.eq(key.clone())).one(db).await?;
    stored.ok_or_else(|| Error::not_found("alert", key))
}

/// Takes up to `n` alerts that are due, oldest due first, for as long as `lease`; no two workers hold the same one. Three
/// round trips, five where some are given up; one when there is nothing to do.
///
/// One whose worker did not come back in time is due again when its lease ends, until its attempts are used up.
///
/// # Errors
/// Those of the database.
pub async fn claim(tx: &Tx, n: u32, lease: Duration, now: Timestamp) -> Result<Vec<Claim>, Error> {
    let mut due = Entity::find()
        .filter(Column::NextAttemptAt.lte(now))
        .order_by_asc(Column::NextAttemptAt)
        .order_by_asc(Column::Id)
        .limit(u64::from(n.clamp(0, MAX_CLAIM)))
        // Those that others are taking at this moment are passed over. SQLite has one writer.
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
        .all(tx)
        .await?;
    let used_up: Vec<Uuid> =
        due.iter().filter(|alert| alert.attempts >= alert.max_attempts).map(|alert| alert.id).collect();
    if !used_up.is_empty() {
        give_up(tx, &used_up, now).await?;
        due.retain(|alert| alert.attempts < alert.max_attempts);
    }
    if due.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = due.iter().map(|alert| alert.id).collect();
    let until = now.plus(lease).at("alerts.next_attempt_at")?;
    Entity::update_many()
        .set(alert::ActiveModel {
            status: Set(AlertStatus::Sending),
            next_attempt_at: Set(Some(until)),
            updated_at: Set(now),
            ..Default::default()
        })
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .filter(Column::Id.is_in(ids.iter().copied()))
        .exec(tx)
        .await?;
    let mut deliveries = alert_delivery::Entity::find()
        .filter(alert_delivery::Column::AlertId.is_in(ids))
        .order_by_asc(alert_delivery::Column::Id)
        .all(tx)
        .await?;
    let claims = due.into_iter().map(|alert| {
        let own = deliveries.extract_if(.., |delivery| delivery.alert_id == alert.id).collect();
        let attempts = alert.attempts + 1;
        let status = AlertStatus::Sending;
        let alert = Alert { status, attempts, next_attempt_at: Some(until), updated_at: now, ..alert };
        Claim { alert, deliveries: own }
    });
    Ok(claims.collect())
}

/// Gives alerts up whose workers died at every attempt: what was delivered counts.
async fn give_up(tx: &Tx, ids: &[Uuid], now: Timestamp) -> Result<(), Error> {
    let reached: Vec<Uuid> = alert_delivery::Entity::find()
        .select_only()
        .distinct()
        .column(alert_delivery::Column::AlertId)
        .filter(alert_delivery::Column::AlertId.is_in(ids.iter().copied()))
        .filter(alert_delivery::Column::Status.eq(DeliveryStatus::Delivered))
        .into_tuple()
        .all(tx)
        .await?;
    for (status, sent_at) in [(AlertStatus::Sent, Some(now)), (AlertStatus::Failed, None)] {
        let of_this: Vec<Uuid> =
            ids.iter().copied().filter(|id| reached.contains(id) == (status == AlertStatus::Sent)).collect();
        if of_this.is_empty() {
            continue;
        }
        let update = alert::ActiveModel {
            status: Set(status),
            sent_at: Set(sent_at),
            next_attempt_at: Set(None),
            updated_at: Set(now),
            ..Default::default()
        };
        Entity::update_many().set(update).filter(Column::Id.is_in(of_this)).exec(tx).await?;
    }
    Ok(())
}

/// Records what an attempt's channels said. Four round trips.
///
/// `None`: another worker has taken the alert since, and this result is late; what was delivered is recorded all the same,
/// so that it is not sent again, and the rest is left to the other one.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn record(
    tx: &Tx,
    alert_id: Uuid,
    attempt: i32,
    reports: &[Report],
    schedule: &RetrySchedule,
    now: Timestamp,
) -> Result<Option<Recorded>, Error> {
    let alert = Entity::find_by_id(alert_id).lock_exclusive().one(tx).await?;
    let alert = alert.ok_or_else(|| Error::not_found("alert", alert_id))?;
    let is_late = alert.attempts != attempt || matches!(alert.status, AlertStatus::Sent | AlertStatus::Failed);
    let last_attempt = attempt >= alert.max_attempts;
    let mut known = alert_delivery::Entity::find().filter(alert_delivery::Column::AlertId.eq(alert_id)).all(tx).await?;
    let mut rows = Vec::new();
    let mut wait: Option<Duration> = None;
    for report in reports.iter().filter(|report| !is_late || report.outcome == Outcome::Delivered) {
        let at = known.iter().position(|delivery| delivery.channel == report.channel);
        if at.is_some_and(|at| known[at].status == DeliveryStatus::Delivered) {
            continue;
        }
        let before = at.map(|at| known.swap_remove(at));
        let row = delivery(alert_id, before, report, last_attempt, now)?;
        if let Outcome::Retry { after, .. } = &report.outcome {
            wait = wait.max(*after);
        }
        known.push(row.clone());
        rows.push(row.into_active_model());
    }
    if !rows.is_empty() {
        use alert_delivery::Column;
        let mut update = OnConflict::columns([Column::AlertId, Column::Channel]);
        update.update_columns([
            Column::Status,
            Column::Attempts,
            Column::LastError,
            Column::DeliveredAt,
            Column::UpdatedAt,
        ]);
        alert_delivery::Entity::insert_many(rows).on_conflict(update).exec_without_returning(tx).await?;
    }
    if is_late {
        return Ok(None);
    }
    if alert.status == AlertStatus::Acknowledged {
        return Ok(Some(Recorded::Acknowledged));
    }
    let has = |status| known.iter().any(|delivery| delivery.status == status);
    let recorded = if has(DeliveryStatus::Pending) {
        let pause = schedule.pause(alert_id, u32::try_from(attempt).unwrap_or(1));
        Recorded::Retry(now.plus(pause.max(wait.unwrap_or_default())).at("alerts.next_attempt_at")?)
    } else if has(DeliveryStatus::Delivered) || known.is_empty() {
        Recorded::Sent
    } else {
        Recorded::Failed
    };
    let (status, next_attempt_at, sent_at) = match recorded {
        Recorded::Retry(at) => (AlertStatus::Pending, Some(at), None),
        Recorded::Failed => (AlertStatus::Failed, None, None),
        _ => (AlertStatus::Sent, None, Some(now)),
    };
    let update = alert::ActiveModel {
        status: Set(status),
        next_attempt_at: Set(next_attempt_at),
        sent_at: Set(sent_at),
        updated_at: Set(now),
        ..Default::default()
    };
    let update = Entity::update_many()
        .set(update)
        .filter(Column::Id.eq(alert_id))
        .filter(Column::Status.eq(AlertStatus::Sending))
        .filter(Column::Attempts.eq(attempt));
    let updated = update.exec(tx).await?;
    Ok((updated.rows_affected == 1).then_some(recorded))
}

fn delivery(
    alert_id: Uuid,
    before: Option<Delivery>,
    report: &Report,
    last_attempt: bool,
    now: Timestamp,
) -> Result<Delivery, Error> {
    let (status, error) = match &report.outcome {
        Outcome::Delivered => (DeliveryStatus::Delivered, None),
        Outcome::Retry { error, .. } if last_attempt => (DeliveryStatus::Failed, Some(error)),
        Outcome::Retry { error, .. } => (DeliveryStatus::Pending, Some(error)),
        Outcome::Refused { error } => (DeliveryStatus::Failed, Some(error)),
        Outcome::Skipped => (DeliveryStatus::Skipped, None),
    };
    // What a server said may hold what no column does.
    let error = error.map(|error| error.replace('\0', " ").chars().take(1_000).collect::<String>());
    let error = error.map(LongText::try_from).transpose().at("alert_deliveries.last_error")?;
    let tried = i32::from(status != DeliveryStatus::Skipped);
    Ok(Delivery {
        id: before.as_ref().map_or_else(|| id_at(now).at("alert_deliveries.id"), |before| Ok(before.id))?,
        alert_id,
        channel: report.channel,
        status,
        attempts: before.as_ref().map_or(0, |before| before.attempts).saturating_add(tried),
        last_error: error.or_else(|| before.as_ref().and_then(|before| before.last_error.clone())),
        delivered_at: (status == DeliveryStatus::Delivered).then_some(now),
        created_at: before.map_or(now, |before| before.created_at),
        updated_at: now,
    })
}

/// Takes notice of an alert: from then on it is not delivered any more. One round trip.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it is acknowledged already.
pub async fn acknowledge(db: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<(), Error> {
    let transition = Transition { what: "alert", id: Column::Id, state: Column::Status, to: AlertStatus::Acknowledged };
    let update = alert::ActiveModel { next_attempt_at: Set(None), updated_at: Set(now), ..Default::default() };
    transition.apply(db, id, Entity::update_many().set(update)).await
}

/// Gives a failed alert as many attempts again, beginning at `now`, on the channels that it did not reach. Two round trips.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] when it has not failed.
pub async fn retry(tx: &Tx, id: Uuid, max_attempts: u32, now: Timestamp) -> Result<(), Error> {
    let transition = Transition { what: "alert", id: Column::Id, state: Column::Status, to: AlertStatus::Pending };
    let more = i32::try_from(max_attempts).unwrap_or(i32::MAX);
    let update = Entity::update_many()
        .set(alert::ActiveModel { next_attempt_at: Set(Some(now)), updated_at: Set(now), ..Default::default() })
        // The attempts go on counting: they tell a late worker's result from one of now.
        .col_expr(Column::MaxAttempts, Expr::col(Column::Attempts).add(more))
        // One that is being sent may become pending as well, but by its worker.
        .filter(Column::Status.eq(AlertStatus::Failed));
    transition.apply(tx, id, update).await?;
    alert_delivery::Entity::update_many()
        .set(alert_delivery::ActiveModel {
            status: Set(DeliveryStatus::Pending),
            updated_at: Set(now),
            ..Default::default()
        })
        .filter(alert_delivery::Column::AlertId.eq(id))
        .filter(alert_delivery::Column::Status.ne(DeliveryStatus::Delivered))
        .exec(tx)
        .await?;
    Ok(())
}
