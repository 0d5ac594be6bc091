use std::collections::HashMap;

use rust_decimal::Decimal;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QueryTrait, Select};
use serde::Serialize;
use uuid::Uuid;

use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{ById, Page, sum};
use crate::entity::ordering::order::{self, Column, Entity, Model as Order};
use crate::entity::ordering::order_item::{Column as ItemColumn, Entity as Items, Model as Item};
use crate::entity::ordering::order_payment::{Column as PaymentColumn, Entity as Payments, Model as OrderPayment};
use crate::entity::ordering::order_status_history::{Column as HistoryColumn, Entity as History, Model as HistoryStep};
use crate::entity::ordering::{OrderStatus, PaymentStatus};
use crate::types::{TimeRange, Timestamp, id_bounds, id_time, lowest_id};

/// How far the clocks of instances may be apart: a step of an order's history may bear a time before the order's own.
const SKEW_MILLIS: i64 = 24 * 60 * 60 * 1_000;

/// Which orders, in which order, and how many. Newest first unless said otherwise.
///
/// ```
/// use stanchion::domain::ordering::OrderFilter;
/// use stanchion::entity::ordering::OrderStatus;
///
/// let filter = OrderFilter::new().status(OrderStatus::Paid).limit(50);
/// # drop(filter);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    user_id: Option<Uuid>,
    status: Option<OrderStatus>,
    payment_status: Option<PaymentStatus>,
    placed: TimeRange,
}

crate::domain::paged!(OrderFilter);

impl OrderFilter {
    /// All orders.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this user.
    #[must_use]
    pub const fn user(mut self, user: Uuid) -> Self {
        self.criteria.user_id = Some(user);
        self
    }

    /// Of this status.
    #[must_use]
    pub const fn status(mut self, status: OrderStatus) -> Self {
        self.criteria.status = Some(status);
        self
    }

    /// Whose payment has got so far.
    #[must_use]
    pub const fn payment_status(mut self, status: PaymentStatus) -> Self {
        self.criteria.payment_status = Some(status);
        self
    }

    /// Placed at this instant or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.criteria.placed.from = Some(from);
        self
    }

    /// Placed before this instant.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.criteria.placed.to = Some(to);
        self
    }

    fn select(&self) -> Select<Entity> {
        let Criteria { user_id, status, payment_status, placed } = self.criteria;
        placed_in(Entity::find(), placed)
            .apply_if(user_id, |select, user| select.filter(Column::UserId.eq(user)))
            .apply_if(status, |select, status| select.filter(Column::Status.eq(status)))
            .apply_if(payment_status, |select, status| select.filter(Column::PaymentStatus.eq(status)))
    }
}

/// The orders of a range of time, by their ids too: those bounds let an index and the partitions narrow the range down.
fn placed_in(select: Select<Entity>, placed: TimeRange) -> Select<Entity> {
    let (low, high) = id_bounds(placed);
    select
        .apply_if(low, |select, low| select.filter(Column::Id.gte(low)))
        .apply_if(high, |select, high| select.filter(Column::Id.lt(high)))
        .apply_if(placed.from, |select, from| select.filter(Column::CreatedAt.gte(from)))
        .apply_if(placed.to, |select, to| select.filter(Column::CreatedAt.lt(to)))
}

/// Money that has to go back, the longest due first unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundFilter {
    page: PageRequest,
}

crate::domain::paged!(RefundFilter);

impl RefundFilter {
    /// All of it.
    pub fn new() -> Self {
        Self { page: PageRequest { order: crate::db::Order::Asc, ..PageRequest::default() } }
    }
}

impl Default for RefundFilter {
    fn default() -> Self {
        Self::new()
    }
}

/// An order with what is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FullOrder {
    /// The order.
    pub order: Order,
    /// Its lines, as they were ordered.
    pub items: Vec<Item>,
}

/// What a user has spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Spending {
    /// Orders that were paid and not taken back.
    pub orders: u64,
    /// What was paid for them, shipping included.
    pub paid: Decimal,
    /// What coupons took off.
    pub discounts: Decimal,
}

static BY_ID: ById<Entity> = ById::new();

/// One order. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn order(db: &impl ConnectionTrait, id: Uuid) -> Result<Order, Error> {
    BY_ID.one(db, id).await?.ok_or_else(|| Error::not_found("order", id))
}

/// One order by its number. One round trip, and no index: the number is the id, written otherwise.
///
/// # Errors
/// [`Error::NotFound`], also for what is no order number; those of the database.
pub async fn order_by_no(db: &impl ConnectionTrait, order_no: &str) -> Result<Order, Error> {
    let not_found = || Error::not_found("order", order_no);
    let id = order::id_of(order_no).map_err(|_| not_found())?;
    BY_ID.one(db, id).await?.ok_or_else(not_found)
}

/// What is in an order, as it was ordered; nothing for an unknown one. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn items(db: &impl ConnectionTrait, order: Uuid) -> Result<Vec<Item>, Error> {
    items_of(db, &[order]).await
}

/// The items of orders, by their ids too: an item's id bears the millisecond of its order, which finds its partition.
async fn items_of(db: &impl ConnectionTrait, orders: &[Uuid]) -> Result<Vec<Item>, Error> {
    let millis = || orders.iter().filter_map(|id| id_time(*id)).map(Timestamp::millis);
    let (Some(first), Some(last)) = (millis().min(), millis().max()) else { return Ok(Vec::new()) };
    let select = Items::find()
        .filter(ItemColumn::OrderId.is_in(orders.iter().copied()))
        .filter(ItemColumn::Id.gte(lowest_id(first)))
        .filter(ItemColumn::Id.lt(lowest_id(last + 1)))
        .order_by_asc(ItemColumn::Id);
    Ok(select.all(db).await?)
}

/// One order with what is in it. Two round trips.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn full_order(db: &impl ConnectionTrait, id: Uuid) -> Result<FullOrder, Error> {
    let order = order(db, id).await?;
    Ok(FullOrder { items: items(db, id).await?, order })
}

/// A page of orders. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn orders(db: &impl ConnectionTrait, filter: &OrderFilter) -> Result<Page<Order>, Error> {
    filter.page.read(db, filter.select(), [Column::Id], &filter.criteria).await
}

/// A page of orders with what is in them. Two round trips, however many orders.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn full_orders(db: &impl ConnectionTrait, filter: &OrderFilter) -> Result<Page<FullOrder>, Error> {
    let page = orders(db, filter).await?;
    let ids: Vec<Uuid> = page.items.iter().map(|order| order.id).collect();
    let mut items: HashMap<Uuid, Vec<Item>> = HashMap::with_capacity(ids.len());
    for item in items_of(db, &ids).await? {
        items.entry(item.order_id).or_default().push(item);
    }
    let full = |order: Order| FullOrder { items: items.remove(&order.id).unwrap_or_default(), order };
    Ok(Page { items: page.items.into_iter().map(full).collect(), next: page.next })
}

/// What happened to an order, from its beginning: seven steps at most. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn history(db: &impl ConnectionTrait, order: Uuid) -> Result<Vec<HistoryStep>, Error> {
    let placed = id_time(order).map_or(0, Timestamp::millis);
    let select = History::find()
        .filter(HistoryColumn::OrderId.eq(order))
        .filter(HistoryColumn::Id.gte(lowest_id(placed.saturating_sub(SKEW_MILLIS))))
        .order_by_asc(HistoryColumn::Id);
    Ok(select.all(db).await?)
}

/// The newest payments of an order, at most 100. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn payments(db: &impl ConnectionTrait, order: Uuid) -> Result<Vec<OrderPayment>, Error> {
    use sea_orm::QuerySelect as _;

    let select = Payments::find().filter(PaymentColumn::OrderId.eq(order)).order_by_desc(PaymentColumn::Id).limit(100);
    Ok(select.all(db).await?)
}

/// A page of the payments that have to go back. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another list, and those of the database.
pub async fn refunds_due(db: &impl ConnectionTrait, filter: &RefundFilter) -> Result<Page<OrderPayment>, Error> {
    let select = Payments::find().filter(PaymentColumn::RefundDueAt.is_not_null());
    filter.page.read(db, select, [PaymentColumn::RefundDueAt, PaymentColumn::Id], &"refunds due").await
}

/// What a user has spent on orders placed in a range of time, exactly. Three round trips.
///
/// # Errors
/// Those of the database.
pub async fn spending(db: &impl ConnectionTrait, user: Uuid, placed: TimeRange) -> Result<Spending, Error> {
    let paid = [OrderStatus::Paid, OrderStatus::Shipped, OrderStatus::Delivered];
    let select =
        || placed_in(Entity::find(), placed).filter(Column::UserId.eq(user)).filter(Column::Status.is_in(paid));
    Ok(Spending {
        orders: select().count(db).await?,
        paid: sum::sum(db, select(), Column::FinalAmount).await?,
        discounts: sum::sum(db, select(), Column::DiscountAmount).await?,
    })
}
