use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use super::condition::{Condition, MAX_SECONDS};
use super::state::stored_state;
use super::step::State;
use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{ById, Page, Tx};
use crate::entity::alerting::alert_rule::{self, Model as Rule};
use crate::entity::alerting::{RuleType, Severity, alert_rule_state, alert_rule_subject};
use crate::types::{AtColumn, LongText, Text, Timestamp, id_at};

/// A rule to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewRule {
    /// The user who is told.
    pub user_id: Uuid,
    /// Its name: the title of its alerts.
    pub name: Text<255>,
    /// What it is for.
    pub description: LongText,
    /// When it raises an alert.
    pub condition: Condition,
    /// How urgent its alerts are.
    pub severity: Severity,
    /// Seconds after an alert in which it raises no other: a breach that begins then, and still holds when they are over,
    /// raises its alert then.
    pub cooldown_s: u32,
    /// Whether it is evaluated.
    pub is_active: bool,
}

impl NewRule {
    /// An active rule that warns, every five minutes at most.
    #[must_use]
    pub fn new(user_id: Uuid, name: Text<255>, condition: Condition) -> Self {
        Self {
            user_id,
            name,
            description: LongText::default(),
            condition,
            severity: Severity::Warning,
            cooldown_s: 300,
            is_active: true,
        }
    }
}

/// What to change of a rule; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleChange {
    /// Its name.
    pub name: Option<Text<255>>,
    /// What it is for.
    pub description: Option<LongText>,
    /// When it raises an alert. Another condition begins to look anew.
    pub condition: Option<Condition>,
    /// How urgent its alerts are.
    pub severity: Option<Severity>,
    /// Its cooldown, in seconds.
    pub cooldown_s: Option<u32>,
    /// Whether it is evaluated. Switched on, it begins to look anew.
    pub is_active: Option<bool>,
}

/// Which rules, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    user_id: Option<Uuid>,
    rule_type: Option<RuleType>,
    is_active: Option<bool>,
}

crate::domain::paged!(RuleFilter);

impl RuleFilter {
    /// All rules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this user.
    #[must_use]
    pub const fn user(mut self, user_id: Uuid) -> Self {
        self.criteria.user_id = Some(user_id);
        self
    }

    /// Of this type.
    #[must_use]
    pub const fn rule_type(mut self, rule_type: RuleType) -> Self {
        self.criteria.rule_type = Some(rule_type);
        self
    }

    /// Active ones, or those that are not.
    #[must_use]
    pub const fn active(mut self, is_active: bool) -> Self {
        self.criteria.is_active = Some(is_active);
        self
    }
}

impl Condition {
    /// The condition of a stored rule.
    ///
    /// # Errors
    /// [`Error::Invalid`] if somebody else wrote it, in a form that is none.
    pub fn of_rule(rule: &Rule) -> Result<Self, Error> {
        Self::from_json(rule.conditions.clone().into_value())
    }
}

fn cooldown(seconds: u32) -> Result<i32, Error> {
    let within =
        Some(seconds).filter(|seconds| *seconds <= MAX_SECONDS).and_then(|seconds| i32::try_from(seconds).ok());
    within.ok_or_else(|| Error::Invalid(format!("alert_rules.cooldown_s is too long: at most {MAX_SECONDS} s")))
}

/// Writes a rule at `now`; from then on it looks. Three round trips.
///
/// # Errors
/// [`Error::Invalid`] that names what is wrong with the condition; [`Error::Value`] for a blank name.
pub async fn create_rule(tx: &Tx, rule: NewRule, now: Timestamp) -> Result<Rule, Error> {
    rule.condition.check()?;
    let model = Rule {
        id: id_at(now).at("alert_rules.id")?,
        user_id: rule.user_id,
        name: rule.name.non_blank().at("alert_rules.name")?,
        description: rule.description,
        rule_type: rule.condition.rule_type(),
        conditions: rule.condition.to_column()?,
        severity: rule.severity,
        cooldown_s: cooldown(rule.cooldown_s)?,
        is_active: rule.is_active,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    alert_rule::Entity::insert(model.clone().into_active_model()).exec_without_returning(tx).await?;
    insert_subjects(tx, model.id, &rule.condition).await?;
    let state = State::new(&rule.condition, now, None);
    let state = stored_state(&model, &rule.condition, &state, None, now)?;
    alert_rule_state::Entity::insert(state.into_active_model()).exec_without_returning(tx).await?;
    Ok(model)
}

/// Changes a rule that is still at `version`. Four round trips; six with another condition.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Stale`] when it was changed meanwhile; those of [`create_rule`].
pub async fn update_rule(tx: &Tx, id: Uuid, version: i32, change: RuleChange, now: Timestamp) -> Result<Rule, Error> {
    // The state is the rule's lock: evaluations hold it, and come to the rule only then.
    let state = locked_state(tx, id).await?;
    let rule = BY_ID.one(tx, id).await?.ok_or_else(|| Error::not_found("alert rule", id))?;
    if rule.version != version {
        return Err(Error::stale("alert rule", id));
    }
    let before = rule.clone();
    let name = change.name.unwrap_or(rule.name).non_blank().at("alert_rules.name")?;
    let mut rule = Rule {
        name,
        description: change.description.unwrap_or(rule.description),
        severity: change.severity.unwrap_or(rule.severity),
        cooldown_s: change.cooldown_s.map_or(Ok(rule.cooldown_s), cooldown)?,
        is_active: change.is_active.unwrap_or(rule.is_active),
        version: rule.version.wrapping_add(1),
        updated_at: now,
        ..rule
    };
    if let Some(condition) = &change.condition {
        condition.check()?;
        rule.rule_type = condition.rule_type();
        rule.conditions = condition.to_column()?;
    }
    let updated = alert_rule::Entity::update_many()
        .set(alert_rule::ActiveModel { id: NotSet, ..rule.clone().into_active_model().reset_all() })
        .filter(alert_rule::Column::Id.eq(id))
        .filter(alert_rule::Column::Version.eq(version))
        .exec(tx)
        .await?;
    if updated.rows_affected != 1 {
        return Err(Error::stale("alert rule", id));
    }
    let is_another = rule.conditions != before.conditions;
    let condition = Condition::of_rule(&rule)?;
    if is_another {
        alert_rule_subject::Entity::delete_many().filter(alert_rule_subject::Column::RuleId.eq(id)).exec(tx).await?;
        insert_subjects(tx, id, &condition).await?;
    }
    let mut update = alert_rule_state::Entity::update_many().filter(alert_rule_state::Column::RuleId.eq(id));
    if is_another || (rule.is_active && !before.is_active) {
        let fresh = State::new(&condition, now, state.last_fired_at);
        let stored = stored_state(&rule, &condition, &fresh, None, now)?;
        update = update.set(alert_rule_state::ActiveModel {
            rule_id: NotSet,
            created_at: NotSet,
            ..stored.into_active_model().reset_all()
        });
    } else {
        // Whatever the change means for what is due, the next sweep sees it.
        let due_at = Set(rule.is_active.then_some(now));
        update = update.set(alert_rule_state::ActiveModel { due_at, ..Default::default() });
    }
    update.exec(tx).await?;
    Ok(rule)
}

/// Deletes a rule with its state and its alerts. Two round trips.
///
/// # Errors
/// [`Error::NotFound`].
pub async fn delete_rule(tx: &Tx, id: Uuid) -> Result<(), Error> {
    locked_state(tx, id).await?;
    let deleted = alert_rule::Entity::delete_by_id(id).exec(tx).await?;
    if deleted.rows_affected == 1 { Ok(()) } else { Err(Error::not_found("alert rule", id)) }
}

static BY_ID: ById<alert_rule::Entity> = ById::new();

/// One rule. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn rule(db: &impl ConnectionTrait, id: Uuid) -> Result<Rule, Error> {
    BY_ID.one(db, id).await?.ok_or_else(|| Error::not_found("alert rule", id))
}

/// A page of rules. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn rules(db: &impl ConnectionTrait, filter: &RuleFilter) -> Result<Page<Rule>, Error> {
    use alert_rule::Column;
    let Criteria { user_id, rule_type, is_active } = filter.criteria;
    let select = alert_rule::Entity::find()
        .apply_if(user_id, |select, user| select.filter(Column::UserId.eq(user)))
        .apply_if(rule_type, |select, rule_type| select.filter(Column::RuleType.eq(rule_type)))
        .apply_if(is_active, |select, is_active| select.filter(Column::IsActive.eq(is_active)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

/// What a rule has seen so far. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn rule_state(db: &impl ConnectionTrait, id: Uuid) -> Result<alert_rule_state::Model, Error> {
    let state = alert_rule_state::Entity::find_by_id(id).one(db).await?;
    state.ok_or_else(|| Error::not_found("alert rule", id))
}

async fn locked_state(tx: &Tx, id: Uuid) -> Result<alert_rule_state::Model, Error> {
    let state = alert_rule_state::Entity::find_by_id(id).lock_exclusive().one(tx).await?;
    state.ok_or_else(|| Error::not_found("alert rule", id))
}

async fn insert_subjects(tx: &Tx, rule_id: Uuid, condition: &Condition) -> Result<(), Error> {
    let rows = condition.subjects().into_iter().map(|subject| {
        let subject = Text::try_from(subject).at("alert_rule_subjects.subject")?;
        Ok(alert_rule_subject::Model { rule_id, subject }.into_active_model())
    });
    let rows = rows.collect::<Result<Vec<_>, Error>>()?;
    alert_rule_subject::Entity::insert_many(rows).exec_without_returning(tx).await?;
    Ok(())
}
