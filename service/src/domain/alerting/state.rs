use std::time::Duration;

use super::condition::Condition;
use super::step::{Judge, State};
use crate::Error;
use crate::entity::alerting::alert_rule::Model as Rule;
use crate::entity::alerting::alert_rule_state::Model as Stored;
use crate::types::{AtColumn, Float, Json, Timestamp};

/// The row that keeps a rule's state, last written at `now`. `observed` is the observation that was taken in last.
pub(super) fn stored_state(
    rule: &Rule,
    condition: &Condition,
    state: &State,
    observed: Option<(f64, Timestamp)>,
    now: Timestamp,
) -> Result<Stored, Error> {
    let judge = judge(rule, condition);
    let last_observed = observed.map(|(value, _)| Float::try_from(value)).transpose();
    Ok(Stored {
        rule_id: rule.id,
        last_observed: last_observed.at("alert_rule_states.last_observed")?,
        last_observed_at: observed.map(|(_, at)| at),
        breached_since: judge.breached_since(state),
        last_fired_at: state.last_fired_at,
        memory: Json::of(&state.memory).at("alert_rule_states.memory")?,
        due_at: judge.due_at(state).filter(|_| rule.is_active),
        created_at: rule.created_at,
        updated_at: now,
    })
}

/// The state of a rule as it was stored. One that is not this condition's begins anew.
pub(super) fn read_state(stored: &Stored, rule: &Rule, condition: &Condition, now: Timestamp) -> State {
    let read = stored.memory.to().map(|memory| State { memory, last_fired_at: stored.last_fired_at });
    read.ok().filter(|state| state.fits(condition)).unwrap_or_else(|| {
        tracing::warn!(rule = %rule.id, "the state of an alert rule is not one of its conditions; it begins anew");
        State::new(condition, now, stored.last_fired_at)
    })
}

pub(super) fn judge<'a>(rule: &Rule, condition: &'a Condition) -> Judge<'a> {
    Judge { condition, cooldown: Duration::from_secs(u64::try_from(rule.cooldown_s).unwrap_or(0)) }
}
