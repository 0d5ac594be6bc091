use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, ServerErrorKind};

/// What went wrong with Redis.
///
/// `Display` names the server, without its password, and what happened; never a key or a value.
#[derive(Clone, Debug)]
pub struct RedisError {
    kind: RedisErrorKind,
    /// What opened the circuit, where that is why.
    cause: Option<RedisErrorKind>,
    /// Whether the command may have left.
    sent: bool,
    server: Arc<str>,
    source: Option<redis::RedisError>,
}

/// The kinds of failures that somebody can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RedisErrorKind {
    /// It failed a moment ago and was not asked: the circuit is open. Nothing was sent.
    CircuitOpen,
    /// No connection could be made, or it was lost; what was sent may have been done: see [`RedisError::is_in_doubt`].
    Unavailable,
    /// No answer came within the time allowed; what was sent may still be done.
    Timeout(Duration),
    /// It is reading its data after a start (`-LOADING`).
    Loading,
    /// A script runs and blocks it (`-BUSY`).
    Busy,
    /// The cluster has no node for the key now, or the replica no master (`-CLUSTERDOWN`, `-MASTERDOWN`, `-TRYAGAIN`).
    ClusterDown,
    /// It takes no writes: a replica, a master that was replaced, or one that misses its replicas (`-READONLY`,
    /// `-NOREPLICAS`).
    ReadOnly,
    /// It is full, and its policy is to refuse (`-OOM`), or it cannot write its file (`-MISCONF`).
    Full,
    /// Wrong user or password, or a right that is missing (`-WRONGPASS`, `-NOAUTH`, `-NOPERM`).
    PermissionDenied,
    /// Its certificate is not trusted, or is for another host.
    Untrusted,
    /// The key holds a value of another type (`-WRONGTYPE`).
    WrongType,
    /// Anything else: see the source.
    Other,
}

impl RedisErrorKind {
    /// What metrics call it: `timeout`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CircuitOpen => "circuit_open",
            Self::Unavailable => "unavailable",
            Self::Timeout(_) => "timeout",
            Self::Loading => "loading",
            Self::Busy => "busy",
            Self::ClusterDown => "cluster_down",
            Self::ReadOnly => "read_only",
            Self::Full => "full",
            Self::PermissionDenied => "permission_denied",
            Self::Untrusted => "untrusted",
            Self::WrongType => "wrong_type",
            Self::Other => "other",
        }
    }
}

impl RedisError {
    /// It was not asked: `cause` had opened the circuit.
    pub(super) fn refused(cause: Option<RedisErrorKind>, server: &Arc<str>) -> Self {
        Self { kind: RedisErrorKind::CircuitOpen, cause, sent: false, server: Arc::clone(server), source: None }
    }

    /// It was asked and did not answer in time.
    pub(super) fn late(limit: Duration, server: &Arc<str>) -> Self {
        let kind = RedisErrorKind::Timeout(limit);
        Self { kind, cause: None, sent: true, server: Arc::clone(server), source: None }
    }

    /// It was asked, and this came back.
    pub(super) fn of(source: redis::RedisError, server: &Arc<str>) -> Self {
        let kind = kind_of(&source);
        Self { kind, cause: None, sent: true, server: Arc::clone(server), source: Some(source) }
    }

    /// It failed before anything was sent: while the connection was made. What is not known better is that there is none.
    pub(super) fn before_sending(mut self) -> Self {
        if matches!(self.kind, RedisErrorKind::Other | RedisErrorKind::WrongType) {
            self.kind = RedisErrorKind::Unavailable;
        }
        self.sent = false;
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub const fn kind(&self) -> RedisErrorKind {
        self.kind
    }

    /// What it comes down to: the failure that opened the circuit, where the circuit is open; else the kind itself.
    #[must_use]
    pub fn cause(&self) -> RedisErrorKind {
        self.cause.unwrap_or(self.kind)
    }

    /// Whether Redis cannot be used now, and the same call may succeed later.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(
            self.kind,
            RedisErrorKind::CircuitOpen
                | RedisErrorKind::Unavailable
                | RedisErrorKind::Timeout(_)
                | RedisErrorKind::Loading
                | RedisErrorKind::Busy
                | RedisErrorKind::ClusterDown
                | RedisErrorKind::ReadOnly
                | RedisErrorKind::Full
        )
    }

    /// Whether what was asked may have been done all the same; never where the failure came before it was sent.
    #[must_use]
    pub const fn is_in_doubt(&self) -> bool {
        // A cluster that is down may have been asked before it was.
        self.sent
            && matches!(
                self.kind,
                RedisErrorKind::Unavailable
                    | RedisErrorKind::Timeout(_)
                    | RedisErrorKind::ClusterDown
                    | RedisErrorKind::Other
            )
    }
}

/// Whether the server was not believed to be the one that was meant.
pub(super) fn is_untrusted(error: &redis::RedisError) -> bool {
    // The crate shares what it wraps.
    let shared = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>());
    let io = shared.and_then(|shared| shared.downcast_ref::<std::io::Error>());
    let tls = io.and_then(std::io::Error::get_ref).and_then(|inner| inner.downcast_ref());
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

fn kind_of(error: &redis::RedisError) -> RedisErrorKind {
    if is_untrusted(error) {
        return RedisErrorKind::Untrusted;
    }
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::BusyLoading) => RedisErrorKind::Loading,
        ErrorKind::Server(ServerErrorKind::ReadOnly) => RedisErrorKind::ReadOnly,
        ErrorKind::Server(ServerErrorKind::NoPerm) | ErrorKind::AuthenticationFailed => {
            RedisErrorKind::PermissionDenied
        }
        ErrorKind::Server(ServerErrorKind::ClusterDown | ServerErrorKind::MasterDown | ServerErrorKind::TryAgain)
        | ErrorKind::ClusterConnectionNotFound => RedisErrorKind::ClusterDown,
        ErrorKind::Io | ErrorKind::MasterNameNotFoundBySentinel => RedisErrorKind::Unavailable,
        // Where the key's node cannot be reached, a cluster's connection ends up at the others, who only point at it.
        ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask) => RedisErrorKind::Unavailable,
        // A connection that breaks off in the middle of an answer.
        ErrorKind::Parse => RedisErrorKind::Unavailable,
        _ => match error.code() {
            Some("BUSY") => RedisErrorKind::Busy,
            Some("NOREPLICAS") => RedisErrorKind::ReadOnly,
            Some("OOM" | "MISCONF") => RedisErrorKind::Full,
            Some("WRONGPASS" | "NOAUTH") => RedisErrorKind::PermissionDenied,
            Some("WRONGTYPE") => RedisErrorKind::WrongType,
            _ => RedisErrorKind::Other,
        },
    }
}

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = &self.server;
        match self.kind {
            RedisErrorKind::CircuitOpen => {
                write!(f, "Redis at {server} failed a moment ago and is not asked for now")?;
                self.cause.map_or(Ok(()), |cause| write!(f, " ({})", cause.name()))
            }
            RedisErrorKind::Unavailable => write!(f, "Redis at {server} cannot be reached"),
            RedisErrorKind::Timeout(limit) => {
                write!(f, "Redis at {server} did not answer within {}", humantime::format_duration(limit))
            }
            RedisErrorKind::Loading => write!(f, "Redis at {server} is reading its data and answers soon"),
            RedisErrorKind::Busy => write!(f, "Redis at {server} is blocked by a script"),
            RedisErrorKind::ClusterDown => write!(f, "the cluster of Redis at {server} has no node for the key now"),
            RedisErrorKind::ReadOnly => {
                write!(f, "Redis at {server} takes no writes: is it a replica, or a master without its replicas?")
            }
            RedisErrorKind::Full => {
                write!(
                    f,
                    "Redis at {server} refuses writes: raise maxmemory, set maxmemory-policy, or look at its disk"
                )
            }
            RedisErrorKind::PermissionDenied => write!(f, "Redis at {server} refuses access: check user and password"),
            RedisErrorKind::Untrusted => {
                write!(
                    f,
                    "the certificate of Redis at {server} is not trusted for that host: name its authority's file in \
                     SSL_CERT_FILE or install it on this machine, and use a host that it is for"
                )
            }
            RedisErrorKind::WrongType => write!(f, "a key in Redis at {server} holds a value of another type"),
            RedisErrorKind::Other => write!(f, "Redis at {server} refused"),
        }
    }
}

impl std::error::Error for RedisError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
