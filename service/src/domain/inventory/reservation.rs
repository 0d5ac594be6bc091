use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, JoinType, QueryFilter, QuerySelect, RelationTrait};
use uuid::Uuid;

use super::ledger::{self, Change, Held};
use crate::Error;
use crate::db::Tx;
use crate::domain::{State, Transition, insert_once};
use crate::entity::inventory::reservation::{Column, Entity, Model};
use crate::entity::inventory::{MovementKind, ReservationStatus, inventory_log, stock};
use crate::types::{AtColumn, Problem, Text, Timestamp, ValueError};

/// Lines that an order can have, each of another product.
pub const MAX_LINES: usize = 1_000;

/// So many of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The product.
    pub product_id: Uuid,
    /// How many, above zero.
    pub quantity: i64,
}

impl State for ReservationStatus {
    const ALL: &'static [Self] = Self::ALL;

    fn may_become(self, next: Self) -> bool {
        matches!((self, next), (Self::Reserved, Self::Released | Self::Committed) | (Self::Committed, Self::Restocked))
    }
}

/// Puts aside what an order wants: all of its lines, or nothing. Four statements, however many lines; three where it
/// is there already.
///
/// A line is taken from the active warehouse that has most of it available; from several, those with most first, only if
/// none has enough. Lines of the same product are one. The same order again changes nothing.
///
/// # Errors
/// [`Error::Conflict`] when there is not enough, naming the product, what was wanted and what is available; when the order
/// was released before, however late this comes; when it reserved other lines. [`Error::Invalid`] for no lines, and for
/// more than [`MAX_LINES`]; [`Error::Value`] for a quantity that is not above zero. Nothing is written then.
pub async fn reserve(tx: &Tx, order_id: Uuid, lines: &[Line], now: Timestamp) -> Result<(), Error> {
    let wanted = merged(lines)?;
    let row = Model { order_id, status: ReservationStatus::Reserved, created_at: now, updated_at: now };
    if !insert_once::<Entity>(tx, row).await? {
        return repeated(tx, order_id, &wanted).await;
    }
    let stocks = ledger::lock(tx, &wanted.keys().copied().collect()).await?;
    let mut changes = Vec::with_capacity(wanted.len());
    for (product, quantity) in wanted {
        match take(&stocks, product, quantity) {
            Ok(taken) => changes.extend(taken),
            Err(refused) => {
                // Whatever the caller does about it, the order holds nothing.
                Entity::delete_by_id(order_id).exec(tx).await?;
                return Err(refused);
            }
        }
    }
    ledger::apply(tx, MovementKind::Reserve, &reference(order_id)?, &changes, now).await
}

/// Gives back what an order reserved, once, however often it is called. Five statements; three where nothing was reserved.
///
/// An order that reserved nothing (yet) never can afterwards: a [`reserve`] that comes late, of a process that was paused
/// while somebody else undid its order, is refused.
///
/// # Errors
/// [`Error::Conflict`] when what it reserved has left.
pub async fn release(tx: &Tx, order_id: Uuid, now: Timestamp) -> Result<(), Error> {
    loop {
        match enter(tx, order_id, ReservationStatus::Released, now).await {
            Ok(true) => return move_reserved(tx, order_id, MovementKind::Release, now).await,
            Ok(false) => return Ok(()),
            Err(Error::NotFound { .. }) => {
                let row = Model { order_id, status: ReservationStatus::Released, created_at: now, updated_at: now };
                if insert_once::<Entity>(tx, row).await? {
                    return Ok(());
                }
                // It was reserved, or released, between the two statements.
            }
            Err(error) => return Err(error),
        }
    }
}

/// What an order reserved leaves with it, once, however often it is called. Five statements.
///
/// # Errors
/// [`Error::NotFound`] when it reserved nothing; [`Error::Conflict`] when it was released.
pub async fn commit(tx: &Tx, order_id: Uuid, now: Timestamp) -> Result<(), Error> {
    if enter(tx, order_id, ReservationStatus::Committed, now).await? {
        move_reserved(tx, order_id, MovementKind::Commit, now).await?;
    }
    Ok(())
}

/// What left with an order comes back to where it was taken from, once, however often it is called. Five statements.
///
/// # Errors
/// [`Error::NotFound`] when the order reserved nothing; [`Error::Conflict`] when what it reserved has not left.
pub async fn restock(tx: &Tx, order_id: Uuid, now: Timestamp) -> Result<(), Error> {
    if enter(tx, order_id, ReservationStatus::Restocked, now).await? {
        move_reserved(tx, order_id, MovementKind::Inbound, now).await?;
    }
    Ok(())
}

/// The lines by product.
fn merged(lines: &[Line]) -> Result<BTreeMap<Uuid, i64>, Error> {
    if lines.is_empty() {
        return Err(Error::Invalid("an order of no lines reserves nothing".into()));
    }
    let mut merged = BTreeMap::new();
    for line in lines {
        if line.quantity <= 0 {
            return Err(ValueError::at("inventory_logs.delta", Problem::NotPositive).into());
        }
        let quantity: &mut i64 = merged.entry(line.product_id).or_default();
        *quantity = quantity
            .checked_add(line.quantity)
            .ok_or_else(|| Error::Invalid(format!("more of the product {} than can be counted", line.product_id)))?;
    }
    if merged.len() > MAX_LINES {
        return Err(Error::Invalid(format!("{} lines are too many: at most {MAX_LINES}", merged.len())));
    }
    Ok(merged)
}

/// Where a line is taken from: those that have most first, so that one is enough if any is.
fn take(stocks: &[Held], product: Uuid, wanted: i64) -> Result<Vec<Change>, Error> {
    let mut stocks: Vec<Held> = stocks
        .iter()
        .filter(|row| row.product_id == product && row.is_active && row.available() > 0)
        .copied()
        .collect();
    stocks.sort_by_key(|row| (std::cmp::Reverse(row.available()), row.warehouse_id));
    let mut missing = wanted;
    let mut changes = Vec::with_capacity(1);
    for row in &stocks {
        let quantity = missing.min(row.available());
        changes.extend(Change::new(MovementKind::Reserve, *row, quantity));
        missing -= quantity;
        if missing == 0 {
            return Ok(changes);
        }
    }
    let available = wanted - missing;
    Err(Error::Conflict(format!("of the product {product}, {wanted} are wanted and {available} are available")))
}

/// A reservation that is there already: the same again is no change.
async fn repeated(tx: &Tx, order_id: Uuid, wanted: &BTreeMap<Uuid, i64>) -> Result<(), Error> {
    let status = Entity::find_by_id(order_id).one(tx).await?.map(|row| row.status);
    if status == Some(ReservationStatus::Released) {
        return Err(Error::Conflict(format!("the order {order_id} was released and cannot reserve any more")));
    }
    let mut reserved: BTreeMap<Uuid, i64> = BTreeMap::new();
    for row in taken(tx, order_id).await? {
        *reserved.entry(row.product_id).or_default() += row.quantity;
    }
    if reserved == *wanted {
        return Ok(());
    }
    Err(Error::Conflict(format!("the order {order_id} has reserved other lines")))
}

/// Puts an order's reservation into a state, and says whether it was not there yet: true once.
async fn enter(tx: &Tx, order_id: Uuid, to: ReservationStatus, now: Timestamp) -> Result<bool, Error> {
    let transition = Transition { what: "reservation of the order", id: Column::OrderId, state: Column::Status, to };
    loop {
        let update = Entity::update_many().col_expr(Column::UpdatedAt, Expr::val(now));
        let refused = match transition.apply(tx, order_id, update).await {
            Ok(()) => return Ok(true),
            Err(refused @ Error::Conflict(_)) => refused,
            Err(error) => return Err(error),
        };
        let status = Entity::find_by_id(order_id).one(tx).await?.map(|row| row.status);
        let is_past = to == ReservationStatus::Committed && status == Some(ReservationStatus::Restocked);
        if status == Some(to) || is_past {
            return Ok(false);
        }
        // Somebody may have brought it into a state from which it can, since the update looked.
        if !status.is_some_and(|status| status.may_become(to)) {
            return Err(refused);
        }
    }
}

/// What an order took of a row of the stock.
struct Taken {
    inventory_id: Uuid,
    product_id: Uuid,
    quantity: i64,
}

/// What an order took, by the log. One round trip.
async fn taken(tx: &Tx, order_id: Uuid) -> Result<Vec<Taken>, Error> {
    let taken = inventory_log::Entity::find()
        .select_only()
        .columns([inventory_log::Column::InventoryId, inventory_log::Column::Delta])
        .column(stock::Column::ProductId)
        .join(JoinType::InnerJoin, inventory_log::Relation::Stock.def())
        .filter(inventory_log::Column::Reference.eq(reference(order_id)?))
        .filter(inventory_log::Column::Kind.eq(MovementKind::Reserve))
        .into_tuple::<(Uuid, i64, Uuid)>()
        .all(tx)
        .await?;
    let taken = taken.into_iter();
    Ok(taken.map(|(inventory_id, quantity, product_id)| Taken { inventory_id, product_id, quantity }).collect())
}

/// Moves what an order took, and says so in the log.
async fn move_reserved(tx: &Tx, order_id: Uuid, kind: MovementKind, now: Timestamp) -> Result<(), Error> {
    let taken = taken(tx, order_id).await?;
    let products: BTreeSet<Uuid> = taken.iter().map(|row| row.product_id).collect();
    let stocks = ledger::lock(tx, &products).await?;
    let sign = if kind == MovementKind::Inbound { 1 } else { -1 };
    let changes: Option<Vec<Change>> = taken
        .iter()
        .map(|taken| {
            let row = stocks.iter().find(|row| row.id == taken.inventory_id)?;
            Change::new(kind, *row, sign * taken.quantity)
        })
        .collect();
    let Some(changes) = changes else {
        return Err(Error::Conflict(format!("the stock does not hold what the order {order_id} reserved")));
    };
    ledger::apply(tx, kind, &reference(order_id)?, &changes, now).await
}

fn reference(order_id: Uuid) -> Result<Text<100>, Error> {
    Ok(Text::try_from(order_id.to_string()).at("inventory_logs.reference")?)
}
