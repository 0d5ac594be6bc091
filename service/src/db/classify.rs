//! From a driver's code to what it means, the same on every back end.
//!
//! Sources of the codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>,
//! <https://mariadb.com/kb/en/mariadb-error-code-reference/>, <https://www.sqlite.org/rescode.html>.

use sea_orm::error::ConnAcquireErr;
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::mysql::MySqlDatabaseError;
use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::sqlx::{self};
use sea_orm::{DbErr, RuntimeErr};

use super::Kind;

/// A kind, and the constraint that it is about.
pub(super) struct Class {
    pub(super) kind: Kind,
    pub(super) constraint: Option<String>,
}

impl From<Kind> for Class {
    fn from(kind: Kind) -> Self {
        Self { kind, constraint: None }
    }
}

pub(super) fn classify(error: &DbErr) -> Class {
    match error {
        DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => Kind::PoolExhausted.into(),
        DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => Kind::PoolClosed.into(),
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => classify_sqlx(error),
        DbErr::TryIntoErr { .. } | DbErr::Type(_) | DbErr::Json(_) => Kind::Decode.into(),
        DbErr::RecordNotFound(_) | DbErr::RecordNotUpdated => Kind::NoRow.into(),
        _ => Kind::Other.into(),
    }
}

/// What an error of the driver means, for a caller that has one in hand.
pub(super) fn classify_sqlx(error: &sqlx::Error) -> Class {
    match error {
        sqlx::Error::Database(error) => classify_database(error.as_ref()),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => Kind::Unavailable.into(),
        // The peer spoke out of turn: its connection is gone, not our statement wrong.
        sqlx::Error::Protocol(_) => Kind::Unavailable.into(),
        sqlx::Error::PoolTimedOut => Kind::PoolExhausted.into(),
        sqlx::Error::PoolClosed => Kind::PoolClosed.into(),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            Kind::Decode.into()
        }
        sqlx::Error::RowNotFound => Kind::NoRow.into(),
        _ => Kind::Other.into(),
    }
}

fn classify_database(error: &(dyn DatabaseError + 'static)) -> Class {
    if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
        Class { kind: postgres(error.code()), constraint: error.constraint().map(str::to_owned) }
    } else if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
        let kind = mysql(error.number());
        Class { kind, constraint: mysql_constraint(kind, error.message()) }
    } else {
        let code = error.code().and_then(|code| code.parse().ok()).unwrap_or(1);
        let kind = sqlite(code);
        Class { kind, constraint: sqlite_constraint(kind, error.message()) }
    }
}

fn postgres(sqlstate: &str) -> Kind {
    match sqlstate {
        "23505" => Kind::UniqueViolation,
        "23503" | "23001" => Kind::ForeignKeyViolation,
        "23514" => Kind::CheckViolation,
        "23502" => Kind::NotNullViolation,
        "40001" => Kind::SerializationFailure,
        "40P01" => Kind::Deadlock,
        "55P03" => Kind::LockTimeout,
        "57014" => Kind::StatementTimeout,
        "25006" => Kind::ReadOnly,
        "53100" => Kind::StorageFull,
        "28000" | "28P01" | "42501" => Kind::PermissionDenied,
        "42P01" | "42703" | "3F000" => Kind::SchemaMismatch,
        "XX001" | "XX002" => Kind::Corrupt,
        "57P01" | "57P02" | "57P03" | "57P05" | "53300" | "25P03" => Kind::Unavailable,
        _ if sqlstate.starts_with("08") => Kind::Unavailable,
        _ if sqlstate.starts_with("22") => Kind::InvalidValue,
        _ => Kind::Other,
    }
}

const fn mysql(number: u16) -> Kind {
    match number {
        1022 | 1062 | 1169 | 1586 => Kind::UniqueViolation,
        1216 | 1217 | 1451 | 1452 | 1557 | 1761 | 1762 => Kind::ForeignKeyViolation,
        // 4025 is MariaDB's, 3819 MySQL's.
        4025 | 3819 => Kind::CheckViolation,
        1048 | 1364 => Kind::NotNullViolation,
        1264 | 1265 | 1292 | 1366 | 1406 | 1690 => Kind::InvalidValue,
        1020 => Kind::SerializationFailure,
        1213 => Kind::Deadlock,
        1205 => Kind::LockTimeout,
        // 1969 and 70100 (1317) are MariaDB's, 3024 MySQL's.
        1969 | 1317 | 3024 => Kind::StatementTimeout,
        1290 | 1792 | 1836 => Kind::ReadOnly,
        1021 | 1114 => Kind::StorageFull,
        1044 | 1045 | 1142 | 1143 | 1227 => Kind::PermissionDenied,
        1049 | 1054 | 1146 => Kind::SchemaMismatch,
        1040 | 1053 | 1077 | 1079 | 1152 | 1159 | 1161 | 1203 | 1927 => Kind::Unavailable,
        _ => Kind::Other,
    }
}

/// SQLite's result codes: the low byte is the primary code, the rest makes it more precise.
const fn sqlite(code: i32) -> Kind {
    match code {
        1555 | 2067 | 2579 => return Kind::UniqueViolation,
        787 | 1811 => return Kind::ForeignKeyViolation,
        275 => return Kind::CheckViolation,
        1299 => return Kind::NotNullViolation,
        _ => {}
    }
    match code & 0xff {
        3 | 23 => Kind::PermissionDenied,
        5 | 6 => Kind::LockTimeout,
        8 => Kind::ReadOnly,
        9 => Kind::StatementTimeout,
        11 | 26 => Kind::Corrupt,
        10 | 14 => Kind::Unavailable,
        13 => Kind::StorageFull,
        18 | 20 => Kind::InvalidValue,
        _ => Kind::Other,
    }
}

/// The constraint in MySQL's message, for display only: `... for key 'uq_users_email'`, ``CONSTRAINT `fk_...` ``.
fn mysql_constraint(kind: Kind, message: &str) -> Option<String> {
    let name = match kind {
        // The key's name is the last thing quoted; a duplicate value before it may hold quotes of its own.
        Kind::UniqueViolation => message.trim_end_matches('\'').rsplit('\'').next(),
        Kind::ForeignKeyViolation | Kind::CheckViolation => {
            let after = message.split_once("CONSTRAINT `").map(|(_, after)| after);
            after.and_then(|after| after.split('`').next())
        }
        _ => None,
    }?;
    // MySQL 8 writes `table.key`, MariaDB the key alone.
    Some(name.rsplit('.').next().unwrap_or(name).to_owned())
}

/// The constraint in SQLite's message, for display only: `UNIQUE constraint failed: users.email`.
fn sqlite_constraint(kind: Kind, message: &str) -> Option<String> {
    let (_, named) = message.split_once("constraint failed: ")?;
    if kind != Kind::UniqueViolation {
        return Some(named.to_owned());
    }
    if let Some(index) = named.strip_prefix("index ") {
        return Some(index.trim_matches('\'').to_owned());
    }
    let mut columns = named.split(", ").filter_map(|column| column.split_once('.'));
    let (table, first) = columns.next()?;
    let columns: Vec<&str> = std::iter::once(first).chain(columns.map(|(_, column)| column)).collect();
    if columns == ["id"] {
        return Some(format!("pk_{table}"));
    }
    Some(format!("uq_{table}_{}", columns.join("_")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_key_has_the_same_name_on_every_back_end() {
        let named = Some("uq_users_email".to_owned());
        let unique = Kind::UniqueViolation;
        assert_eq!(sqlite_constraint(unique, "UNIQUE constraint failed: users.email"), named);
        assert_eq!(mysql_constraint(unique, "Duplicate entry 'a'b@c' for key 'uq_users_email'"), named);
        assert_eq!(mysql_constraint(unique, "Duplicate entry 'x' for key 'users.uq_users_email'"), named);
        let composite = "UNIQUE constraint failed: trade_orders.exchange, trade_orders.client_order_id";
        let named = Some("uq_trade_orders_exchange_client_order_id".to_owned());
        assert_eq!(sqlite_constraint(unique, composite), named);
    }

    #[test]
    fn what_is_worth_a_retry_is_known_by_its_code() {
        assert_eq!(postgres("40001"), Kind::SerializationFailure);
        assert_eq!(postgres("40P01"), Kind::Deadlock);
        assert_eq!(mysql(1213), Kind::Deadlock);
        assert_eq!(mysql(1205), Kind::LockTimeout);
        for busy in [5, 261, 517, 773] {
            assert_eq!(sqlite(busy), Kind::LockTimeout);
        }
    }
}
