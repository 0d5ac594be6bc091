use std::fmt;

use sea_orm::DbErr;

use super::classify::{Class, classify};

/// What a database answered, and what kind of answer that is on every back end.
///
/// The kind is decided by the driver's structured code, never by text. `Display` says the kind and the constraint, but no
/// value of a row; the driver's own words are the [source](std::error::Error::source).
pub struct DatabaseError {
    class: Class,
    source: DbErr,
}

/// The kinds of answers that a service can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A unique key is taken. Nothing was written.
    UniqueViolation,
    /// A row refers to one that does not exist, or one that is referred to was to be deleted.
    ForeignKeyViolation,
    /// A CHECK was not met.
    CheckViolation,
    /// A column that must not be null was.
    NotNullViolation,
    /// A value does not fit its column: too long, too large, of the wrong form.
    InvalidValue,
    /// The transaction met another one that it cannot be ordered with (40001, 1020).
    SerializationFailure,
    /// The transaction was chosen to end a deadlock (40P01, 1213).
    Deadlock,
    /// A lock was not to be had in time (55P03, 1205, `SQLITE_BUSY`).
    LockTimeout,
    /// No connection of the pool was free within `acquire_timeout`.
    PoolExhausted,
    /// The pool was closed: the service is shutting down.
    PoolClosed,
    /// The server cannot be reached, has gone away, or is starting or stopping.
    Unavailable,
    /// The statement ran into `statement_timeout`, or was cancelled.
    StatementTimeout,
    /// The server or file accepts no writes: a replica, an old primary after a failover, a read-only file.
    ReadOnly,
    /// No space is left for the database.
    StorageFull,
    /// Wrong password, or a right that is missing.
    PermissionDenied,
    /// A table or column that does not exist: are the migrations applied?
    SchemaMismatch,
    /// The file is no database, or a damaged one.
    Corrupt,
    /// A stored value is not of the type that the entity says.
    Decode,
    /// An update or delete met no row.
    NoRow,
    /// Anything else: see the source.
    Other,
}

impl DatabaseError {
    /// What kind of answer it is.
    pub const fn kind(&self) -> Kind {
        self.class.kind
    }

    /// The constraint that was violated, by its name in the schema (`uq_users_email`), where it is known.
    ///
    /// SQLite names columns instead of the constraint; there the name is put together as the schema does.
    pub fn constraint(&self) -> Option<&str> {
        self.class.constraint.as_deref()
    }

    /// Whether the same transaction, run again, may succeed: it was rolled back whole, through no fault of its own.
    pub const fn is_transient(&self) -> bool {
        matches!(self.class.kind, Kind::SerializationFailure | Kind::Deadlock | Kind::LockTimeout | Kind::Unavailable)
    }

    /// SeaORM's error.
    pub const fn inner(&self) -> &DbErr {
        &self.source
    }
}

impl Kind {
    const fn words(self) -> &'static str {
        match self {
            Self::UniqueViolation => "a row with this key exists already",
            Self::ForeignKeyViolation => "a reference to another row does not hold",
            Self::CheckViolation => "a rule of the table is not met",
            Self::NotNullViolation => "a value that must be there is missing",
            Self::InvalidValue => "a value does not fit its column",
            Self::SerializationFailure => "the transaction conflicts with one that ran at the same time",
            Self::Deadlock => "the transaction was ended to resolve a deadlock",
            Self::LockTimeout => "the database is locked by somebody else",
            Self::PoolExhausted => "no connection was free within acquire_timeout",
            Self::PoolClosed => "the connection pool is closed",
            Self::Unavailable => "the database cannot be reached",
            Self::StatementTimeout => "the statement took longer than statement_timeout",
            Self::ReadOnly => "the database accepts no writes",
            Self::StorageFull => "the database has no space left",
            Self::PermissionDenied => "the database refuses access",
            Self::SchemaMismatch => "the schema is not what this version needs; run `stanchion migrate up`",
            Self::Corrupt => "the file is damaged or not a database",
            Self::Decode => "a stored value is not of the expected type",
            Self::NoRow => "there is no such row",
            Self::Other => "the database refused",
        }
    }
}

impl From<DbErr> for DatabaseError {
    fn from(source: DbErr) -> Self {
        Self { class: classify(&source), source }
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.class.kind.words())?;
        match &self.class.constraint {
            Some(constraint) => write!(f, " ({constraint})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseError")
            .field("kind", &self.class.kind)
            .field("constraint", &self.class.constraint)
            .field("source", &self.source)
            .finish()
    }
}

impl std::error::Error for DatabaseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}
