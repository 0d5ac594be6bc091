//! How a connection has to be set up for the value types to hold, whoever opens it.
//!
//! `after_connect` hooks of a pool run once, so these are options of the connection: each one that the pool opens has
//! them.

use sea_orm::sqlx::mysql::MySqlConnectOptions;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::SqliteConnectOptions;

use super::decimal_cmp;

/// The name of SQLite's collation for amounts.
pub const DECIMAL_COLLATION: &str = "decimal";

/// SQLite: foreign keys are checked, and amounts compare as numbers.
pub fn sqlite(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.foreign_keys(true).collation(DECIMAL_COLLATION, decimal_cmp)
}

/// PostgreSQL: times are in UTC.
pub fn postgres(options: PgConnectOptions) -> PgConnectOptions {
    options.options([("TimeZone", "UTC")])
}

/// MySQL and MariaDB: text is utf8mb4. The rest is [`MYSQL_SETUP`], so that it takes one round trip, not two.
pub fn mysql(options: MySqlConnectOptions) -> MySqlConnectOptions {
    options.charset("utf8mb4").timezone(None).pipes_as_concat(false).no_engine_substitution(false)
}

/// The assignments of the `SET` that a MySQL connection has to run when it opens: times are in UTC, what does not fit is
/// an error, `||` joins text as it does elsewhere.
pub const MYSQL_SETUP: &str = "time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,PIPES_AS_CONCAT,\
    NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE'";
