use std::time::Duration;

use super::name::{InvalidName, LockName};
use crate::db::{DatabaseError, Kind};
use crate::redis::RedisError;

/// What can go wrong with a lock.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// An option makes no sense.
    #[error("{0}")]
    Options(String),
    /// Somebody else holds it, and did so as long as was to be waited.
    #[error("the lock `{name}` is held by somebody else{}", after(*.waited))]
    Held {
        /// Its name.
        name: LockName,
        /// How long was waited for it.
        waited: Duration,
    },
    /// It was held and is so no longer, or that can no longer be proved.
    #[error("the lock `{name}` was lost")]
    Lost {
        /// Its name.
        name: LockName,
    },
    /// A newer holder of the lock has been there: what this one was to write is refused.
    #[error("the lock `{name}` was taken over: fence {fence} is stale")]
    Stale {
        /// Its name.
        name: LockName,
        /// The fence that is stale.
        fence: i64,
    },
    /// It was acquired without a fence, or one in another database.
    #[error("the lock `{name}` has no fence in this database; acquire it with LockOptions::fenced")]
    Unfenced {
        /// Its name.
        name: LockName,
    },
    /// The locks of Redis cannot be used.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The locks of a database cannot be used.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// No session that could hold a lock can be opened: the server cannot be reached, refuses, or has no room for more.
    #[error("no session for locks can be opened at {target}")]
    Session {
        /// The URL, its password hidden.
        target: String,
        /// What went wrong.
        source: DatabaseError,
    },
}

impl LockError {
    /// Whether the store of the locks cannot be used now, and the same call may succeed later.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        match self {
            Self::Redis(error) => error.is_unavailable(),
            Self::Database(error) | Self::Session { source: error, .. } => matches!(
                error.kind(),
                Kind::Unavailable
                    | Kind::PoolExhausted
                    | Kind::PoolClosed
                    | Kind::ReadOnly
                    | Kind::StorageFull
                    | Kind::LockTimeout
                    | Kind::StatementTimeout
            ),
            _ => false,
        }
    }
}

fn after(time: Duration) -> String {
    if time.is_zero() { String::new() } else { format!(", after {}", humantime::format_duration(time)) }
}
