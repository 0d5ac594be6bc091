use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryTrait};
use uuid::Uuid;

use super::level::LIVE;
use crate::Error;
use crate::db::page::PageRequest;
use crate::db::{ById, Page};
use crate::domain::trading::Trading;
use crate::entity::trading::trade_order::{Column, Entity, Model as TradeOrder};
use crate::entity::trading::{OrderStatus, Side};

/// Which orders, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    criteria: Criteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Criteria {
    exchange: Option<String>,
    symbol: Option<String>,
    side: Option<Side>,
    statuses: Option<Vec<OrderStatus>>,
    instance_id: Option<String>,
}

crate::domain::paged!(OrderFilter);

impl OrderFilter {
    /// All orders.
    pub fn new() -> Self {
        Self::default()
    }

    /// The orders of a symbol.
    pub fn symbol(symbol: impl Into<String>) -> Self {
        let mut filter = Self::new();
        filter.criteria.symbol = Some(symbol.into());
        filter
    }

    /// On this exchange.
    #[must_use]
    pub fn exchange(mut self, exchange: impl Into<String>) -> Self {
        self.criteria.exchange = Some(exchange.into());
        self
    }

    /// Of this side.
    #[must_use]
    pub const fn side(mut self, side: Side) -> Self {
        self.criteria.side = Some(side);
        self
    }

    /// In this state.
    #[must_use]
    pub fn status(mut self, status: OrderStatus) -> Self {
        self.criteria.statuses = Some(vec![status]);
        self
    }

    /// Not ended yet.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.criteria.statuses = Some(LIVE.to_vec());
        self
    }

    /// Placed by this instance.
    #[must_use]
    pub fn instance(mut self, instance_id: impl Into<String>) -> Self {
        self.criteria.instance_id = Some(instance_id.into());
        self
    }
}

static BY_ID: ById<Entity> = ById::new();

/// One order. One round trip.
///
/// # Errors
/// [`Error::NotFound`], and those of the database.
pub async fn order(db: &impl ConnectionTrait, id: Uuid) -> Result<TradeOrder, Error> {
    BY_ID.one(db, id).await?.ok_or_else(|| Error::not_found("order", id))
}

/// The order that we gave this id, if there is one. One round trip.
///
/// # Errors
/// Those of the database.
pub async fn order_by_client_id(
    db: &impl ConnectionTrait,
    exchange: &str,
    client_order_id: &str,
) -> Result<Option<TradeOrder>, Error> {
    let select = Entity::find().filter(Column::Exchange.eq(exchange)).filter(Column::ClientOrderId.eq(client_order_id));
    Ok(select.one(db).await?)
}

/// A page of orders. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn orders(db: &impl ConnectionTrait, filter: &OrderFilter) -> Result<Page<TradeOrder>, Error> {
    let Criteria { exchange, symbol, side, statuses, instance_id } = &filter.criteria;
    let select = Entity::find()
        .apply_if(exchange.as_deref(), |select, exchange| select.filter(Column::Exchange.eq(exchange)))
        .apply_if(symbol.as_deref(), |select, symbol| select.filter(Column::Symbol.eq(symbol)))
        .apply_if(*side, |select, side| select.filter(Column::Side.eq(side)))
        .apply_if(statuses.clone(), |select, statuses| select.filter(Column::Status.is_in(statuses)))
        .apply_if(instance_id.as_deref(), |select, instance| select.filter(Column::InstanceId.eq(instance)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

impl Trading<'_> {
    /// The order that we gave this id, if there is one. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn order_by_client_id(&self, exchange: &str, client_order_id: &str) -> Result<Option<TradeOrder>, Error> {
        order_by_client_id(self.db.reader(), exchange, client_order_id).await
    }

    /// A page of orders. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn orders(&self, filter: &OrderFilter) -> Result<Page<TradeOrder>, Error> {
        orders(self.db.reader(), filter).await
    }
}
