//! A superuser's connection to a database server: pings it, makes and drops databases.

use sea_orm::sqlx::mysql::MySqlConnection;
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection};

use super::error::Error;

/// One connection, to be closed with [`close`](Self::close).
#[derive(Debug)]
pub(super) enum Admin {
    Postgres(PgConnection),
    MariaDb(MySqlConnection),
}

impl Admin {
    pub(super) async fn connect(url: &str) -> Result<Self, sqlx::Error> {
        Ok(if url.starts_with("postgres") {
            Self::Postgres(PgConnection::connect(url).await?)
        } else {
            Self::MariaDb(MySqlConnection::connect(url).await?)
        })
    }

    /// Connects, asks and leaves.
    pub(super) async fn ping(url: &str) -> Result<(), sqlx::Error> {
        let mut admin = Self::connect(url).await?;
        admin.execute("SELECT 1").await?;
        admin.close().await
    }

    pub(super) async fn execute(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        // The statements are made of the testbed's own names, which hold nothing but letters, digits and underscores.
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Postgres(connection) => sql.execute(connection).await.map(drop),
            Self::MariaDb(connection) => sql.execute(connection).await.map(drop),
        }
    }

    /// The server's databases whose names begin with the testbed's prefix.
    pub(super) async fn databases(&mut self) -> Result<Vec<String>, sqlx::Error> {
        match self {
            Self::Postgres(connection) => {
                let sql = r"SELECT datname::text FROM pg_database WHERE datname LIKE 'stanchion\_t\_%'";
                sqlx::query_scalar(sql).fetch_all(connection).await
            }
            Self::MariaDb(connection) => {
                // MySQL answers with VARBINARY otherwise, which does not decode to text.
                let sql = r"SELECT CAST(schema_name AS CHAR) FROM information_schema.schemata
                            WHERE schema_name LIKE 'stanchion\_t\_%'";
                sqlx::query_scalar(sql).fetch_all(connection).await
            }
        }
    }

    pub(super) async fn create(&mut self, name: &str) -> Result<(), Error> {
        let sql = match self {
            Self::Postgres(_) => format!("CREATE DATABASE {name}"),
            Self::MariaDb(_) => format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"),
        };
        self.execute(&sql).await.map_err(Error::database(format!("creating the database {name}")))
    }

    /// Drops a database, also under the feet of clients that are still connected to it.
    pub(super) async fn drop_database(&mut self, name: &str) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(_) => self.execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await,
            Self::MariaDb(_) => {
                // A transaction that a failed test left open would hold its tables for a day.
                self.execute("SET SESSION lock_wait_timeout = 5").await?;
                self.execute(&format!("DROP DATABASE IF EXISTS {name}")).await
            }
        }
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Postgres(connection) => connection.close().await,
            Self::MariaDb(connection) => connection.close().await,
        }
    }
}
