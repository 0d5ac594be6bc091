//! A campaign.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::CampaignStatus;
use crate::types::{Json, Text, Timestamp};

/// A reason to give coupons away, for a time.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "campaigns")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Its name.
    pub name: Text<100>,
    /// What it is: `coupon`, `flash_sale`, ...
    pub kind: Text<50>,
    /// Its rules.
    pub rules: Json,
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it is over.
    pub ends_at: Timestamp,
    /// Where it is in its life.
    pub status: CampaignStatus,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The coupons that it gives away.
    #[sea_orm(has_many)]
    pub coupons: HasMany<super::coupon::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
