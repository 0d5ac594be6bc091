//! Exact sums of decimal columns.
//!
//! PostgreSQL and MySQL sum exactly. SQLite stores decimals as text and would sum them as floats; there the digits are
//! summed in three parts, each of which a whole number of 64 bits holds.

use rust_decimal::Decimal;
use sea_orm::sea_query::{Expr, ExprTrait, Func, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryResult, QuerySelect, QueryTrait, Select,
};

use crate::Error;

/// Digits of the lower two parts. Each part is below 10^10, so that more than 10^8 rows fit.
const PART_DIGITS: u32 = 10;

/// The sum of a decimal column over the rows of `select`, exactly; zero for no rows, nulls left out. One round trip.
///
/// # Errors
/// A [`Kind::Decode`](super::Kind::Decode) error when the sum has more digits than a [`Decimal`], and those of the
/// database.
pub async fn sum<E: EntityTrait>(
    db: &impl ConnectionTrait,
    select: Select<E>,
    column: E::Column,
) -> Result<Decimal, Error> {
    let backend = db.get_database_backend();
    let select = summing(select.select_only(), column, backend);
    match db.query_one(&select.into_query()).await? {
        Some(row) => sum_of(&row, column, backend),
        None => Ok(Decimal::ZERO),
    }
}

/// The rows of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they have in common.
    pub key: String,
    /// How many they are.
    pub rows: u64,
    /// The sum over them.
    pub sum: Decimal,
}

/// The rows of `select` by `key`, with the sum of a decimal column over each group, exactly; in the order of the keys. One
/// round trip.
///
/// `key` is an expression of the engine's own that gives a text, without parameters: PostgreSQL would take the same
/// expression with a parameter for another one. How many groups there are is for the caller to bound.
///
/// # Errors
/// As [`sum`].
pub async fn grouped<E: EntityTrait>(
    db: &impl ConnectionTrait,
    select: Select<E>,
    key: SimpleExpr,
    column: E::Column,
) -> Result<Vec<Group>, Error> {
    let backend = db.get_database_backend();
    let select = select
        .select_only()
        .expr_as(key.clone(), "group_key")
        .expr_as(Expr::cust("count(*)"), "group_rows")
        .group_by(key);
    let rows = db.query_all(&summing(select, column, backend).into_query()).await?;
    let group = |row: &QueryResult| {
        let count: i64 = row.try_get("", "group_rows")?;
        let rows = u64::try_from(count).unwrap_or(0);
        Ok(Group { key: row.try_get("", "group_key")?, rows, sum: sum_of(row, column, backend)? })
    };
    let mut groups = rows.iter().map(group).collect::<Result<Vec<_>, Error>>()?;
    groups.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    Ok(groups)
}

/// Adds what [`sum_of`] reads.
fn summing<E: EntityTrait>(select: Select<E>, column: E::Column, backend: DbBackend) -> Select<E> {
    if backend == DbBackend::Sqlite {
        let digits = || Func::cust("replace").args([column.into_expr(), Expr::val("."), Expr::val("")]);
        return (0..3).fold(select, |select, part| select.expr_as(part_sum(digits(), part), format!("p{part}")));
    }
    // As text, which both engines write in full.
    let text = if backend == DbBackend::Postgres { "text" } else { "char" };
    select.expr_as(Expr::expr(column.into_expr().sum()).cast_as(text), "total")
}

fn sum_of(row: &QueryResult, column: impl ColumnTrait, backend: DbBackend) -> Result<Decimal, Error> {
    if backend == DbBackend::Sqlite {
        return Ok(join(row, scale_of(&column))?);
    }
    let total: Option<String> = row.try_get("", "total")?;
    Decimal::from_str_exact(total.as_deref().unwrap_or("0")).map_err(|_| too_large())
}

/// The digits after the point of the column, as its entity says.
fn scale_of(column: &impl ColumnTrait) -> u32 {
    match column.def().get_column_type() {
        sea_orm::ColumnType::Decimal(Some((_, scale))) => *scale,
        _ => 0,
    }
}

/// The sum of one part of the digits, with their sign: part 0 is the lowest ten digits.
fn part_sum(digits: impl Into<SimpleExpr>, part: u32) -> SimpleExpr {
    let digits = digits.into();
    let length = i64::from(PART_DIGITS);
    let unsigned = || Expr::from(Func::cust("ltrim").args([digits.clone(), Expr::val("-")]));
    // Padded on the left, so that the parts can be cut out from the right.
    let padded = Func::cust("substr").args([
        Expr::val("0".repeat(PART_DIGITS as usize * 3)).binary(sea_orm::sea_query::BinOper::Custom("||"), unsigned()),
        Expr::val(-length * (i64::from(part) + 1)),
        Expr::val(length),
    ]);
    let magnitude = Expr::expr(padded).cast_as("integer");
    let negative = Func::cust("substr").args([digits.clone(), Expr::val(1), Expr::val(1)]);
    let sign: SimpleExpr = Expr::case(Expr::expr(negative).eq("-"), Expr::val(-1)).finally(Expr::val(1)).into();
    Expr::expr(Func::sum(magnitude.mul(sign)))
}

fn join(row: &QueryResult, scale: u32) -> Result<Decimal, DbErr> {
    let factor = 10_i128.pow(PART_DIGITS);
    let mut total: i128 = 0;
    for part in [2, 1, 0] {
        let sum: Option<i64> = row.try_get("", &format!("p{part}"))?;
        total = total * factor + i128::from(sum.unwrap_or(0));
    }
    Decimal::try_from_i128_with_scale(total, scale).map_err(|_| DbErr::Type("a sum of more than 28 digits".into()))
}

fn too_large() -> Error {
    DbErr::Type("a sum of more than 28 digits".into()).into()
}
