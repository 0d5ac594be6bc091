//! Who trades which symbol: a lease on each, and a fence that goes up with every new holder.
//!
//! Instance `i` of `n` serves its [`share_of`] the symbols and keeps their leases by renewing them well within their length. A
//! standby asks for the same symbols and gets those whose lease is over: those of an instance that has died.
//!
//! The [`Desk`](super::Desk) does all of this by itself, and judges leases by what it has seen of them. [`assign`], for those
//! who do it by hand, judges a lease by the clock of whoever asks. One whose clock is ahead takes a symbol early, one whose
//! clock is behind takes it late; neither does harm, because the lease only says when to ask: what counts at a write is the
//! fence. A holder that was taken over, be it dead, asleep or wrongly declared so, has a lower fence than the symbol, and
//! [`check_fence`] refuses it in the transaction of its write. Clocks that agree to well within the lease's length (NTP) keep
//! symbols from moving for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
};

use super::Trading;
use crate::Error;
use crate::db::Tx;
use crate::entity::trading::symbol_assignment::{Column, Entity, Model as SymbolAssignment};
use crate::types::{AtColumn, Text, Timestamp};

/// Symbols that are assigned at once at most.
pub(super) const MOST_SYMBOLS: usize = 500;

/// The symbols that the instance at `slot` of `slots` serves, slots from 0: of all symbols, sorted and each once, every
/// `slots`-th. So the shares are disjoint, complete, and differ by one symbol at most, for instances that were given the
/// same symbols. Where they were not (a configuration is being changed), two may claim one: the lease decides.
///
/// ```
/// use stanchion::domain::trading::share_of;
///
/// let symbols = ["ETHUSDT", "BTCUSDT", "XRPETH"];
/// assert_eq!(share_of(symbols, 0, 2), ["BTCUSDT", "XRPETH"]);
/// assert_eq!(share_of(symbols, 1, 2), ["ETHUSDT"]);
/// ```
pub fn share_of<'s>(symbols: impl IntoIterator<Item = &'s str>, slot: u32, slots: u32) -> Vec<&'s str> {
    let sorted: BTreeSet<&str> = symbols.into_iter().collect();
    let is_ours = |at: usize| at % (Ord::max(slots, 1) as usize) == slot as usize;
    sorted.into_iter().enumerate().filter(|(at, _)| is_ours(*at)).map(|(_, symbol)| symbol).collect()
}

/// Gives an instance those of the symbols that are free, its own, or of a holder whose lease is over at `now`, until `lease`
/// from now. Those that it gets, each with a higher fence than it ever had: also its own, so that what an earlier life of
/// the instance still has on its way is refused; to keep a symbol, [`renew`] it. Symbols that others hold are left out.
///
/// Two round trips, two more where a symbol was never assigned. Crossing takeovers wait for each other in the order of the
/// symbols; each symbol goes to one of them.
///
/// # Errors
/// [`Error::Invalid`] for more than 500 symbols at once, or a lease of no length; [`Error::Value`] for a blank name; those
/// of the database.
pub async fn assign(
    tx: &Tx,
    exchange: &Text<32>,
    symbols: &[Text<32>],
    instance_id: &Text<64>,
    lease: Duration,
    now: Timestamp,
) -> Result<Vec<SymbolAssignment>, Error> {
    assign_if(tx, exchange, symbols, instance_id, lease, now, |row| is_free(row, instance_id, now)).await
}

/// As [`assign`], of the symbols whose rows `free` says are so; one that never was assigned has the fence 0. `free` sees
/// rows that nobody changes before the transaction ends.
pub(super) async fn assign_if(
    tx: &Tx,
    exchange: &Text<32>,
    symbols: &[Text<32>],
    instance_id: &Text<64>,
    lease: Duration,
    now: Timestamp,
    free: impl Fn(&SymbolAssignment) -> bool + Send,
) -> Result<Vec<SymbolAssignment>, Error> {
    let expires_at = end_of(lease, now)?;
    exchange.clone().non_blank().at("symbol_assignments.exchange")?;
    instance_id.clone().non_blank().at("symbol_assignments.instance_id")?;
    let wanted: BTreeSet<&Text<32>> = symbols.iter().collect();
    for symbol in &wanted {
        (*symbol).clone().non_blank().at("symbol_assignments.symbol")?;
    }
    within_bounds(wanted.len())?;
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let rows = locked(tx, exchange, &wanted, instance_id, now).await?;
    let mut taken: Vec<SymbolAssignment> = rows.into_values().filter(|row| free(row)).collect();
    if taken.is_empty() {
        return Ok(taken);
    }
    Entity::update_many()
        .col_expr(Column::InstanceId, Expr::val(instance_id.clone()))
        .col_expr(Column::Fence, Expr::col(Column::Fence).add(1))
        .col_expr(Column::ExpiresAt, Expr::val(expires_at))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(Column::Exchange.eq(exchange.clone()))
        .filter(Column::Symbol.is_in(taken.iter().map(|row| row.symbol.clone())))
        .exec(tx)
        .await?;
    for row in &mut taken {
        row.instance_id = instance_id.clone();
        row.fence += 1;
        row.expires_at = expires_at;
        row.updated_at = now;
    }
    Ok(taken)
}

fn is_free(row: &SymbolAssignment, instance_id: &Text<64>, now: Timestamp) -> bool {
    row.instance_id == *instance_id || row.expires_at <= now
}

/// The rows of the symbols, locked in their order. Those that were never assigned are made, free.
async fn locked(
    tx: &Tx,
    exchange: &Text<32>,
    symbols: &BTreeSet<&Text<32>>,
    instance_id: &Text<64>,
    now: Timestamp,
) -> Result<BTreeMap<Text<32>, SymbolAssignment>, Error> {
    loop {
        let select = Entity::find()
            .filter(Column::Exchange.eq(exchange.clone()))
            .filter(Column::Symbol.is_in(symbols.iter().map(|symbol| (*symbol).clone())))
            .order_by_asc(Column::Symbol)
            .lock_exclusive();
        let rows: BTreeMap<_, _> = select.all(tx).await?.into_iter().map(|row| (row.symbol.clone(), row)).collect();
        let free = |symbol: &Text<32>| SymbolAssignment {
            exchange: exchange.clone(),
            symbol: symbol.clone(),
            instance_id: instance_id.clone(),
            fence: 0,
            expires_at: now,
            created_at: now,
            updated_at: now,
        };
        let missing: Vec<_> = symbols
            .iter()
            .filter(|symbol| !rows.contains_key(**symbol))
            .map(|symbol| free(symbol).into_active_model())
            .collect();
        if missing.is_empty() {
            return Ok(rows);
        }
        let mut pass_over = OnConflict::columns([Column::Exchange, Column::Symbol]);
        pass_over.do_nothing_on([Column::Exchange, Column::Symbol]);
        Entity::insert_many(missing).on_conflict(pass_over).exec_without_returning(tx).await?;
    }
}

/// Prolongs leases until `lease` from `now`, where the fence is still the symbol's: also when the lease is over, as long as
/// nobody has taken the symbol. Those that are still held. Two round trips.
///
/// # Errors
/// [`Error::Invalid`] for more than 500 at once, or a lease of no length; those of the database.
pub async fn renew(
    db: &impl ConnectionTrait,
    held: &[SymbolAssignment],
    lease: Duration,
    now: Timestamp,
) -> Result<Vec<SymbolAssignment>, Error> {
    let expires_at = end_of(lease, now)?;
    within_bounds(held.len())?;
    if held.is_empty() {
        return Ok(Vec::new());
    }
    extend(db, held, expires_at, now).await?;
    Ok(Entity::find().filter(still_held(held)).order_by_asc(Column::Symbol).all(db).await?)
}

/// Gives symbols back, so that they are free at `now`, where the fence is still the symbol's. The fence stays: the next
/// holder's is higher. How many were given back. One round trip.
///
/// # Errors
/// [`Error::Invalid`] for more than 500 at once; those of the database.
pub async fn release(db: &impl ConnectionTrait, held: &[SymbolAssignment], now: Timestamp) -> Result<u64, Error> {
    within_bounds(held.len())?;
    if held.is_empty() {
        return Ok(0);
    }
    extend(db, held, now, now).await
}

async fn extend(
    db: &impl ConnectionTrait,
    held: &[SymbolAssignment],
    expires_at: Timestamp,
    now: Timestamp,
) -> Result<u64, Error> {
    let update = Entity::update_many()
        .col_expr(Column::ExpiresAt, Expr::val(expires_at))
        .col_expr(Column::UpdatedAt, Expr::val(now))
        .filter(still_held(held));
    Ok(update.exec(db).await?.rows_affected)
}

/// The rows whose holder and fence are still these. Leases taken together have the fence in common more often than not, so
/// they are asked for by exchange, holder and fence.
fn still_held(held: &[SymbolAssignment]) -> Condition {
    let mut groups: BTreeMap<(&str, &str, i64), Vec<Text<32>>> = BTreeMap::new();
    for row in held {
        groups.entry((&row.exchange, &row.instance_id, row.fence)).or_default().push(row.symbol.clone());
    }
    groups.into_iter().fold(Condition::any(), |any, ((exchange, instance_id, fence), symbols)| {
        let all = Condition::all()
            .add(Column::Exchange.eq(exchange))
            .add(Column::Symbol.is_in(symbols))
            .add(Column::InstanceId.eq(instance_id))
            .add(Column::Fence.eq(fence));
        any.add(all)
    })
}

/// Sees that an instance still holds a symbol under this fence, and that nobody takes it before the transaction ends: called
/// in the same transaction as a write that only the holder may do. It looks at the fence alone: a lease that is over, and
/// that nobody has taken, still writes. One round trip.
///
/// # Errors
/// [`Error::Conflict`] when somebody else has taken the symbol, or it never was this instance's; those of the database.
pub async fn check_fence(
    tx: &Tx,
    exchange: &str,
    symbol: &str,
    instance_id: &str,
    fence: i64,
) -> Result<SymbolAssignment, Error> {
    let select =
        Entity::find().filter(Column::Exchange.eq(exchange)).filter(Column::Symbol.eq(symbol)).lock_exclusive();
    match select.one(tx).await? {
        Some(row) if row.instance_id == *instance_id && row.fence == fence => Ok(row),
        Some(row) => Err(Error::Conflict(format!(
            "{symbol} on {exchange} is held by {} under fence {}; fence {fence} of {instance_id} is stale",
            row.instance_id, row.fence
        ))),
        None => Err(Error::Conflict(format!("{symbol} on {exchange} is held by nobody; fence {fence} is not its own"))),
    }
}

/// Who holds these symbols, or held them last, in their order; those that never were assigned are left out. One round trip.
///
/// # Errors
/// [`Error::Invalid`] for more than 500 symbols; those of the database.
pub async fn assignments(
    db: &impl ConnectionTrait,
    exchange: &str,
    symbols: &[Text<32>],
) -> Result<Vec<SymbolAssignment>, Error> {
    within_bounds(symbols.len())?;
    let select = Entity::find()
        .filter(Column::Exchange.eq(exchange))
        .filter(Column::Symbol.is_in(symbols.iter().cloned()))
        .order_by_asc(Column::Symbol);
    Ok(select.all(db).await?)
}

fn within_bounds(symbols: usize) -> Result<(), Error> {
    if symbols > MOST_SYMBOLS {
        return Err(Error::Invalid(format!("at most {MOST_SYMBOLS} symbols at once")));
    }
    Ok(())
}

fn end_of(lease: Duration, now: Timestamp) -> Result<Timestamp, Error> {
    let expires_at = now.plus(lease).at("symbol_assignments.expires_at")?;
    if expires_at <= now {
        return Err(Error::Invalid("a lease lasts a microsecond at least".into()));
    }
    Ok(expires_at)
}

impl Trading<'_> {
    /// Gives an instance the symbols that it can have: see [`assign`]. Four round trips, six where a symbol was never
    /// assigned, three where there is none to be had.
    ///
    /// # Errors
    /// As [`assign`].
    ///
    /// # Cancellation
    /// Dropped before the commit it assigns nothing; after it the symbols are held until their lease is over.
    pub async fn assign(
        &self,
        exchange: &Text<32>,
        symbols: &[Text<32>],
        instance_id: &Text<64>,
        lease: Duration,
    ) -> Result<Vec<SymbolAssignment>, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| assign(tx, exchange, symbols, instance_id, lease, now).await).await
    }

    /// Prolongs leases: see [`renew`]. Two round trips.
    ///
    /// # Errors
    /// As [`renew`].
    pub async fn renew(&self, held: &[SymbolAssignment], lease: Duration) -> Result<Vec<SymbolAssignment>, Error> {
        renew(self.db.writer(), held, lease, self.clock.now()).await
    }

    /// Gives symbols back: see [`release`]. One round trip.
    ///
    /// # Errors
    /// As [`release`].
    pub async fn release(&self, held: &[SymbolAssignment]) -> Result<u64, Error> {
        release(self.db.writer(), held, self.clock.now()).await
    }

    /// Who holds these symbols: see [`assignments`]. One round trip.
    ///
    /// # Errors
    /// As [`assignments`].
    pub async fn assignments(&self, exchange: &str, symbols: &[Text<32>]) -> Result<Vec<SymbolAssignment>, Error> {
        assignments(self.db.reader(), exchange, symbols).await
    }
}
