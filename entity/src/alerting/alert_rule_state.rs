//! What a rule has seen so far.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::{Float, Json, Timestamp};

/// The state of a rule, shared by all instances that evaluate it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "alert_rule_states")]
pub struct Model {
    /// The rule.
    #[sea_orm(primary_key, auto_increment = false)]
    pub rule_id: Uuid,
    /// The value observed last.
    pub last_observed: Option<Float>,
    /// When it was observed.
    pub last_observed_at: Option<Timestamp>,
    /// Since when the rule's conditions hold without a break.
    pub breached_since: Option<Timestamp>,
    /// When the rule last raised an alert.
    pub last_fired_at: Option<Timestamp>,
    /// What its conditions remember: the observations of their windows, the breach that is on.
    pub memory: Json,
    /// When time alone may change something next: a hold that runs out, a value that stays away, a cooldown that ends.
    pub due_at: Option<Timestamp>,
    /// When the rule was written.
    pub created_at: Timestamp,
    /// When the state last changed.
    pub updated_at: Timestamp,
    /// The rule.
    #[sea_orm(belongs_to, from = "rule_id", to = "id", on_delete = "Cascade")]
    pub rule: BelongsTo<super::alert_rule::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
