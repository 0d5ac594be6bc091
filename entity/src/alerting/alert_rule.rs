//! A rule that raises alerts.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::{RuleType, Severity};
use crate::types::{Json, LongText, Text, Timestamp};

/// What a user wants to be told about.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "alert_rules")]
pub struct Model {
    /// The rule's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The user who is told.
    pub user_id: Uuid,
    /// The rule's name.
    pub name: Text<255>,
    /// What it is for.
    pub description: LongText,
    /// What it looks at.
    pub rule_type: RuleType,
    /// When it holds; its form follows from the type.
    pub conditions: Json,
    /// How urgent its alerts are.
    pub severity: Severity,
    /// Seconds after an alert in which it raises no other.
    pub cooldown_s: i32,
    /// Whether it is evaluated.
    pub is_active: bool,
    /// Optimistic locking: it goes up with every change.
    pub version: i32,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What it has seen so far.
    #[sea_orm(has_one)]
    pub state: HasOne<super::alert_rule_state::Entity>,
    /// What it looks at.
    #[sea_orm(has_many)]
    pub subjects: HasMany<super::alert_rule_subject::Entity>,
    /// The alerts that it raised.
    #[sea_orm(has_many)]
    pub alerts: HasMany<super::alert::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
