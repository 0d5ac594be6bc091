//! Hours and days of a column of instants, as text that sorts as time: each engine has its own function for it. Sessions are
//! in UTC, so these are UTC's.

use sea_orm::DbBackend;
use sea_orm::sea_query::{Expr, SimpleExpr};

/// The day: `2026-03-01`.
pub(crate) fn day(backend: DbBackend, table: &str, column: &str) -> SimpleExpr {
    Expr::cust(match backend {
        DbBackend::Postgres => format!("to_char(\"{table}\".\"{column}\", 'YYYY-MM-DD')"),
        DbBackend::Sqlite => format!("substr(\"{table}\".\"{column}\", 1, 10)"),
        _ => format!("date_format(`{table}`.`{column}`, '%Y-%m-%d')"),
    })
}

/// The hour: `2026-03-01 12`.
pub(crate) fn hour(backend: DbBackend, table: &str, column: &str) -> SimpleExpr {
    Expr::cust(match backend {
        DbBackend::Postgres => format!("to_char(\"{table}\".\"{column}\", 'YYYY-MM-DD HH24')"),
        DbBackend::Sqlite => format!("substr(\"{table}\".\"{column}\", 1, 13)"),
        _ => format!("date_format(`{table}`.`{column}`, '%Y-%m-%d %H')"),
    })
}
