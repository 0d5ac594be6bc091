use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait};
use uuid::Uuid;

use super::campaign::within;
use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{Kind, Page};
use crate::domain::{State, Transition};
use crate::entity::marketing::coupon::{Column, Entity, Model};
use crate::entity::marketing::{CouponKind, CouponStatus, UserCouponStatus, user_coupon};
use crate::types::{AtColumn, Money, Problem, Text, Timestamp, ValueError, id_at};

/// A coupon to be given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCoupon {
    /// The campaign that it belongs to: it can be had only while that runs.
    pub campaign_id: Option<Uuid>,
    /// What a user types to get it; no other coupon has it, and case counts.
    pub code: Text<50>,
    /// How the discount is reckoned.
    pub kind: CouponKind,
    /// An amount, or percent: above zero, and at most a hundred percent.
    pub face_value: Money,
    /// The least total that it can be redeemed for.
    pub min_spend: Money,
    /// The most that it takes off.
    pub max_discount: Option<Money>,
    /// How many can be issued, above zero.
    pub total_quantity: i64,
    /// How many one user can have, above zero.
    pub per_user_limit: i32,
    /// When it can first be issued and redeemed.
    pub starts_at: Timestamp,
    /// When it can no longer be; after it begins.
    pub ends_at: Timestamp,
}

impl State for CouponStatus {
    const ALL: &'static [Self] = Self::ALL;

    fn may_become(self, next: Self) -> bool {
        matches!(
            (self, next),
            (Self::Active, Self::Paused) | (Self::Paused, Self::Active) | (Self::Active | Self::Paused, Self::Expired)
        )
    }
}

/// Which coupons, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CouponFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    campaign_id: Option<Uuid>,
    status: Option<CouponStatus>,
}

crate::domain::paged!(CouponFilter);

impl CouponFilter {
    /// All coupons.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this campaign.
    #[must_use]
    pub const fn campaign(mut self, id: Uuid) -> Self {
        self.criteria.campaign_id = Some(id);
        self
    }

    /// In this state.
    #[must_use]
    pub const fn status(mut self, status: CouponStatus) -> Self {
        self.criteria.status = Some(status);
        self
    }
}

/// Which coupons in users' hands, in which order, and how many. Those had last first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserCouponFilter {
    criteria: UserCriteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct UserCriteria {
    user_id: Option<Uuid>,
    coupon_id: Option<Uuid>,
    status: Option<UserCouponStatus>,
}

crate::domain::paged!(UserCouponFilter);

impl UserCouponFilter {
    /// All that were issued.
    pub fn new() -> Self {
        Self::default()
    }

    /// In this user's hands.
    #[must_use]
    pub const fn user(mut self, id: Uuid) -> Self {
        self.criteria.user_id = Some(id);
        self
    }

    /// Of this coupon.
    #[must_use]
    pub const fn coupon(mut self, id: Uuid) -> Self {
        self.criteria.coupon_id = Some(id);
        self
    }

    /// In this state.
    #[must_use]
    pub const fn status(mut self, status: UserCouponStatus) -> Self {
        self.criteria.status = Some(status);
        self
    }
}

/// Makes a coupon, which can be had at once if its dates say so. One round trip.
///
/// # Errors
/// [`Error::is_conflict`] when the code is taken; [`Error::NotFound`] for an unknown campaign; [`Error::Value`] and
/// [`Error::Invalid`] for what [`NewCoupon`] does not allow.
pub async fn create_coupon(db: &impl ConnectionTrait, new: NewCoupon, now: Timestamp) -> Result<Model, Error> {
    check(&new)?;
    let campaign_id = new.campaign_id;
    let model = Model {
        id: id_at(now).at("coupons.id")?,
        campaign_id,
        code: new.code.non_blank().at("coupons.code")?,
        kind: new.kind,
        face_value: new.face_value,
        min_spend: new.min_spend,
        max_discount: new.max_discount,
        total_quantity: new.total_quantity,
        issued_quantity: 0,
        per_user_limit: new.per_user_limit,
        starts_at: new.starts_at,
        ends_at: new.ends_at,
        status: CouponStatus::Active,
        created_at: now,
        updated_at: now,
    };
    let inserted = Entity::insert(model.clone().into_active_model()).exec_without_returning(db).await;
    match (inserted.map_err(Error::from), campaign_id) {
        (Ok(_), _) => Ok(model),
        (Err(error), Some(campaign)) if error.database_kind() == Some(Kind::ForeignKeyViolation) => {
            Err(Error::not_found("campaign", campaign))
        }
        (Err(error), _) => Err(error),
    }
}

fn check(new: &NewCoupon) -> Result<(), Error> {
    new.face_value.positive().at("coupons.face_value")?;
    let hundred = Money::new(rust_decimal::Decimal::ONE_HUNDRED)?;
    if new.kind == CouponKind::Percent && new.face_value > hundred {
        return Err(Error::Invalid(format!("a coupon takes off at most 100 percent, not {}", new.face_value)));
    }
    if new.min_spend < Money::ZERO {
        return Err(Error::Invalid("the least total of a coupon is not negative".into()));
    }
    new.max_discount.map(|most| most.positive().at("coupons.max_discount")).transpose()?;
    if new.total_quantity <= 0 {
        return Err(ValueError::at("coupons.total_quantity", Problem::NotPositive).into());
    }
    if new.per_user_limit <= 0 {
        return Err(ValueError::at("coupons.per_user_limit", Problem::NotPositive).into());
    }
    within(new.starts_at, new.ends_at)
}

/// Puts a coupon into another state: an active one is paused and goes on, and each can expire, for good. While it is
/// paused it can neither be issued nor redeemed. One round trip.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] that names both states.
pub async fn set_coupon_status(
    db: &impl ConnectionTrait,
    id: Uuid,
    to: CouponStatus,
    now: Timestamp,
) -> Result<(), Error> {
    let update = Entity::update_many().col_expr(Column::UpdatedAt, Expr::val(now));
    Transition { what: "coupon", id: Column::Id, state: Column::Status, to }.apply(db, id, update).await
}

/// One coupon. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn coupon(db: &impl ConnectionTrait, id: Uuid) -> Result<Model, Error> {
    Entity::find_by_id(id).one(db).await?.ok_or_else(|| Error::not_found("coupon", id))
}

/// The coupon of a code. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn coupon_by_code(db: &impl ConnectionTrait, code: &str) -> Result<Model, Error> {
    // No column holds a longer one, and not every engine takes a NUL.
    let Ok(code) = Text::<50>::try_from(code) else { return Err(Error::not_found("coupon", "of this code")) };
    let found = Entity::find().filter(Column::Code.eq(code.clone())).one(db).await?;
    found.ok_or_else(|| Error::not_found("coupon", code))
}

/// A page of coupons. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn coupons(db: &impl ConnectionTrait, filter: &CouponFilter) -> Result<Page<Model>, Error> {
    let Criteria { campaign_id, status } = filter.criteria;
    let select = Entity::find()
        .apply_if(campaign_id, |select, id| select.filter(Column::CampaignId.eq(id)))
        .apply_if(status, |select, status| select.filter(Column::Status.eq(status)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

/// A user's coupon. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn user_coupon(db: &impl ConnectionTrait, id: Uuid) -> Result<user_coupon::Model, Error> {
    user_coupon::Entity::find_by_id(id).one(db).await?.ok_or_else(|| Error::not_found("coupon of a user", id))
}

/// A page of users' coupons. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn user_coupons(
    db: &impl ConnectionTrait,
    filter: &UserCouponFilter,
) -> Result<Page<user_coupon::Model>, Error> {
    use user_coupon::Column;

    let UserCriteria { user_id, coupon_id, status } = filter.criteria;
    let select = user_coupon::Entity::find()
        .apply_if(user_id, |select, id| select.filter(Column::UserId.eq(id)))
        .apply_if(coupon_id, |select, id| select.filter(Column::CouponId.eq(id)))
        .apply_if(status, |select, status| select.filter(Column::Status.eq(status)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}
