use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, Func, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, RelationTrait,
};
use uuid::Uuid;

use super::ledger;
use crate::Error;
use crate::db::Page;
use crate::db::page::{MAX_LIMIT, PageRequest};
use crate::entity::inventory::{MovementKind, inventory_log, stock, warehouse};
use crate::types::{TimeRange, Timestamp, id_bounds};

/// Products whose availability can be asked for at once.
pub const MAX_PRODUCTS: usize = 1_000;

/// How much of a product there is, in all active warehouses together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Availability {
    /// The product.
    pub product_id: Uuid,
    /// How many are there.
    pub on_hand: i64,
    /// How many of them are put aside for orders.
    pub reserved: i64,
}

impl Availability {
    /// How many can be sold.
    pub const fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

/// A row of the stock whose log says something else. The figures beside it are the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Discrepancy {
    /// The row.
    pub inventory_id: Uuid,
    /// Its product.
    pub product_id: Uuid,
    /// Its warehouse.
    pub warehouse_id: Uuid,
    /// How many there are, by the row.
    pub on_hand: i64,
    /// How many there should be, by the log.
    pub logged_on_hand: i64,
    /// How many are reserved, by the row.
    pub reserved: i64,
    /// How many should be, by the log.
    pub logged_reserved: i64,
}

/// Which rows of the stock, in which order, and how many. Newest first unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StockFilter {
    criteria: StockCriteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct StockCriteria {
    product_id: Option<Uuid>,
    warehouse_id: Option<Uuid>,
}

crate::domain::paged!(StockFilter);

impl StockFilter {
    /// All of the stock.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this product.
    #[must_use]
    pub const fn product(mut self, id: Uuid) -> Self {
        self.criteria.product_id = Some(id);
        self
    }

    /// In this warehouse.
    #[must_use]
    pub const fn warehouse(mut self, id: Uuid) -> Self {
        self.criteria.warehouse_id = Some(id);
        self
    }
}

/// Which entries of the log, in which order, and how many. Newest first unless said otherwise; entries of the same
/// millisecond are in the order of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    criteria: LogCriteria,
    page: PageRequest,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LogCriteria {
    inventory_id: Option<Uuid>,
    kind: Option<MovementKind>,
    reference: Option<String>,
    created: TimeRange,
}

crate::domain::paged!(LogFilter);

impl LogFilter {
    /// All entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of this row of the stock.
    #[must_use]
    pub const fn stock(mut self, inventory_id: Uuid) -> Self {
        self.criteria.inventory_id = Some(inventory_id);
        self
    }

    /// Of this kind.
    #[must_use]
    pub const fn kind(mut self, kind: MovementKind) -> Self {
        self.criteria.kind = Some(kind);
        self
    }

    /// Of this reference: of an order, by the text of its id.
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.criteria.reference = Some(reference.into());
        self
    }

    /// Written at this instant or later.
    #[must_use]
    pub const fn from(mut self, from: Timestamp) -> Self {
        self.criteria.created.from = Some(from);
        self
    }

    /// Written before this instant.
    #[must_use]
    pub const fn to(mut self, to: Timestamp) -> Self {
        self.criteria.created.to = Some(to);
        self
    }
}

/// How much of these products there is in the active warehouses, in the order asked for; nothing of one that is unknown.
/// One round trip.
///
/// # Errors
/// [`Error::Invalid`] for more than [`MAX_PRODUCTS`]; those of the database.
pub async fn availability(db: &impl ConnectionTrait, products: &[Uuid]) -> Result<Vec<Availability>, Error> {
    use stock::Column;

    if products.len() > MAX_PRODUCTS {
        return Err(Error::Invalid(format!("{} products are too many: at most {MAX_PRODUCTS}", products.len())));
    }
    if products.is_empty() {
        return Ok(Vec::new());
    }
    let sum = |column: Column| whole(db, column.into_expr().sum());
    let rows = stock::Entity::find()
        .select_only()
        .column(Column::ProductId)
        .expr_as(sum(Column::OnHand), "on_hand")
        .expr_as(sum(Column::Reserved), "reserved")
        .join(JoinType::InnerJoin, stock::Relation::Warehouse.def())
        .filter(warehouse::Column::IsActive.eq(true))
        .filter(Column::ProductId.is_in(products.iter().copied()))
        .group_by(Column::ProductId)
        .into_tuple::<(Uuid, i64, i64)>()
        .all(db)
        .await?;
    let known: HashMap<Uuid, (i64, i64)> =
        rows.into_iter().map(|(product, on_hand, reserved)| (product, (on_hand, reserved))).collect();
    let of = |product_id: &Uuid| {
        let (on_hand, reserved) = known.get(product_id).copied().unwrap_or_default();
        Availability { product_id: *product_id, on_hand, reserved }
    };
    Ok(products.iter().map(of).collect())
}

/// A page of the stock. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn stocks(db: &impl ConnectionTrait, filter: &StockFilter) -> Result<Page<stock::Model>, Error> {
    use stock::Column;

    let StockCriteria { product_id, warehouse_id } = filter.criteria;
    let select = stock::Entity::find()
        .apply_if(product_id, |select, id| select.filter(Column::ProductId.eq(id)))
        .apply_if(warehouse_id, |select, id| select.filter(Column::WarehouseId.eq(id)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

/// A page of the log. One round trip.
///
/// # Errors
/// [`Error::Cursor`] for a cursor of another filter, and those of the database.
pub async fn log(db: &impl ConnectionTrait, filter: &LogFilter) -> Result<Page<inventory_log::Model>, Error> {
    use inventory_log::Column;

    let LogCriteria { inventory_id, kind, reference, created } = &filter.criteria;
    // No column holds a NUL, and not every engine takes one.
    if reference.as_ref().is_some_and(|reference| reference.contains('\0')) {
        return Ok(Page { items: Vec::new(), next: None });
    }
    // The id carries the time.
    let (low, high) = id_bounds(*created);
    let select = inventory_log::Entity::find()
        .apply_if(*inventory_id, |select, id| select.filter(Column::InventoryId.eq(id)))
        .apply_if(*kind, |select, kind| select.filter(Column::Kind.eq(kind)))
        .apply_if(reference.as_deref(), |select, reference| select.filter(Column::Reference.eq(reference)))
        .apply_if(low, |select, low| select.filter(Column::Id.gte(low)))
        .apply_if(high, |select, high| select.filter(Column::Id.lt(high)))
        .apply_if(created.from, |select, from| select.filter(Column::CreatedAt.gte(from)))
        .apply_if(created.to, |select, to| select.filter(Column::CreatedAt.lt(to)));
    filter.page.read(db, select, [Column::Id], &filter.criteria).await
}

/// The rows of the stock whose log does not add up to them, the oldest [`MAX_LIMIT`]; there should be none. One round
/// trip, which reads the whole log.
///
/// # Errors
/// Those of the database.
pub async fn audit(db: &impl ConnectionTrait) -> Result<Vec<Discrepancy>, Error> {
    use stock::Column;

    let logged = |is_part: fn(MovementKind) -> bool| {
        let kinds = MovementKind::ALL.iter().copied().filter(|kind| is_part(*kind));
        let part = inventory_log::Column::Kind.is_in(kinds);
        let delta: SimpleExpr = Expr::case(part, inventory_log::Column::Delta.into_expr()).finally(0_i64).into();
        whole(db, Func::sum(delta).into())
    };
    let (on_hand, reserved) = (logged(ledger::changes_on_hand), logged(ledger::changes_reserved));
    let differs = Column::OnHand.into_expr().ne(on_hand.clone()).or(Column::Reserved.into_expr().ne(reserved.clone()));
    let found = stock::Entity::find()
        .select_only()
        .column_as(Column::Id, "inventory_id")
        .columns([Column::ProductId, Column::WarehouseId, Column::OnHand, Column::Reserved])
        .expr_as(on_hand, "logged_on_hand")
        .expr_as(reserved, "logged_reserved")
        .join(JoinType::LeftJoin, stock::Relation::InventoryLog.def())
        .group_by(Column::Id)
        .group_by(Column::ProductId)
        .group_by(Column::WarehouseId)
        .group_by(Column::OnHand)
        .group_by(Column::Reserved)
        .having(differs)
        .order_by_asc(Column::Id)
        .limit(u64::from(MAX_LIMIT))
        .into_model()
        .all(db)
        .await?;
    Ok(found)
}

/// A sum as a whole number again, and nothing as zero: PostgreSQL and MySQL sum whole numbers to decimals.
fn whole(db: &impl ConnectionTrait, sum: SimpleExpr) -> SimpleExpr {
    let number = if db.get_database_backend() == DbBackend::MySql { "signed" } else { "bigint" };
    let sum = Func::coalesce([sum, Expr::val(0_i64)]);
    Expr::expr(sum).cast_as(number)
}
