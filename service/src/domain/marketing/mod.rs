//! Marketing: campaigns, coupons, and who holds them.
//!
//! A coupon is issued by one conditional update of its row, which all who want one wait for in turn: never more than there
//! are, never more than a user can have. A user's coupon is redeemed for an order, once; `redeem` and `give_back` are keyed
//! by the order, so repeating them is harmless, and an order that gave its coupon back cannot redeem it however late that
//! comes. Discounts are exact: an amount is taken off as it is, a percentage is cut to
//! [`DISCOUNT_DECIMALS`] digits after the point, and neither is more than the total.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let url = format!("sqlite://{}/s.db", folder.path().display()).parse().unwrap();
//! # let config = stanchion::config::Config::new(stanchion::config::Database::new(url));
//! # stanchion::App::migrate(&config).await?;
//! # let app = stanchion::App::start(config).await?;
//! use stanchion::domain::marketing::NewCoupon;
//! use stanchion::entity::marketing::CouponKind;
//! use stanchion::types::new_id;
//!
//! let coupon = NewCoupon {
//!     campaign_id: None,
//!     code: "SPRING".parse()?,
//!     kind: CouponKind::Percent,
//!     face_value: "15".parse()?,
//!     min_spend: "20".parse()?,
//!     max_discount: None,
//!     total_quantity: 100,
//!     per_user_limit: 1,
//!     starts_at: "2020-01-01T00:00:00Z".parse()?,
//!     ends_at: "2999-01-01T00:00:00Z".parse()?,
//! };
//! app.marketing().create_coupon(coupon).await?;
//!
//! let (user, order) = (new_id(), new_id());
//! let held = app.marketing().claim("SPRING", user).await?;
//! let discount = app.marketing().redeem(order, held.id, user, "33.33".parse()?).await?;
//! assert_eq!(discount.to_string(), "4.9900");
//! app.marketing().give_back(order, held.id).await?;
//! # app.close().await; Ok(()) }
//! ```

mod campaign;
mod claim;
mod coupon;
mod expire;
mod price;
mod redeem;

use uuid::Uuid;

pub use campaign::{CampaignFilter, NewCampaign, campaign, campaigns, create_campaign, set_campaign_status};
pub use claim::{claim, issue};
pub use coupon::{
    CouponFilter, NewCoupon, UserCouponFilter, coupon, coupon_by_code, coupons, create_coupon, set_coupon_status,
    user_coupon, user_coupons,
};
pub use expire::{Expired, MAX_EXPIRED, expire};
pub use price::{DISCOUNT_DECIMALS, Discount, discount, price};
pub use redeem::{give_back, redeem};

use crate::Error;
use crate::clock::Clock;
use crate::db::{Db, Page};
use crate::entity::marketing::campaign::Model as Campaign;
use crate::entity::marketing::coupon::Model as Coupon;
use crate::entity::marketing::user_coupon::Model as UserCoupon;
use crate::entity::marketing::{CampaignStatus, CouponStatus};
use crate::types::Money;

/// The marketing service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Marketing<'a> {
    db: &'a Db,
    clock: &'a dyn Clock,
}

impl<'a> Marketing<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock) -> Self {
        Self { db, clock }
    }

    /// Prepares a campaign. One round trip.
    ///
    /// # Errors
    /// Those of [`create_campaign`].
    pub async fn create_campaign(&self, new: NewCampaign) -> Result<Campaign, Error> {
        create_campaign(self.db.writer(), new, self.clock.now()).await
    }

    /// Lets a campaign run, for the first time or on. One round trip.
    ///
    /// # Errors
    /// Those of [`set_campaign_status`].
    pub async fn activate_campaign(&self, id: Uuid) -> Result<(), Error> {
        set_campaign_status(self.db.writer(), id, CampaignStatus::Active, self.clock.now()).await
    }

    /// Halts a campaign: its coupons cannot be had meanwhile; who has one may redeem it. One round trip.
    ///
    /// # Errors
    /// Those of [`set_campaign_status`].
    pub async fn pause_campaign(&self, id: Uuid) -> Result<(), Error> {
        set_campaign_status(self.db.writer(), id, CampaignStatus::Paused, self.clock.now()).await
    }

    /// Ends a campaign for good: its coupons cannot be had any more; who has one may redeem it. One round trip.
    ///
    /// # Errors
    /// Those of [`set_campaign_status`].
    pub async fn end_campaign(&self, id: Uuid) -> Result<(), Error> {
        set_campaign_status(self.db.writer(), id, CampaignStatus::Ended, self.clock.now()).await
    }

    /// One campaign. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn campaign(&self, id: Uuid) -> Result<Campaign, Error> {
        campaign(self.db.reader(), id).await
    }

    /// A page of campaigns. One round trip.
    ///
    /// # Errors
    /// Those of [`campaigns`].
    pub async fn campaigns(&self, filter: &CampaignFilter) -> Result<Page<Campaign>, Error> {
        campaigns(self.db.reader(), filter).await
    }

    /// Makes a coupon. One round trip.
    ///
    /// # Errors
    /// Those of [`create_coupon`].
    pub async fn create_coupon(&self, new: NewCoupon) -> Result<Coupon, Error> {
        create_coupon(self.db.writer(), new, self.clock.now()).await
    }

    /// Pauses a coupon: it can neither be had nor redeemed. One round trip.
    ///
    /// # Errors
    /// Those of [`set_coupon_status`].
    pub async fn pause_coupon(&self, id: Uuid) -> Result<(), Error> {
        set_coupon_status(self.db.writer(), id, CouponStatus::Paused, self.clock.now()).await
    }

    /// Lets a coupon that is paused go on. One round trip.
    ///
    /// # Errors
    /// Those of [`set_coupon_status`].
    pub async fn resume_coupon(&self, id: Uuid) -> Result<(), Error> {
        set_coupon_status(self.db.writer(), id, CouponStatus::Active, self.clock.now()).await
    }

    /// One coupon. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn coupon(&self, id: Uuid) -> Result<Coupon, Error> {
        coupon(self.db.reader(), id).await
    }

    /// The coupon of a code. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn coupon_by_code(&self, code: &str) -> Result<Coupon, Error> {
        coupon_by_code(self.db.reader(), code).await
    }

    /// A page of coupons. One round trip.
    ///
    /// # Errors
    /// Those of [`coupons`].
    pub async fn coupons(&self, filter: &CouponFilter) -> Result<Page<Coupon>, Error> {
        coupons(self.db.reader(), filter).await
    }

    /// A user's coupon. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn user_coupon(&self, id: Uuid) -> Result<UserCoupon, Error> {
        user_coupon(self.db.reader(), id).await
    }

    /// A page of users' coupons. One round trip.
    ///
    /// # Errors
    /// Those of [`user_coupons`].
    pub async fn user_coupons(&self, filter: &UserCouponFilter) -> Result<Page<UserCoupon>, Error> {
        user_coupons(self.db.reader(), filter).await
    }

    /// [`issue`] in a transaction of its own. Six round trips.
    ///
    /// # Errors
    /// Those of [`issue`].
    ///
    /// # Cancellation
    /// A dropped future gives the user nothing, or one if the commit had begun.
    pub async fn issue(&self, coupon_id: Uuid, user_id: Uuid) -> Result<UserCoupon, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| issue(tx, coupon_id, user_id, now).await).await
    }

    /// [`claim`] in a transaction of its own. Six round trips.
    ///
    /// # Errors
    /// Those of [`claim`].
    ///
    /// # Cancellation
    /// As [`Marketing::issue`].
    pub async fn claim(&self, code: &str, user_id: Uuid) -> Result<UserCoupon, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| claim(tx, code, user_id, now).await).await
    }

    /// What a user's coupon would take off a basket now. One round trip.
    ///
    /// # Errors
    /// Those of [`price`].
    pub async fn price(&self, total: Money, user_coupon_id: Uuid, user_id: Uuid) -> Result<Discount, Error> {
        price(self.db.reader(), total, user_coupon_id, user_id, self.clock.now()).await
    }

    /// [`redeem`] in a transaction of its own. Five round trips.
    ///
    /// # Errors
    /// Those of [`redeem`].
    pub async fn redeem(&self, order_id: Uuid, coupon: Uuid, user_id: Uuid, total: Money) -> Result<Money, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| redeem(tx, order_id, coupon, user_id, total, now).await).await
    }

    /// [`give_back`] in a transaction of its own. Six round trips; five where nothing was redeemed.
    ///
    /// # Errors
    /// Those of [`give_back`].
    pub async fn give_back(&self, order_id: Uuid, user_coupon_id: Uuid) -> Result<(), Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| give_back(tx, order_id, user_coupon_id, now).await).await
    }

    /// [`expire`]s one batch in a transaction of its own. Six round trips at most.
    ///
    /// # Errors
    /// Those of [`expire`].
    pub async fn expire(&self, limit: u32) -> Result<Expired, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| expire(tx, limit, now).await).await
    }
}
