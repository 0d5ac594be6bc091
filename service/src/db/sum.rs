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
    let select = select.select_only();
    let row = match db.get_database_backend() {
        DbBackend::Sqlite => {
            let digits = || Func::cust("replace").args([column.into_expr(), Expr::val("."), Expr::val("")]);
            let select =
                (0..3).fold(select, |select, part| select.expr_as(part_sum(digits(), part), format!("p{part}")));
            db.query_one(&select.into_query()).await?
        }
        backend => {
            // As text, which both engines write in full.
            let text = if backend == DbBackend::Postgres { "text" } else { "char" };
            let sum = Expr::expr(column.into_expr().sum()).cast_as(text);
            db.query_one(&select.expr_as(sum, "total").into_query()).await?
        }
    };
    let Some(row) = row else { return Ok(Decimal::ZERO) };
    if db.get_database_backend() == DbBackend::Sqlite {
        return Ok(join(&row, scale_of(&column))?);
    }
    let total: Option<String> = row.try_get("", "total")?;
    let total = total.unwrap_or_else(|| "0".to_owned());
    Decimal::from_str_exact(&total).map_err(|_| too_large())
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
