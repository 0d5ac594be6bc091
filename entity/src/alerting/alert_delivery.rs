//! An alert on a channel.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::{Channel, DeliveryStatus};
use crate::types::{LongText, Timestamp};

/// How far an alert got on one channel: one row for each channel of an alert.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "alert_deliveries")]
pub struct Model {
    /// The delivery's id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The alert.
    #[sea_orm(unique_key = "alert_id_channel")]
    pub alert_id: Uuid,
    /// The channel.
    #[sea_orm(unique_key = "alert_id_channel")]
    pub channel: Channel,
    /// How far it got.
    pub status: DeliveryStatus,
    /// How often it was tried.
    pub attempts: i32,
    /// Why the last attempt failed.
    pub last_error: Option<LongText>,
    /// When the channel accepted it.
    pub delivered_at: Option<Timestamp>,
    /// When it was first tried.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The alert.
    #[sea_orm(belongs_to, from = "alert_id", to = "id", on_delete = "Cascade")]
    pub alert: BelongsTo<super::alert::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
