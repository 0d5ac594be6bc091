use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, sqlx};
use sha2::{Digest, Sha256};

use super::{mysql, postgres};
use crate::config::{Backend, Database};
use crate::db::DatabaseError;
use crate::lock::{HeldLock, LockError, LockName};

/// A connection whose session can hold locks.
#[async_trait::async_trait]
pub(super) trait Session: Send {
    /// Asks for a lock and waits for it in the server; `false` when it was not to be had in time.
    async fn lock(&mut self, key: &Key, wait: Duration) -> Result<bool, sqlx::Error>;

    /// Gives it back; `false` when this session did not hold it.
    async fn unlock(&mut self, key: &Key) -> Result<bool, sqlx::Error>;

    /// Whether this very session lives and can still hold what it was granted.
    async fn holds(&mut self, key: &Key) -> Result<bool, sqlx::Error>;

    /// What sessions like this one hold, where the server tells it of others.
    async fn held(&mut self, limit: usize) -> Result<Option<Vec<HeldLock>>, sqlx::Error>;
}

/// What a server calls a lock: a digest of a prefix and its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn of(prefix: &str, name: &LockName) -> Self {
        // No name contains a control character, so prefix and name cannot run into each other.
        let text = format!("{prefix}\0{}", name.as_str());
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Its first 64 bits.
    pub(super) fn number(&self) -> i64 {
        i64::from_be_bytes(std::array::from_fn(|at| self.0[at]))
    }

    /// Its first 128 bits, as hexadecimal digits.
    pub(super) fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0[..16])
    }
}

/// Opens sessions.
#[derive(Clone, Debug)]
pub(super) enum Server {
    Postgres(postgres::Server),
    MySql(mysql::Server),
}

impl Server {
    pub(super) fn new(config: &Database) -> Result<Self, LockError> {
        match config.backend() {
            Backend::Postgres => Ok(Self::Postgres(postgres::Server::new(config)?)),
            Backend::MySql => Ok(Self::MySql(mysql::Server::new(config)?)),
            Backend::Sqlite => Err(LockError::Options(
                "SQLite's sessions have no locks; keep locks in its tables, or in the process".to_owned(),
            )),
        }
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::MySql(_) => "mysql",
        }
    }

    pub(super) async fn open(&self, instance: &str) -> Result<Box<dyn Session>, LockError> {
        match self {
            Self::Postgres(server) => server.open(instance).await,
            Self::MySql(server) => server.open().await.map_err(failed),
        }
    }
}

/// The room's error for the driver's.
pub(super) fn failed(error: sqlx::Error) -> LockError {
    LockError::Database(DatabaseError::from(DbErr::Conn(RuntimeErr::SqlxError(error.into()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_for_ever() {
        let name = LockName::try_from("order:binance:ETHUSDT:1850").unwrap();
        let key = Key::of("shop", &name);
        // What two versions of a service have to agree on while one replaces the other.
        assert_eq!(key.hex(), "0b69825759375ad5d1203064659ab83d");
        assert_ne!(key, Key::of("", &name));
        assert_ne!(key, Key::of("shop", &LockName::try_from("order:binance:ethusdt:1850").unwrap()));
    }
}
