use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use serde::Serialize;
use uuid::Uuid;

use super::Mall;
use crate::Error;
use crate::entity::mall::points_account::{Column, Entity};
use crate::entity::mall::points_transaction::{Column as EntryColumn, Entity as EntryEntity};
use crate::types::Money;

/// Accounts that are looked at in one statement.
const BATCH: u64 = 1_000;
/// The most wrong accounts that an audit names; it counts them all.
pub const MISMATCHES: usize = 1_000;

/// What an audit of all accounts found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// How many accounts there are.
    pub accounts: u64,
    /// The sum of all balances.
    pub balances: Decimal,
    /// The sum of all entries.
    pub entries: Decimal,
    /// How many accounts differ from their entries.
    pub wrong: u64,
    /// The first [`MISMATCHES`] of them.
    pub mismatches: Vec<Mismatch>,
}

impl Audit {
    /// Whether every account is the sum of its entries.
    pub const fn is_clean(&self) -> bool {
        self.wrong == 0
    }
}

/// An account whose balance is not the sum of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Whose account it is.
    pub user_id: Uuid,
    /// What it says.
    pub balance: Money,
    /// What its entries say.
    pub entries: Decimal,
}

/// Adds up the entries of every account and compares them with its balance, exactly. It waits for nobody and nobody waits
/// for it: each account is compared within one statement, so transfers that run meanwhile are seen whole or not at all
/// in each account. The totals are those of a moment only where nothing moves.
///
/// Two round trips a thousand accounts.
///
/// # Errors
/// Those of the database.
pub async fn audit(db: &impl ConnectionTrait) -> Result<Audit, Error> {
    let mut audit = Audit::default();
    let mut after = None;
    while let Some(last) = last_of_batch(db, after).await? {
        for (user_id, balance, entries) in batch(db, after, last).await? {
            audit.accounts += 1;
            audit.balances += balance.get();
            audit.entries += entries;
            if balance.get() != entries {
                audit.wrong += 1;
                if audit.mismatches.len() < MISMATCHES {
                    audit.mismatches.push(Mismatch { user_id, balance, entries });
                }
            }
        }
        after = Some(last);
    }
    Ok(audit)
}

/// The last account of the batch that begins after this one.
async fn last_of_batch(db: &impl ConnectionTrait, after: Option<Uuid>) -> Result<Option<Uuid>, Error> {
    let ids = Entity::find().select_only().column(Column::Id);
    let ids = ids.apply_if(after, |select, after| select.filter(Column::Id.gt(after)));
    let ids: Vec<Uuid> = ids.order_by_asc(Column::Id).limit(BATCH).into_tuple().all(db).await?;
    Ok(ids.last().copied())
}

/// The user, the balance and the sum of the entries of each account after `after`, up to `last`.
async fn batch(
    db: &impl ConnectionTrait,
    after: Option<Uuid>,
    last: Uuid,
) -> Result<Vec<(Uuid, Money, Decimal)>, Error> {
    let select = Entity::find()
        .select_only()
        .columns([Column::UserId, Column::Balance])
        .left_join(EntryEntity)
        .apply_if(after, |select, after| select.filter(Column::Id.gt(after)))
        .filter(Column::Id.lte(last))
        .group_by(Column::Id);
    match db.get_database_backend() {
        // Its decimals are text of four decimals, which it would add up as floats: so the two sides of the point apart.
        DbBackend::Sqlite => {
            let whole = "SUM(CAST(points_transactions.amount AS INTEGER))";
            let part = "SUM(CAST(substr(points_transactions.amount, -4) AS INTEGER) \
                * CASE WHEN points_transactions.amount LIKE '-%' THEN -1 ELSE 1 END)";
            let select = select.expr_as(Expr::cust(whole), "whole").expr_as(Expr::cust(part), "part");
            let rows: Vec<(Uuid, Money, Option<i64>, Option<i64>)> = select.into_tuple().all(db).await?;
            rows.into_iter().map(|(user, balance, whole, part)| Ok((user, balance, join(whole, part)?))).collect()
        }
        backend => {
            let text = if backend == DbBackend::Postgres { "text" } else { "char" };
            let sum = Expr::expr(EntryColumn::Amount.into_expr().sum()).cast_as(text);
            let rows: Vec<(Uuid, Money, Option<String>)> = select.expr_as(sum, "total").into_tuple().all(db).await?;
            rows.into_iter().map(|(user, balance, sum)| Ok((user, balance, parse(sum.as_deref())?))).collect()
        }
    }
}

fn join(whole: Option<i64>, part: Option<i64>) -> Result<Decimal, DbErr> {
    let units = i128::from(whole.unwrap_or(0)) * 10_000 + i128::from(part.unwrap_or(0));
    Decimal::try_from_i128_with_scale(units, 4).map_err(|_| too_large())
}

fn parse(sum: Option<&str>) -> Result<Decimal, DbErr> {
    sum.map_or(Ok(Decimal::ZERO), |sum| Decimal::from_str_exact(sum).map_err(|_| too_large()))
}

fn too_large() -> DbErr {
    DbErr::Type("a sum of more than 28 digits".into())
}

impl Mall<'_> {
    /// Compares every account with the sum of its entries: [`audit`]. Two round trips a thousand accounts.
    ///
    /// # Errors
    /// As [`audit`].
    pub async fn audit(&self) -> Result<Audit, Error> {
        audit(self.db.reader()).await
    }
}
