//! An alert.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::{AlertStatus, Severity};
use crate::types::{Json, LongText, Text, Timestamp};

/// Something that a user has to be told, raised by a rule or by a service.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "alerts")]
pub struct Model {
    /// The alert's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The rule that raised it, if one did.
    pub rule_id: Option<Uuid>,
    /// The user who is told.
    pub user_id: Uuid,
    /// What happened, in a line.
    pub title: Text<255>,
    /// What happened.
    pub message: LongText,
    /// How urgent it is.
    pub severity: Severity,
    /// Where it is in its life.
    pub status: AlertStatus,
    /// What else there is to know.
    pub metadata: Option<Json>,
    /// What makes it the same alert: a second one with this key is not raised.
    #[sea_orm(unique)]
    pub dedup_key: Option<Text<200>>,
    /// How often a worker has taken it: the fence that tells a worker's result from an earlier one's.
    pub attempts: i32,
    /// After how many attempts it is given up.
    pub max_attempts: i32,
    /// From when a worker may take it; while one holds it, when its lease ends. None where nothing is left to do.
    pub next_attempt_at: Option<Timestamp>,
    /// When it had reached its channels.
    pub sent_at: Option<Timestamp>,
    /// When it was raised.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The rule.
    #[sea_orm(belongs_to, from = "rule_id", to = "id", on_delete = "Cascade")]
    pub rule: BelongsTo<Option<super::alert_rule::Entity>>,
    /// How far it got on its channels.
    #[sea_orm(has_many)]
    pub deliveries: HasMany<super::alert_delivery::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
