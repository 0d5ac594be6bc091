use super::Dialect;

/// A column: its name, its portable type and whether it may be null. Not null unless [`Column::null`] says so.
#[derive(Clone, Debug)]
pub struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
    pub(super) unique: bool,
    pub(super) default: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Uuid,
    Text(u32),
    LongText,
    Enumeration(&'static [&'static str]),
    Decimal(u8, u8),
    Timestamp,
    Date,
    Json,
    Boolean,
    Int,
    BigInt,
    Double,
    Bytes(u32),
}

impl Column {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, nullable: false, unique: false, default: None }
    }

    /// The column may be null.
    pub const fn null(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// As a table's statement has it: name, type, whether it may be null, default.
    pub(super) fn sql(&self, dialect: Dialect) -> String {
        let null = if self.nullable { "NULL" } else { "NOT NULL" };
        let default = self.default.map(|literal| format!(" DEFAULT {literal}")).unwrap_or_default();
        format!("{} {} {null}{default}", dialect.quote(self.name), self.kind.sql(dialect))
    }

    /// No two rows have the same value; nulls are no values.
    pub const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// What an insert that does not name the column stores: an SQL literal that all engines read alike.
    pub const fn default(mut self, literal: &'static str) -> Self {
        self.default = Some(literal);
        self
    }
}

/// A UUID.
pub const fn uuid(name: &'static str) -> Column {
    Column::new(name, Kind::Uuid)
}

/// Text of at most `length` characters.
pub const fn text(name: &'static str, length: u32) -> Column {
    Column::new(name, Kind::Text(length))
}

/// Text without a length of the column's own; not for keys.
pub const fn long_text(name: &'static str) -> Column {
    Column::new(name, Kind::LongText)
}

/// One of a closed set of words, at most 32 characters each, kept by a CHECK.
pub const fn enumeration(name: &'static str, values: &'static [&'static str]) -> Column {
    Column::new(name, Kind::Enumeration(values))
}

/// An exact decimal number of `precision` digits, `scale` of them after the point.
pub const fn decimal(name: &'static str, precision: u8, scale: u8) -> Column {
    Column::new(name, Kind::Decimal(precision, scale))
}

/// An instant in UTC, to the microsecond.
pub const fn timestamp(name: &'static str) -> Column {
    Column::new(name, Kind::Timestamp)
}

/// A day.
pub const fn date(name: &'static str) -> Column {
    Column::new(name, Kind::Date)
}

/// A JSON document.
pub const fn json(name: &'static str) -> Column {
    Column::new(name, Kind::Json)
}

/// True or false.
pub const fn boolean(name: &'static str) -> Column {
    Column::new(name, Kind::Boolean)
}

/// A whole number of 32 bits, signed.
pub const fn int(name: &'static str) -> Column {
    Column::new(name, Kind::Int)
}

/// A whole number of 64 bits, signed.
pub const fn bigint(name: &'static str) -> Column {
    Column::new(name, Kind::BigInt)
}

/// A float of 64 bits.
pub const fn double(name: &'static str) -> Column {
    Column::new(name, Kind::Double)
}

/// Exactly `length` bytes: a hash.
pub const fn bytes(name: &'static str, length: u32) -> Column {
    Column::new(name, Kind::Bytes(length))
}

/// The length of the column of an enumeration.
const WORD: u32 = 32;

impl Kind {
    /// The engine's name of the type, with its collation where text must not follow the database's.
    pub(super) fn sql(&self, dialect: Dialect) -> String {
        use Dialect::{Postgres, Sqlite};
        let varchar = |length: u32| match dialect {
            Postgres => format!("varchar({length}) COLLATE {}", dialect.binary_collation()),
            _ => format!("varchar({length})"),
        };
        match (self, dialect) {
            (Self::Uuid, Postgres) => "uuid".into(),
            (Self::Uuid, Sqlite) => "blob".into(),
            (Self::Uuid, _) => "binary(16)".into(),
            (Self::Text(length), _) => varchar(*length),
            (Self::Enumeration(_), _) => varchar(WORD),
            (Self::LongText, Postgres) => format!("text COLLATE {}", dialect.binary_collation()),
            (Self::LongText, Sqlite) => "text".into(),
            (Self::LongText, _) => "longtext".into(),
            (Self::Decimal(precision, scale), Postgres) => format!("numeric({precision}, {scale})"),
            (Self::Decimal(..), Sqlite) => "text COLLATE decimal".into(),
            (Self::Decimal(precision, scale), _) => format!("decimal({precision}, {scale})"),
            (Self::Timestamp, Postgres) => "timestamptz".into(),
            (Self::Timestamp | Self::Date | Self::Json, Sqlite) => "text".into(),
            (Self::Timestamp, _) => "datetime(6)".into(),
            (Self::Date, _) => "date".into(),
            (Self::Json, Postgres) => "jsonb".into(),
            (Self::Json, _) => "json".into(),
            (Self::Boolean, _) => "boolean".into(),
            (Self::Int, Postgres | Sqlite) => "integer".into(),
            (Self::Int, _) => "int".into(),
            (Self::BigInt, _) => "bigint".into(),
            (Self::Double, Postgres) => "double precision".into(),
            (Self::Double, _) => "double".into(),
            (Self::Bytes(_), Postgres) => "bytea".into(),
            (Self::Bytes(_), Sqlite) => "blob".into(),
            (Self::Bytes(length), _) => format!("binary({length})"),
        }
    }
}
