//! An order.

use sea_orm::entity::prelude::*;
use serde::Serialize;

use super::{OrderStatus, PaymentStatus};
use crate::types::{Json, LongText, Money, Text, Timestamp};

/// What a user has ordered, for how much, and how far it has come.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    /// A version 7 UUID of when it was placed.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// `ZX`, the day, and the digits of the id: an order is found by its number through the id, without an index.
    pub order_no: Text<50>,
    /// Who ordered.
    pub user_id: Uuid,
    /// The sum of the items.
    pub total_amount: Money,
    /// What the coupon takes off.
    pub discount_amount: Money,
    /// What the shipping costs.
    pub shipping_fee: Money,
    /// Total - discount + shipping.
    pub final_amount: Money,
    /// Where it is in its life.
    pub status: OrderStatus,
    /// How it is paid: `wechat`, `alipay`, ...
    pub payment_method: Option<Text<20>>,
    /// Where its payment is.
    pub payment_status: PaymentStatus,
    /// Where it goes, as the address was when it was placed.
    pub shipping_address: Json,
    /// The user's coupon that it redeems.
    pub coupon_id: Option<Uuid>,
    /// What the user wants to be known.
    pub remark: Option<LongText>,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When it was shipped.
    pub shipped_at: Option<Timestamp>,
    /// When it arrived.
    pub delivered_at: Option<Timestamp>,
    /// Optimistic locking: it goes up with every change.
    pub version: i32,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// What is in it.
    #[sea_orm(has_many)]
    pub items: HasMany<super::order_item::Entity>,
    /// The attempts to pay it.
    #[sea_orm(has_many)]
    pub payments: HasMany<super::order_payment::Entity>,
    /// What happened to it.
    #[sea_orm(has_many)]
    pub history: HasMany<super::order_status_history::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
