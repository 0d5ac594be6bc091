//! Marketing: campaigns, coupons, and who holds them.

pub mod campaign;
pub mod coupon;
pub mod coupon_redemption;
pub mod user_coupon;

use crate::words;

words! {
    /// Where a campaign is in its life.
    pub enum CampaignStatus {
        /// Being prepared.
        Draft = "draft",
        /// Runs between its dates.
        Active = "active",
        /// Halted for a while.
        Paused = "paused",
        /// Over.
        Ended = "ended",
    }
}

words! {
    /// How a coupon's discount is reckoned.
    pub enum CouponKind {
        /// A fixed amount.
        Amount = "amount",
        /// A part of the basket, in percent.
        Percent = "percent",
    }
}

words! {
    /// Whether a coupon can be issued and redeemed.
    pub enum CouponStatus {
        /// Between its dates, it can.
        Active = "active",
        /// It cannot for a while.
        Paused = "paused",
        /// It no longer can.
        Expired = "expired",
    }
}

words! {
    /// What became of a user's coupon.
    pub enum UserCouponStatus {
        /// It can be redeemed.
        Unused = "unused",
        /// An order redeemed it.
        Used = "used",
        /// It was not redeemed in time.
        Expired = "expired",
    }
}

words! {
    /// Whether an order has the coupon that it redeemed.
    pub enum RedemptionStatus {
        /// It has.
        Redeemed = "redeemed",
        /// It gave it back, or will never redeem it.
        Returned = "returned",
    }
}
