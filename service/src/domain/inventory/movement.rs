use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use super::ledger::{self, Change, Held};
use super::warehouse::warehouse;
use crate::Error;
use crate::db::Tx;
use crate::domain::insert_once;
use crate::entity::inventory::MovementKind;
use crate::entity::inventory::inventory_log::{Column, Entity};
use crate::types::{AtColumn, Problem, Text, Timestamp, ValueError};

/// Goods that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The product.
    pub product_id: Uuid,
    /// Where to.
    pub warehouse_id: Uuid,
    /// How many, above zero.
    pub quantity: i64,
    /// What they came with: a delivery note. The same again is the same receipt.
    pub reference: Text<100>,
}

/// A count that found more or fewer than there should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The product.
    pub product_id: Uuid,
    /// Where.
    pub warehouse_id: Uuid,
    /// How many more, or fewer; not zero.
    pub delta: i64,
    /// Why, in words that say which count it was: the same again is the same adjustment.
    pub reason: Text<100>,
}

/// Goods that are moved from one warehouse to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The product.
    pub product_id: Uuid,
    /// The warehouse that they leave.
    pub from: Uuid,
    /// The warehouse that they go to.
    pub to: Uuid,
    /// How many, above zero; no more than are available.
    pub quantity: i64,
    /// What they are moved by. The same again is the same transfer.
    pub reference: Text<100>,
}

/// Puts goods into a warehouse, once for a reference. Four statements; six for the first of a product there.
///
/// # Errors
/// [`Error::NotFound`] for an unknown warehouse; [`Error::Conflict`] for one that is not active, and for a reference that
/// other goods came in with; [`Error::Value`] for a quantity that is not above zero, and a blank reference;
/// [`Error::Invalid`] for more than can be counted. The caller's transaction is to be rolled back then.
pub async fn receive(tx: &Tx, receipt: &Receipt, now: Timestamp) -> Result<(), Error> {
    let reference = reference(&receipt.reference)?;
    let quantity = positive(receipt.quantity)?;
    accepting(tx, receipt.warehouse_id).await?;
    let rows = ledger::lock_or_create(tx, receipt.product_id, receipt.warehouse_id, now).await?;
    let row = at(&rows, receipt.warehouse_id)?;
    one(tx, MovementKind::Inbound, row, quantity, &reference, now).await.map(drop)
}

/// Corrects how much there is, once for a reason. Four statements; six for the first of a product there.
///
/// # Errors
/// [`Error::NotFound`] for an unknown warehouse; [`Error::Conflict`] when fewer would be left than are reserved, and for a
/// reason that another correction had; [`Error::Invalid`] for a correction by nothing; [`Error::Value`] for a blank
/// reason. The caller's transaction is to be rolled back then.
pub async fn adjust(tx: &Tx, adjustment: &Adjustment, now: Timestamp) -> Result<(), Error> {
    let reason = reference(&adjustment.reason)?;
    if adjustment.delta == 0 {
        return Err(Error::Invalid("an adjustment by nothing".into()));
    }
    warehouse(tx, adjustment.warehouse_id).await?;
    let rows = ledger::lock_or_create(tx, adjustment.product_id, adjustment.warehouse_id, now).await?;
    let row = at(&rows, adjustment.warehouse_id)?;
    one(tx, MovementKind::Adjust, row, adjustment.delta, &reason, now).await.map(drop)
}

/// Moves goods from one warehouse to another, once for a reference: they are never in both, and never in none. Six
/// statements; eight for the first of a product there.
///
/// # Errors
/// [`Error::NotFound`] for a warehouse that is unknown, or has none of the product; [`Error::Conflict`] when not enough is
/// available, when the warehouse that they go to is not active, and for a reference that something else was moved by;
/// [`Error::Invalid`] for a transfer within a warehouse; [`Error::Value`] for a quantity that is not above zero, and a
/// blank reference. The caller's transaction is to be rolled back then.
pub async fn transfer(tx: &Tx, transfer: &Transfer, now: Timestamp) -> Result<(), Error> {
    let reference = reference(&transfer.reference)?;
    let quantity = positive(transfer.quantity)?;
    if transfer.from == transfer.to {
        return Err(Error::Invalid("a transfer needs two warehouses".into()));
    }
    accepting(tx, transfer.to).await?;
    let rows = ledger::lock_or_create(tx, transfer.product_id, transfer.to, now).await?;
    let (from, to) = (at(&rows, transfer.from)?, at(&rows, transfer.to)?);
    let left = one(tx, MovementKind::Outbound, from, -quantity, &reference, now).await?;
    let arrived = one(tx, MovementKind::Inbound, to, quantity, &reference, now).await?;
    if left == arrived {
        return Ok(());
    }
    Err(Error::Conflict(format!("something else was moved by the reference {reference}")))
}

/// Changes one row, unless its log has the change already, and says whether it did. Two round trips.
async fn one(
    tx: &Tx,
    kind: MovementKind,
    row: Held,
    delta: i64,
    reference: &Text<100>,
    now: Timestamp,
) -> Result<bool, Error> {
    let change = Change::new(kind, row, delta);
    if let Some(change) = change
        && insert_once::<Entity>(tx, change.entry(kind, reference.clone(), now)?).await?
    {
        ledger::update(tx, &[change], now).await?;
        return Ok(true);
    }
    let known = Entity::find()
        .select_only()
        .column(Column::Delta)
        .filter(Column::InventoryId.eq(row.id))
        .filter(Column::Kind.eq(kind))
        .filter(Column::Reference.eq(reference.clone()))
        .into_tuple::<i64>()
        .one(tx)
        .await?;
    match known {
        Some(known) if known == delta => Ok(false),
        Some(_) => Err(Error::Conflict(format!("another {kind} has the reference {reference}"))),
        None => Err(refusal(row, delta)),
    }
}

/// Why a row cannot change by `delta`.
fn refusal(row: Held, delta: i64) -> Error {
    let Held { product_id, on_hand, .. } = row;
    if delta > 0 {
        return Error::Invalid(format!(
            "{on_hand} of the product {product_id} and {delta} are more than can be counted"
        ));
    }
    let (wanted, available) = (delta.unsigned_abs(), row.available());
    Error::Conflict(format!("of the product {product_id}, {wanted} are to leave and {available} are available"))
}

/// Sees that goods may go to a warehouse.
async fn accepting(tx: &Tx, id: Uuid) -> Result<(), Error> {
    let warehouse = warehouse(tx, id).await?;
    if warehouse.is_active {
        return Ok(());
    }
    Err(Error::Conflict(format!("the warehouse {} is not active", warehouse.code)))
}

fn at(rows: &[Held], warehouse: Uuid) -> Result<Held, Error> {
    let row = rows.iter().find(|row| row.warehouse_id == warehouse);
    row.copied().ok_or_else(|| Error::not_found("stock of the product in the warehouse", warehouse))
}

fn positive(quantity: i64) -> Result<i64, Error> {
    if quantity > 0 { Ok(quantity) } else { Err(ValueError::at("inventory_logs.delta", Problem::NotPositive).into()) }
}

fn reference(text: &Text<100>) -> Result<Text<100>, Error> {
    Ok(text.clone().non_blank().at("inventory_logs.reference")?)
}
