//! The peer: what one writes by hand over sqlx, columns read by their place.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use sea_orm::sqlx::mysql::{MySqlConnectOptions, MySqlPool};
use sea_orm::sqlx::pool::PoolOptions;
use sea_orm::sqlx::postgres::{PgConnectOptions, PgPool};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteRow, SqliteSynchronous};
use sea_orm::sqlx::{self, ConnectOptions, Row};
use stanchion::types::session;
use stanchion_tests::testbed::{Backend, TestDatabase};
use uuid::Uuid;

/// A trade as the drivers give it.
#[derive(Debug)]
#[expect(dead_code, reason = "it is read from the row and then only looked at from outside")]
pub(crate) struct Trade {
    id: Uuid,
    exchange: String,
    symbol: String,
    exchange_trade_id: String,
    order_id: Option<Uuid>,
    side: String,
    price: Decimal,
    quantity: Decimal,
    quote_quantity: Decimal,
    fee: Decimal,
    fee_asset: String,
    is_maker: bool,
    pnl: Option<Decimal>,
    traded_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
}

/// The columns in the order in which a row is read; only the placeholder differs.
macro_rules! select {
    ($mark:literal) => {
        concat!(
            "SELECT id, exchange, symbol, exchange_trade_id, order_id, side, price, quantity, quote_quantity, fee, ",
            "fee_asset, is_maker, pnl, traded_at, created_at FROM trades WHERE id = ",
            $mark
        )
    };
}

/// A row, with how the engine's decimals are read.
macro_rules! trade {
    ($row:expr, $decimal:expr, $pnl:expr) => {{
        let decimal = $decimal;
        Trade {
            id: $row.try_get(0)?,
            exchange: $row.try_get(1)?,
            symbol: $row.try_get(2)?,
            exchange_trade_id: $row.try_get(3)?,
            order_id: $row.try_get(4)?,
            side: $row.try_get(5)?,
            price: decimal(6)?,
            quantity: decimal(7)?,
            quote_quantity: decimal(8)?,
            fee: decimal(9)?,
            fee_asset: $row.try_get(10)?,
            is_maker: $row.try_get(11)?,
            pnl: $pnl,
            traded_at: $row.try_get(13)?,
            created_at: $row.try_get(14)?,
        }
    }};
}

/// A pool of sqlx.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MariaDb(MySqlPool),
}

impl Peer {
    /// A pool with sqlx's defaults, and whether it pings. Sessions are as ours where that makes a difference.
    pub(crate) async fn connect(database: &TestDatabase, ping: bool) -> sqlx::Result<Self> {
        let url = database.url();
        Ok(match database.backend() {
            Backend::Sqlite => {
                let options = session::sqlite(SqliteConnectOptions::from_str(url)?)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Normal)
                    .pragma("cache_size", "-16384")
                    .pragma("mmap_size", "268435456")
                    .disable_statement_logging();
                Self::Sqlite(PoolOptions::new().test_before_acquire(ping).connect_with(options).await?)
            }
            Backend::Postgres => {
                let options = PgConnectOptions::from_str(url)?.disable_statement_logging();
                Self::Postgres(PoolOptions::new().test_before_acquire(ping).connect_with(options).await?)
            }
            Backend::MariaDb => {
                let options = MySqlConnectOptions::from_str(url)?.disable_statement_logging();
                Self::MariaDb(PoolOptions::new().test_before_acquire(ping).connect_with(options).await?)
            }
        })
    }

    /// One trade, by its id.
    pub(crate) async fn trade(&self, id: Uuid) -> sqlx::Result<Trade> {
        match self {
            Self::Sqlite(pool) => sqlite_trade(&sqlx::query(select!("?")).bind(id).fetch_one(pool).await?),
            Self::Postgres(pool) => {
                let row = sqlx::query(select!("$1")).bind(id).fetch_one(pool).await?;
                Ok(trade!(row, |at| row.try_get(at), row.try_get(12)?))
            }
            Self::MariaDb(pool) => {
                let row = sqlx::query(select!("?")).bind(id).fetch_one(pool).await?;
                Ok(trade!(row, |at| row.try_get(at), row.try_get(12)?))
            }
        }
    }
}

/// SQLite keeps decimals as text; its driver reads the text of an instant.
fn sqlite_trade(row: &SqliteRow) -> sqlx::Result<Trade> {
    let decimal = |text: &str| Decimal::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()));
    let pnl = row.try_get::<Option<&str>, _>(12)?.map(decimal).transpose()?;
    Ok(trade!(row, |at: usize| decimal(row.try_get(at)?), pnl))
}
