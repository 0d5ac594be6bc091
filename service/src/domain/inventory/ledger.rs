//! The one way in which a stock changes: its rows are locked in one order, changed by one update that refuses what would
//! not add up, and the log says the same in the same transaction.

use std::collections::BTreeSet;

use sea_orm::sea_query::extension::mysql::{IndexHintScope, MySqlSelectStatementExt};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, LockType, Query, SimpleExpr};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use uuid::Uuid;

use crate::Error;
use crate::db::Tx;
use crate::domain::insert_once;
use crate::entity::inventory::stock::{Column, Entity, Model};
use crate::entity::inventory::{MovementKind, inventory_log, warehouse};
use crate::types::{AtColumn, Text, Timestamp, id_at};

/// A row of the stock that is locked until the transaction ends.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(super) struct Held {
    pub(super) id: Uuid,
    pub(super) product_id: Uuid,
    pub(super) warehouse_id: Uuid,
    pub(super) on_hand: i64,
    pub(super) reserved: i64,
    /// Whether its warehouse is active.
    pub(super) is_active: bool,
}

impl Held {
    pub(super) const fn available(&self) -> i64 {
        self.on_hand - self.reserved
    }
}

/// Locks every row of these products, in the order of product and warehouse, whoever asks: so two that want the same rows
/// wait for each other and never deadlock. One round trip.
pub(super) async fn lock(tx: &Tx, products: &BTreeSet<Uuid>) -> Result<Vec<Held>, Error> {
    // Not a join, which would lock the warehouse as well.
    let is_active = Query::select()
        .column((warehouse::Entity, warehouse::Column::IsActive))
        .from(warehouse::Entity)
        .and_where(Expr::col((warehouse::Entity, warehouse::Column::Id)).equals((Entity, Column::WarehouseId)))
        .to_owned();
    let mut select = Entity::find()
        .select_only()
        .columns([Column::Id, Column::ProductId, Column::WarehouseId, Column::OnHand, Column::Reserved])
        .expr_as(SimpleExpr::SubQuery(None, Box::new(is_active.into())), "is_active")
        .filter(Column::ProductId.is_in(products.iter().copied()))
        .order_by_asc(Column::ProductId)
        .order_by_asc(Column::WarehouseId)
        .lock(LockType::Update);
    // InnoDB locks rows as it reads them: in the order of the index that it uses.
    QueryTrait::query(&mut select).force_index("uq_inventory_product_id_warehouse_id", IndexHintScope::All);
    Ok(select.into_model().all(tx).await?)
}

/// The row of a product in a warehouse, locked with the product's others, and made if there is none: by whomever, only
/// once. One round trip; three where it is made.
pub(super) async fn lock_or_create(
    tx: &Tx,
    product: Uuid,
    warehouse: Uuid,
    now: Timestamp,
) -> Result<Vec<Held>, Error> {
    let products = BTreeSet::from([product]);
    let rows = lock(tx, &products).await?;
    if rows.iter().any(|row| row.warehouse_id == warehouse) {
        return Ok(rows);
    }
    let row = Model {
        id: id_at(now).at("inventory.id")?,
        product_id: product,
        warehouse_id: warehouse,
        on_hand: 0,
        reserved: 0,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    insert_once::<Entity>(tx, row).await?;
    lock(tx, &products).await
}

/// By how much a locked row changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    row: Held,
    on_hand: i64,
    reserved: i64,
    /// What the log says.
    delta: i64,
    balance_after: i64,
}

impl Change {
    /// The change of `kind` by `delta`, in the log's sense. `None` when there would be fewer than nothing, fewer than are
    /// reserved, or more than can be counted.
    pub(super) fn new(kind: MovementKind, row: Held, delta: i64) -> Option<Self> {
        let (on_hand, reserved) = (delta * i64::from(changes_on_hand(kind)), delta * i64::from(changes_reserved(kind)));
        let on_hand_after = row.on_hand.checked_add(on_hand)?;
        let reserved_after = row.reserved.checked_add(reserved)?;
        let adds_up = reserved_after >= 0 && reserved_after <= on_hand_after;
        let balance_after = if changes_on_hand(kind) { on_hand_after } else { reserved_after };
        adds_up.then_some(Self { row, on_hand, reserved, delta, balance_after })
    }

    /// The entry of the log that says so.
    pub(super) fn entry(
        &self,
        kind: MovementKind,
        reference: Text<100>,
        now: Timestamp,
    ) -> Result<inventory_log::Model, Error> {
        Ok(inventory_log::Model {
            id: id_at(now).at("inventory_logs.id")?,
            inventory_id: self.row.id,
            delta: self.delta,
            kind,
            reference,
            balance_after: self.balance_after,
            created_at: now,
        })
    }
}

/// Whether the deltas of this kind are part of `on_hand`.
pub(super) const fn changes_on_hand(kind: MovementKind) -> bool {
    match kind {
        MovementKind::Inbound | MovementKind::Outbound | MovementKind::Commit | MovementKind::Adjust => true,
        MovementKind::Reserve | MovementKind::Release => false,
    }
}

/// Whether the deltas of this kind are part of `reserved`.
pub(super) const fn changes_reserved(kind: MovementKind) -> bool {
    match kind {
        MovementKind::Reserve | MovementKind::Release | MovementKind::Commit => true,
        MovementKind::Inbound | MovementKind::Outbound | MovementKind::Adjust => false,
    }
}

/// Rows of the log that one statement inserts: every engine's limit of values is well above.
const ENTRIES: usize = 1_000;

/// Changes the rows, and writes the log. Two round trips for up to a thousand rows.
pub(super) async fn apply(
    tx: &Tx,
    kind: MovementKind,
    reference: &Text<100>,
    changes: &[Change],
    now: Timestamp,
) -> Result<(), Error> {
    for changes in changes.chunks(ENTRIES) {
        update(tx, changes, now).await?;
        let entries = changes.iter().map(|change| change.entry(kind, reference.clone(), now));
        let entries: Vec<_> =
            entries.map(|entry| entry.map(IntoActiveModel::into_active_model)).collect::<Result<_, _>>()?;
        inventory_log::Entity::insert_many(entries).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Changes the rows by one update, whose condition is what has to be true afterwards. One round trip.
pub(super) async fn update(tx: &Tx, changes: &[Change], now: Timestamp) -> Result<(), Error> {
    let on_hand = || Expr::col(Column::OnHand).add(by_row(changes, |change| change.on_hand));
    let reserved = || Expr::col(Column::Reserved).add(by_row(changes, |change| change.reserved));
    let done = Entity::update_many()
        .col_expr(Column::OnHand, on_hand())
        .col_expr(Column::Reserved, reserved())
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Id.is_in(changes.iter().map(|change| change.row.id)))
        .filter(reserved().gte(0_i64))
        .filter(reserved().lte(on_hand()))
        .exec(tx)
        .await?;
    if done.rows_affected == changes.len() as u64 {
        return Ok(());
    }
    Err(Error::stale("stock of", changes.first().map(|change| change.row.product_id).unwrap_or_default()))
}

/// One number for each row; said once where it is the same for all.
fn by_row(changes: &[Change], number: impl Fn(&Change) -> i64) -> SimpleExpr {
    let mut rest = changes.iter();
    let Some(first) = rest.next() else { return Expr::val(0_i64) };
    if rest.all(|change| number(change) == number(first)) {
        return Expr::val(number(first));
    }
    let cases = changes.iter().fold(CaseStatement::new(), |cases, change| {
        cases.case(Column::Id.eq(change.row.id), Expr::val(number(change)))
    });
    cases.into()
}
