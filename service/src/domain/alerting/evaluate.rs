use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::condition::{Condition, Subject, is_storable, price_subject};
use super::state::{judge, read_state, stored_state};
use super::step::Fire;
use crate::Error;
use crate::db::Tx;
use crate::entity::alerting::alert_rule::Model as Rule;
use crate::entity::alerting::alert_rule_state::Model as Stored;
use crate::entity::alerting::{AlertStatus, alert, alert_rule, alert_rule_state, alert_rule_subject};
use crate::types::{AtColumn, Json, LongText, Problem, Text, Timestamp, ValueError, id_for};

/// Observations that one call takes.
pub const MAX_OBSERVATIONS: usize = 1_000;
/// How far an observation may be ahead of our clock: one from the far future would make all others late.
pub const MAX_AHEAD: Duration = Duration::from_secs(300);
/// Rules that are judged in one transaction.
pub(super) const CHUNK: u64 = 200;

/// Something that was observed.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// What.
    pub subject: Subject,
    /// Its value; a finite one.
    pub value: f64,
    /// When, by whoever observed it.
    pub at: Timestamp,
}

impl Observation {
    /// An observation.
    pub const fn new(subject: Subject, value: f64, at: Timestamp) -> Self {
        Self { subject, value, at }
    }

    /// A symbol's price, as the conditions on prices look at it.
    ///
    /// # Errors
    /// [`Error::Value`] for a symbol that is too long.
    pub fn price(symbol: &str, price: f64, at: Timestamp) -> Result<Self, Error> {
        let subject = Text::try_from(price_subject(symbol)).at("alert_rule_subjects.subject")?;
        Ok(Self::new(subject, price, at))
    }
}

/// What observations, or the time alone, brought about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evaluated {
    /// Rules that were looked at.
    pub rules: usize,
    /// How often a rule took an observation in.
    pub taken: usize,
    /// How often an observation came too late for a rule, or again: then it changed nothing.
    pub late: usize,
    /// The alerts that were raised, in the order of their rules.
    pub fired: Vec<Uuid>,
}

impl std::ops::AddAssign for Evaluated {
    fn add_assign(&mut self, other: Self) {
        self.rules += other.rules;
        self.taken += other.taken;
        self.late += other.late;
        self.fired.extend(other.fired);
    }
}

/// Sees that observations can be taken in, and puts them into the order of time.
pub(super) fn in_order(observations: &[Observation], now: Timestamp) -> Result<Vec<Observation>, Error> {
    if observations.len() > MAX_OBSERVATIONS {
        return Err(Error::Invalid(format!("too many observations at once: at most {MAX_OBSERVATIONS}")));
    }
    let latest = now.plus(MAX_AHEAD).unwrap_or(now);
    for observation in observations {
        if !is_storable(observation.value) {
            return Err(Error::Invalid("the value of an observation is out of range, or not a number".to_owned()));
        }
        if observation.at > latest {
            return Err(Error::Invalid(format!(
                "an observation is from the future: {}, more than {} s ahead",
                observation.at,
                MAX_AHEAD.as_secs()
            )));
        }
        if observation.at < Timestamp::EPOCH {
            return Err(ValueError::at("alert_rule_states.last_observed_at", Problem::BeforeEpoch).into());
        }
    }
    let mut ordered = observations.to_vec();
    ordered.sort_by_key(|observation| observation.at);
    Ok(ordered)
}

/// Takes observations in, in the caller's transaction: over every active rule that looks at one of their subjects. Four
/// round trips for each two hundred rules, five when an alert is raised; one when no rule looks.
///
/// An observation that is not newer than the last one of its subject is late: it changes nothing, so that a stream may be
/// repeated, and evaluated by several instances at once: each breach raises one alert.
///
/// # Errors
/// [`Error::Invalid`] for more than [`MAX_OBSERVATIONS`], one more than [`MAX_AHEAD`] ahead of `now`, or one that is not a
/// number within [`MAX_NUMBER`](super::MAX_NUMBER); [`Error::Value`] for one before 1970.
pub async fn evaluate(
    tx: &Tx,
    observations: &[Observation],
    max_attempts: u32,
    now: Timestamp,
) -> Result<Evaluated, Error> {
    let observations = in_order(observations, now)?;
    let mut evaluated = Evaluated::default();
    let mut after = None;
    loop {
        let ids = looking_at(tx, &observations, after).await?;
        evaluated += take_in(tx, &ids, &observations, max_attempts, now).await?;
        after = ids.last().copied().filter(|_| ids.len() as u64 == CHUNK);
        if after.is_none() {
            return Ok(evaluated);
        }
    }
}

/// The active rules that look at one of the subjects, in the order of their ids, the next after `after`.
pub(super) async fn looking_at(
    db: &impl ConnectionTrait,
    observations: &[Observation],
    after: Option<Uuid>,
) -> Result<Vec<Uuid>, Error> {
    use alert_rule_subject::{Column, Entity};
    let subjects: BTreeSet<&str> = observations.iter().map(|observation| observation.subject.as_str()).collect();
    if subjects.is_empty() {
        return Ok(Vec::new());
    }
    let mut select = Entity::find()
        .select_only()
        .distinct()
        .column(Column::RuleId)
        .inner_join(alert_rule::Entity)
        .filter(Column::Subject.is_in(subjects))
        .filter(alert_rule::Column::IsActive.eq(true))
        .order_by_asc(Column::RuleId)
        .limit(CHUNK);
    if let Some(after) = after {
        select = select.filter(Column::RuleId.gt(after));
    }
    Ok(select.into_tuple().all(db).await?)
}

/// The rules for which something is due, longest due first.
pub(super) async fn due(db: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<Uuid>, Error> {
    use alert_rule_state::{Column, Entity};
    let select = Entity::find()
        .select_only()
        .column(Column::RuleId)
        .filter(Column::DueAt.lte(now))
        .order_by_asc(Column::DueAt)
        .order_by_asc(Column::RuleId)
        .limit(CHUNK);
    Ok(select.into_tuple().all(db).await?)
}

/// Lets the rules of these ids take the observations in.
pub(super) async fn take_in(
    tx: &Tx,
    ids: &[Uuid],
    observations: &[Observation],
    max_attempts: u32,
    now: Timestamp,
) -> Result<Evaluated, Error> {
    let mut evaluated = Evaluated::default();
    let mut written = Written::default();
    for (stored, rule) in locked(tx, ids).await? {
        let Some((rule, condition)) = rule else { continue };
        evaluated.rules += 1;
        let judge = judge(&rule, &condition);
        let mut state = read_state(&stored, &rule, &condition, now);
        let mut observed = stored.last_observed.zip(stored.last_observed_at).map(|(value, at)| (value.get(), at));
        let subjects = condition.subjects();
        let (mut fires, mut taken) = (Vec::new(), 0);
        for observation in observations.iter().filter(|observation| subjects.contains(observation.subject.as_str())) {
            let Observation { subject, value, at } = observation;
            if judge.observe(&mut state, subject, *value, *at, &mut fires).is_none() {
                evaluated.late += 1;
                continue;
            }
            taken += 1;
            let before = observed.replace((*value, *at));
            for fire in fires.drain(..) {
                // Time alone may have raised it before the observation came.
                let seen = if fire.at < *at { before } else { observed };
                written.alerts.push(raised(&rule, &condition, fire, seen, max_attempts, now)?);
            }
        }
        evaluated.taken += taken;
        if taken > 0 {
            written.states.push(stored_state(&rule, &condition, &state, observed, now)?);
        }
    }
    evaluated.fired = written.write(tx).await?;
    Ok(evaluated)
}

/// Lets time pass for the rules of these ids.
pub(super) async fn let_pass(tx: &Tx, ids: &[Uuid], max_attempts: u32, now: Timestamp) -> Result<Evaluated, Error> {
    let mut evaluated = Evaluated::default();
    let mut written = Written::default();
    for (stored, rule) in locked(tx, ids).await? {
        let Some((rule, condition)) = rule else {
            written.states.push(Stored { due_at: None, updated_at: now, ..stored });
            continue;
        };
        evaluated.rules += 1;
        let mut state = read_state(&stored, &rule, &condition, now);
        let observed = stored.last_observed.zip(stored.last_observed_at).map(|(value, at)| (value.get(), at));
        let mut fires = Vec::new();
        judge(&rule, &condition).advance(&mut state, now, &mut fires);
        for fire in fires {
            written.alerts.push(raised(&rule, &condition, fire, observed, max_attempts, now)?);
        }
        written.states.push(stored_state(&rule, &condition, &state, observed, now)?);
    }
    evaluated.fired = written.write(tx).await?;
    Ok(evaluated)
}

/// The states of these rules, locked in the order of their ids, with those of the rules that are active and can be read.
async fn locked(tx: &Tx, ids: &[Uuid]) -> Result<Vec<(Stored, Option<(Rule, Condition)>)>, Error> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let states = alert_rule_state::Entity::find()
        .filter(alert_rule_state::Column::RuleId.is_in(ids.iter().copied()))
        .order_by_asc(alert_rule_state::Column::RuleId)
        .lock_exclusive()
        .all(tx)
        .await?;
    // Read after the locks are held: whoever changes a rule holds its state's.
    let rules = alert_rule::Entity::find()
        .filter(alert_rule::Column::Id.is_in(states.iter().map(|state| state.rule_id)))
        .filter(alert_rule::Column::IsActive.eq(true))
        .all(tx)
        .await?;
    let mut rules: HashMap<Uuid, Rule> = rules.into_iter().map(|rule| (rule.id, rule)).collect();
    let paired = states.into_iter().map(|state| {
        let rule = rules.remove(&state.rule_id).and_then(|rule| {
            let read = Condition::of_rule(&rule);
            let read =
                read.inspect_err(|error| tracing::error!(rule = %rule.id, %error, "an alert rule cannot be read"));
            read.ok().map(|condition| (rule, condition))
        });
        (state, rule)
    });
    Ok(paired.collect())
}

/// What is to be written, each table at once.
#[derive(Default)]
struct Written {
    states: Vec<Stored>,
    alerts: Vec<alert::Model>,
}

impl Written {
    async fn write(self, tx: &Tx) -> Result<Vec<Uuid>, Error> {
        use alert_rule_state::Column;
        if !self.states.is_empty() {
            let mut update = OnConflict::column(Column::RuleId);
            update.update_columns([
                Column::LastObserved,
                Column::LastObservedAt,
                Column::BreachedSince,
                Column::LastFiredAt,
                Column::Memory,
                Column::DueAt,
                Column::UpdatedAt,
            ]);
            let rows = self.states.into_iter().map(IntoActiveModel::into_active_model);
            alert_rule_state::Entity::insert_many(rows).on_conflict(update).exec_without_returning(tx).await?;
        }
        let fired: Vec<Uuid> = self.alerts.iter().map(|alert| alert.id).collect();
        if !fired.is_empty() {
            // The id is made of the rule and its breach: raised already, it is not raised again.
            let rows = self.alerts.into_iter().map(IntoActiveModel::into_active_model);
            let insert = alert::Entity::insert_many(rows).on_conflict_do_nothing_on([alert::Column::Id]);
            insert.exec_without_returning(tx).await?;
        }
        Ok(fired)
    }
}

fn raised(
    rule: &Rule,
    condition: &Condition,
    fire: Fire,
    observed: Option<(f64, Timestamp)>,
    max_attempts: u32,
    now: Timestamp,
) -> Result<alert::Model, Error> {
    let Fire { since, met_at, at } = fire;
    let key = [&*rule.id.to_string(), &*met_at.micros().to_string(), &*since.micros().to_string()];
    let last = observed.map(|(value, at)| format!("; last observed: {value} at {at}")).unwrap_or_default();
    let metadata = serde_json::json!({ "since": since, "value": observed.map(|(value, _)| value) });
    Ok(alert::Model {
        id: id_for(at, &key).at("alerts.id")?,
        rule_id: Some(rule.id),
        user_id: rule.user_id,
        title: rule.name.clone(),
        message: LongText::try_from(format!("{condition}, since {since}{last}")).at("alerts.message")?,
        severity: rule.severity,
        status: AlertStatus::Pending,
        metadata: Some(Json::try_from(metadata).at("alerts.metadata")?),
        dedup_key: None,
        attempts: 0,
        max_attempts: i32::try_from(max_attempts).unwrap_or(i32::MAX),
        next_attempt_at: Some(now),
        sent_at: None,
        created_at: at,
        updated_at: now,
    })
}
