//! A payment of an order.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::PaymentStatus;
use crate::types::{Json, Money, Text, Timestamp};

/// An attempt to pay an order.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "order_payments")]
pub struct Model {
    /// Its id.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The order that it pays.
    pub order_id: Uuid,
    /// The number that the gateway knows it by, which makes paying idempotent.
    #[sea_orm(unique)]
    pub payment_no: Text<50>,
    /// How it is paid: `wechat`, `alipay`, ...
    pub payment_method: Text<20>,
    /// How much.
    pub amount: Money,
    /// Where it is in its life.
    pub status: PaymentStatus,
    /// The gateway's own id of it.
    pub transaction_id: Option<Text<100>>,
    /// What the gateway answered.
    pub gateway_response: Option<Json>,
    /// Since when it has to go back: it came for an order that could not take it, or its order was refunded.
    pub refund_due_at: Option<Timestamp>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The order.
    #[sea_orm(belongs_to, from = "order_id", to = "id", on_delete = "Cascade")]
    pub order: BelongsTo<super::order::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
