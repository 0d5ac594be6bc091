//! The mall: shops, purchases between users, and points.

pub mod points_account;
pub mod points_transaction;
pub mod purchase_order;
pub mod shop;

use crate::words;

words! {
    /// Whether a shop sells.
    pub enum ShopStatus {
        /// Waits to be let in.
        Pending = "pending",
        /// Sells.
        Active = "active",
        /// Was closed for a while.
        Suspended = "suspended",
        /// Closed.
        Closed = "closed",
    }
}

words! {
    /// Where a purchase is in its life.
    pub enum PurchaseStatus {
        /// Waits for the seller.
        Pending = "pending",
        /// The seller agreed.
        Approved = "approved",
        /// Paid and delivered.
        Completed = "completed",
        /// The seller refused.
        Rejected = "rejected",
    }
}

words! {
    /// Why points moved.
    pub enum PointsKind {
        /// From one user to another.
        Transfer = "transfer",
        /// Bought.
        Recharge = "recharge",
        /// Paid out.
        Withdraw = "withdraw",
        /// Spent.
        Purchase = "purchase",
        /// Given back.
        Refund = "refund",
    }
}
