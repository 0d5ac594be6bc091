use anyhow::Context;
use sea_orm::{ConnectionTrait, EntityTrait, PaginatorTrait};
use stanchion::App;
use stanchion::config::{Config, Database, Domain};
use stanchion::domain::trading::TRADES;
use stanchion::entity::trading::trade::Entity;
use stanchion::migration::partitions::{self, Month};
use stanchion_tests::bench::first_trade_at;
use stanchion_tests::testbed::{Backend, TestDatabase};

/// The table that all entrants fill, one after the other.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) database: TestDatabase,
    pub(crate) app: App,
}

impl Table {
    pub(crate) async fn new(backend: Backend) -> anyhow::Result<Self> {
        let database = TestDatabase::migrated(backend).await.context("no server")?;
        let app = App::start(Config::new(Database::new(database.url().parse()?))).await?;
        let db = app.db(Domain::Trading);
        // The clients do not make partitions.
        partitions::ensure(db.writer(), TRADES, [Month::of(first_trade_at()?)]).await?;
        Ok(Self { database, app })
    }

    /// Leaves the table as it was when it was created, and nothing to be written later of what was in it.
    pub(crate) async fn empty(&self) -> anyhow::Result<()> {
        let statements: &[&str] = match self.database.backend() {
            Backend::Sqlite => {
                &["DELETE FROM trades", "DELETE FROM trade_statistics", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"]
            }
            Backend::Postgres => &["TRUNCATE trades, trade_statistics", "CHECKPOINT"],
            Backend::MariaDb => &["TRUNCATE TABLE trades", "TRUNCATE TABLE trade_statistics"],
        };
        for statement in statements {
            self.app.db(Domain::Trading).writer().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    pub(crate) async fn count(&self) -> anyhow::Result<u64> {
        Ok(Entity::find().count(self.app.db(Domain::Trading).writer()).await?)
    }
}
