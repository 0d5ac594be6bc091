use rust_decimal::Decimal;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryTrait};
use uuid::Uuid;

use super::Mall;
use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{ById, Page};
use crate::domain::{State, Transition};
use crate::entity::mall::PurchaseStatus;
use crate::entity::mall::purchase_order::{Column, Entity, Model as PurchaseOrder};
use crate::types::{AtColumn, Money, Timestamp, id_at};

impl State for PurchaseStatus {
    const ALL: &'static [Self] = Self::ALL;

    fn may_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(next, Self::Approved | Self::Rejected),
            // The seller agreed, and then could not deliver.
            Self::Approved => matches!(next, Self::Completed | Self::Rejected),
            Self::Completed | Self::Rejected => false,
        }
    }
}

/// A purchase to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewPurchase {
    /// Who buys.
    pub buyer_id: Uuid,
    /// Who sells: somebody else.
    pub seller_id: Uuid,
    /// The product.
    pub product_id: Uuid,
    /// How many, at least one.
    pub quantity: i64,
    /// The price of one, above zero.
    pub unit_price: Money,
}

/// Which purchases, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurchaseFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    buyer: Option<Uuid>,
    seller: Option<Uuid>,
    status: Option<PurchaseStatus>,
}

crate::domain::paged!(PurchaseFilter);

impl PurchaseFilter {
    /// All purchases.
    pub fn new() -> Self {
        Self::default()
    }

    /// By this buyer.
    #[must_use]
    pub const fn buyer(mut self, buyer_id: Uuid) -> Self {
        self.criteria.buyer = Some(buyer_id);
        self
    }

    /// From this seller.
    #[must_use]
    pub const fn seller(mut self, seller_id: Uuid) -> Self {
        self.criteria.seller = Some(seller_id);
        self
    }

    /// In this status.
    #[must_use]
    pub const fn status(mut self, status: PurchaseStatus) -> Self {
        self.criteria.status = Some(status);
        self
    }
}

static BY_ID: ById<Entity> = ById::new();

/// Places a purchase at `now`, for exactly price x quantity. One round trip.
///
/// # Errors
/// [`Error::Invalid`] for a purchase from oneself or of less than one; [`Error::Value`] for a price that is not above zero,
/// or an amount that the column cannot hold; those of the database.
pub async fn create_purchase(
    db: &impl ConnectionTrait,
    purchase: NewPurchase,
    now: Timestamp,
) -> Result<PurchaseOrder, Error> {
    let NewPurchase { buyer_id, seller_id, product_id, quantity, unit_price } = purchase;
    if buyer_id == seller_id {
        return Err(Error::Invalid("nobody buys from themselves".to_owned()));
    }
    if quantity < 1 {
        return Err(Error::Invalid(format!("a purchase is of 1 or more, not {quantity}")));
    }
    let unit_price = unit_price.positive().at("purchase_orders.unit_price")?;
    let model = PurchaseOrder {
        id: id_at(now).at("purchase_orders.id")?,
        buyer_id,
        seller_id,
        product_id,
        quantity,
        unit_price,
        amount: Money::product(unit_price.get(), Decimal::from(quantity)).at("purchase_orders.amount")?,
        status: PurchaseStatus::Pending,
        processing_ms: None,
        created_at: now,
        updated_at: now,
    };
    Entity::insert(model.clone().into_active_model()).exec_without_returning(db).await?;
    Ok(model)
}

/// One purchase. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn purchase(db: &impl ConnectionTrait, id: Uuid) -> Result<PurchaseOrder, Error> {
    BY_ID.one(db, id).await?.ok_or_else(|| Error::not_found("purchase order", id))
}

/// A page of purchases. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn purchases(db: &impl ConnectionTrait, filter: &PurchaseFilter) -> Result<Page<PurchaseOrder>, Error> {
    let Criteria { buyer, seller, status } = filter.criteria;
    let select = Entity::find()
        .apply_if(buyer, |select, buyer| select.filter(Column::BuyerId.eq(buyer)))
        .apply_if(seller, |select, seller| select.filter(Column::SellerId.eq(seller)))
        .apply_if(status, |select, status| select.filter(Column::Status.eq(status)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

/// The seller agrees. One round trip.
///
/// # Errors
/// [`Error::NotFound`]; [`Error::Conflict`] that names both states; those of the database.
pub async fn approve_purchase(db: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<(), Error> {
    let update = Entity::update_many().col_expr(Column::UpdatedAt, Expr::val(now));
    transition(PurchaseStatus::Approved).apply(db, id, update).await
}

/// An approved purchase is paid and delivered; the time that it took is kept. Two round trips. What is paid in points goes
/// through [`pay_with_points`](super::pay_with_points) instead.
///
/// # Errors
/// As [`approve_purchase`].
pub async fn complete_purchase(db: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<(), Error> {
    finish(db, &purchase(db, id).await?, PurchaseStatus::Completed, now).await
}

/// The seller refuses, before or after having agreed; the time that it took is kept. Two round trips.
///
/// # Errors
/// As [`approve_purchase`].
pub async fn reject_purchase(db: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<(), Error> {
    finish(db, &purchase(db, id).await?, PurchaseStatus::Rejected, now).await
}

/// Takes a purchase to its final state. Of `order` only what never changes is used. One round trip.
pub(super) async fn finish(
    db: &impl ConnectionTrait,
    order: &PurchaseOrder,
    to: PurchaseStatus,
    now: Timestamp,
) -> Result<(), Error> {
    // A clock that was put back makes no negative time.
    let took = i64::try_from(now.since(order.created_at).as_millis()).unwrap_or(i64::MAX);
    let update = Entity::update_many()
        .col_expr(Column::ProcessingMs, Expr::val(took))
        .col_expr(Column::UpdatedAt, Expr::val(now));
    transition(to).apply(db, order.id, update).await
}

const fn transition(to: PurchaseStatus) -> Transition<Column, PurchaseStatus> {
    Transition { what: "purchase order", id: Column::Id, state: Column::Status, to }
}

impl Mall<'_> {
    /// Places a purchase: [`create_purchase`]. One round trip.
    ///
    /// # Errors
    /// As [`create_purchase`].
    pub async fn create_purchase(&self, purchase: NewPurchase) -> Result<PurchaseOrder, Error> {
        create_purchase(self.db.writer(), purchase, self.clock.now()).await
    }

    /// One purchase. One round trip.
    ///
    /// # Errors
    /// As [`purchase`].
    pub async fn purchase(&self, id: Uuid) -> Result<PurchaseOrder, Error> {
        purchase(self.db.reader(), id).await
    }

    /// A page of purchases. One round trip.
    ///
    /// # Errors
    /// As [`purchases`].
    pub async fn purchases(&self, filter: &PurchaseFilter) -> Result<Page<PurchaseOrder>, Error> {
        purchases(self.db.reader(), filter).await
    }

    /// The seller agrees. One round trip.
    ///
    /// # Errors
    /// As [`approve_purchase`].
    pub async fn approve_purchase(&self, id: Uuid) -> Result<(), Error> {
        approve_purchase(self.db.writer(), id, self.clock.now()).await
    }

    /// An approved purchase is paid, by other means than points, and delivered. Two round trips.
    ///
    /// # Errors
    /// As [`complete_purchase`].
    pub async fn complete_purchase(&self, id: Uuid) -> Result<(), Error> {
        complete_purchase(self.db.writer(), id, self.clock.now()).await
    }

    /// The seller refuses. Two round trips.
    ///
    /// # Errors
    /// As [`reject_purchase`].
    pub async fn reject_purchase(&self, id: Uuid) -> Result<(), Error> {
        reject_purchase(self.db.writer(), id, self.clock.now()).await
    }
}
