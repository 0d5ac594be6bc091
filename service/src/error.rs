use std::error::Error as StdError;
use std::fmt;

use sea_orm::DbErr;

use crate::cache::CacheError;
use crate::config::ConfigError;
use crate::db::{ConnectError, CursorError, DatabaseError, Kind};
use crate::lock::LockError;
use crate::redis::RedisError;
use crate::types::ValueError;

/// What can go wrong in Stanchion, seen from a service: what it can act on has a predicate, the rest is kept as a source.
///
/// No message contains a password or the value of a row.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A database cannot be connected to.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Migrations are missing.
    #[error("{pending} migrations are not applied to the database `{database}` ({engine}); run `stanchion migrate up`")]
    NotMigrated {
        /// The database's name.
        database: &'static str,
        /// Its engine.
        engine: &'static str,
        /// How many.
        pending: usize,
    },
    /// A migration failed.
    #[error("cannot migrate the database `{database}`")]
    Migration {
        /// The database's name.
        database: &'static str,
        /// What it said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Redis failed.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// A loader of the cache failed, whose own error the predicates see; or the cache was asked for what makes no sense.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A lock is held by somebody else, was lost, or cannot be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A value that its column cannot hold.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A cursor of a page that does not belong here.
    #[error(transparent)]
    Cursor(#[from] CursorError),
    /// What was asked for does not exist.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was looked for: `user`.
        what: &'static str,
        /// What it was looked for by.
        id: String,
    },
    /// The change is at odds with what is stored: an amount that is not there, a state that does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// Somebody else changed it since it was read; read it again and decide anew.
    #[error("the {what} {id} was changed meanwhile")]
    Stale {
        /// What was to be changed: `user`.
        what: &'static str,
        /// Which one.
        id: String,
    },
    /// What was asked for makes no sense, whatever is stored: a transfer to oneself, an empty basket.
    #[error("{0}")]
    Invalid(String),
    /// The commit was sent, and the connection lost before an answer came: it may have happened or not. It is not repeated;
    /// read back, or repeat it where that is harmless.
    #[error("it is unknown whether the transaction was committed")]
    CommitUnknown(#[source] DatabaseError),
    /// The service's own reason to roll a transaction back.
    #[error(transparent)]
    Other(Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// A service's own error, to roll a transaction back with; [`Error::downcast_ref`] finds it again.
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// An error that says what does not exist.
    pub fn not_found(what: &'static str, id: impl fmt::Display) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// An error that says what was changed by somebody else meanwhile.
    pub fn stale(what: &'static str, id: impl fmt::Display) -> Self {
        Self::Stale { what, id: id.to_string() }
    }

    /// The service's own error of that type, if it is one.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match self.loaders() {
            Self::Other(error) => error.downcast_ref(),
            _ => None,
        }
    }

    /// What went wrong: the loader's error where the cache passes one on.
    fn loaders(&self) -> &Self {
        match self {
            Self::Cache(CacheError::Load(error)) => error.loaders(),
            error => error,
        }
    }

    /// The kind of a database's answer, if it is one.
    pub fn database_kind(&self) -> Option<Kind> {
        match self.loaders() {
            Self::Database(error)
            | Self::CommitUnknown(error)
            | Self::Lock(LockError::Database(error) | LockError::Session { source: error, .. }) => Some(error.kind()),
            _ => None,
        }
    }

    /// Whether it is at odds with what is stored: a key that is taken, a reference that does not hold, a rule that is not
    /// met, a state that does not allow it. The same call will not succeed later by itself.
    pub fn is_conflict(&self) -> bool {
        matches!(
            self.loaders(),
            Self::Conflict(_) | Self::Stale { .. } | Self::Lock(LockError::Held { .. } | LockError::Stale { .. })
        ) || matches!(
            self.database_kind(),
            Some(Kind::UniqueViolation | Kind::ForeignKeyViolation | Kind::CheckViolation)
        )
    }

    /// Whether somebody else changed it since it was read: read again, then the same change may succeed.
    pub fn is_stale(&self) -> bool {
        matches!(self.loaders(), Self::Stale { .. } | Self::Lock(LockError::Stale { .. } | LockError::Lost { .. }))
    }

    /// Whether what was asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self.loaders(), Self::NotFound { .. }) || matches!(self.database_kind(), Some(Kind::NoRow))
    }

    /// Whether the input is to blame: a value out of its column's range, a cursor that does not belong here, a request that
    /// makes no sense.
    pub fn is_invalid(&self) -> bool {
        matches!(
            self.loaders(),
            Self::Value(_)
                | Self::Cursor(_)
                | Self::Config(_)
                | Self::Invalid(_)
                | Self::Lock(LockError::Name(_) | LockError::Options(_))
        ) || matches!(self, Self::Cache(error) if error.is_invalid())
            || matches!(self.database_kind(), Some(Kind::InvalidValue | Kind::NotNullViolation))
    }

    /// Whether the database cannot be used now, and the same call may succeed later: unreachable, read-only, full, or no
    /// connection free.
    pub fn is_unavailable(&self) -> bool {
        matches!(self.loaders(), Self::Connect(_))
            || matches!(self.loaders(), Self::Redis(error) | Self::Lock(LockError::Redis(error)) if error.is_unavailable())
            || matches!(
                self.database_kind(),
                Some(
                    Kind::Unavailable
                        | Kind::PoolExhausted
                        | Kind::PoolClosed
                        | Kind::ReadOnly
                        | Kind::StorageFull
                        | Kind::LockTimeout
                )
            )
    }

    /// Whether it took too long: a statement, or the wait for a connection.
    pub fn is_timeout(&self) -> bool {
        matches!(self.loaders(), Self::Cache(CacheError::Timeout { .. }))
            || matches!(self.database_kind(), Some(Kind::StatementTimeout | Kind::PoolExhausted | Kind::LockTimeout))
    }

    /// Whether the same transaction, run again, may succeed at once.
    pub fn is_transient(&self) -> bool {
        matches!(self.loaders(), Self::Database(error) if error.is_transient())
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        Self::Database(error.into())
    }
}
