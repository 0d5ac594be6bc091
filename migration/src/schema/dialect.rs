use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

/// The SQL that an engine speaks, as far as schemas differ in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    MariaDb,
    /// MySQL 8 and later.
    MySql,
}

impl Dialect {
    /// The dialect of a connection. MySQL and MariaDB share a protocol, so there it takes one query.
    ///
    /// # Errors
    /// Those of the query.
    pub async fn of(db: &impl ConnectionTrait) -> Result<Self, DbErr> {
        match db.get_database_backend() {
            DbBackend::Sqlite => Ok(Self::Sqlite),
            DbBackend::Postgres => Ok(Self::Postgres),
            backend => {
                let row = db.query_one_raw(Statement::from_string(backend, "SELECT VERSION()")).await?;
                let version: String = row.map(|row| row.try_get_by(0)).transpose()?.unwrap_or_default();
                Ok(if version.contains("MariaDB") { Self::MariaDb } else { Self::MySql })
            }
        }
    }

    /// Whether it is one of the two that speak MySQL's language.
    pub const fn is_mysql(self) -> bool {
        matches!(self, Self::MariaDb | Self::MySql)
    }

    /// An identifier, quoted.
    pub fn quote(self, name: &str) -> String {
        if self.is_mysql() { format!("`{name}`") } else { format!("\"{name}\"") }
    }

    /// Identifiers, quoted and separated by commas.
    pub fn quote_all<'a>(self, names: impl IntoIterator<Item = &'a str>) -> String {
        names.into_iter().map(|name| self.quote(name)).collect::<Vec<_>>().join(", ")
    }

    /// The collation that sorts and compares by code point, without padding.
    pub(super) const fn binary_collation(self) -> &'static str {
        match self {
            Self::Sqlite => "BINARY",
            Self::Postgres => "\"C\"",
            Self::MariaDb => "utf8mb4_nopad_bin",
            Self::MySql => "utf8mb4_0900_bin",
        }
    }
}
