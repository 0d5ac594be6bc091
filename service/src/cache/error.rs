use std::sync::Arc;
use std::time::Duration;

use crate::Error;

/// What can go wrong with the cache. It is cheap to clone: everyone who waited for a load is given the same.
///
/// No message contains a key, a tag or a value.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The loader failed, and there was nothing to serve instead. The predicates of [`Error`] look through it.
    #[error("{0}")]
    Load(#[source] Arc<Error>),
    /// The loader panicked.
    #[error("the loader of the cache namespace `{namespace}` panicked")]
    Panicked {
        /// The namespace.
        namespace: Arc<str>,
    },
    /// The loader was given up.
    #[error("the loader of the cache namespace `{namespace}` took longer than {}", humantime::format_duration(*.limit))]
    Timeout {
        /// The namespace.
        namespace: Arc<str>,
        /// How long it was given: the namespace's hard timeout.
        limit: Duration,
    },
    /// The runtime that the load ran in is shutting down.
    #[error("a load of the cache namespace `{namespace}` was cut off: the runtime is shutting down")]
    CutOff {
        /// The namespace.
        namespace: Arc<str>,
    },
    /// A value cannot be written as MessagePack, so that it cannot be kept in Redis. Mend its `Serialize`, or make the
    /// namespace local.
    #[error("a value of the cache namespace `{namespace}` cannot be encoded for Redis")]
    Encode {
        /// The namespace.
        namespace: Arc<str>,
    },
    /// The key cannot be one.
    #[error("a key of the cache has {length} bytes, and may have {limit}")]
    Key {
        /// Its length.
        length: usize,
        /// The longest.
        limit: usize,
    },
    /// The tags cannot be such.
    #[error("{0}")]
    Tags(&'static str),
    /// An option makes no sense; says which, and what it may be.
    #[error("{0}")]
    Options(String),
    /// There is a namespace of that name already, for another type or with other options. Make each in one place.
    #[error("the cache namespace `{namespace}` exists already, with another type or other options")]
    Taken {
        /// The namespace.
        namespace: Arc<str>,
    },
}

impl CacheError {
    /// The loader's own error, if it is one.
    #[must_use]
    pub fn loader(&self) -> Option<&Error> {
        match self {
            Self::Load(error) => Some(error),
            _ => None,
        }
    }

    /// Whether what was asked for makes no sense, whatever is cached.
    #[must_use]
    pub const fn is_invalid(&self) -> bool {
        matches!(self, Self::Key { .. } | Self::Tags(_) | Self::Options(_) | Self::Taken { .. })
    }
}
