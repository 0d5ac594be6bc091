//! What a rule looks at.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::types::Text;

/// A subject that a rule's conditions name: how the rules that an observation concerns are found.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "alert_rule_subjects")]
pub struct Model {
    /// The rule.
    #[sea_orm(primary_key, auto_increment = false)]
    pub rule_id: Uuid,
    /// What is observed: `cpu.load`, `price:ETHUSDT`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub subject: Text<200>,
    /// The rule.
    #[sea_orm(belongs_to, from = "rule_id", to = "id", on_delete = "Cascade")]
    pub rule: BelongsTo<super::alert_rule::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
