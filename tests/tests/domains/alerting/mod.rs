//! Alerting: a breach raises one alert, whoever looks, and an alert reaches its channels, whatever fails on the way.

mod deliver;
mod hooks;
mod queue;
mod rules;

use std::time::Duration;

use stanchion::domain::alerting::{Comparison, Condition, NewRule, Observation};
use stanchion::entity::alerting::alert_rule;
use stanchion::types::{Timestamp, new_id};
use stanchion::{App, Clock};
use stanchion_tests::Stage;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn above(subject: &str, value: f64, hold_for_s: u32) -> Condition {
    Condition::Threshold { subject: subject.parse().unwrap(), comparison: Comparison::Above, value, hold_for_s }
}

/// A rule without a cooldown.
pub(crate) fn rule(condition: Condition) -> NewRule {
    NewRule { cooldown_s: 0, ..NewRule::new(new_id(), "CPU 很忙 🔥".parse().unwrap(), condition) }
}

pub(crate) async fn create(stage: &Stage, new: NewRule) -> alert_rule::Model {
    stage.app.alerting().create_rule(new).await.unwrap()
}

/// Puts the clock forward by a second and observes; how many alerts that raised.
pub(crate) async fn observe(stage: &Stage, subject: &str, value: f64) -> usize {
    stage.clock.advance(SECOND);
    fired(&stage.app, subject, value, stage.clock.now()).await
}

pub(crate) async fn fired(app: &App, subject: &str, value: f64, at: Timestamp) -> usize {
    let observation = Observation::new(subject.parse().unwrap(), value, at);
    app.alerting().evaluate(&[observation]).await.unwrap().fired.len()
}
