//! Ordering: orders, what is in them, how they were paid, and what happened to them.
//!
//! With them come the two tables that make their flows safe to repeat: idempotency keys, and the outbox.

pub mod idempotency_key;
pub mod order;
pub mod order_item;
pub mod order_payment;
pub mod order_status_history;
pub mod outbox;

use crate::words;

words! {
    /// Where an order is in its life.
    pub enum OrderStatus {
        /// Written; its stock and coupon are not secured yet.
        Pending = "pending",
        /// Stock is reserved, the coupon redeemed.
        Confirmed = "confirmed",
        /// Paid.
        Paid = "paid",
        /// On its way.
        Shipped = "shipped",
        /// Arrived.
        Delivered = "delivered",
        /// Ended before it was paid.
        Cancelled = "cancelled",
        /// Paid back.
        Refunded = "refunded",
    }
}

words! {
    /// Where a payment is in its life.
    pub enum PaymentStatus {
        /// Not decided yet.
        Pending = "pending",
        /// The money has come.
        Success = "success",
        /// The money has not come.
        Failed = "failed",
        /// The money has gone back.
        Refunded = "refunded",
    }
}
