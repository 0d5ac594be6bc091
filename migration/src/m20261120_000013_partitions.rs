//! PostgreSQL's first partitions of the big tables: from last month to [`MONTHS_AHEAD`] months ahead.
//!
//! Last month's is for what was under way when the month ended. The partitions go with their tables, so `down` has nothing
//! to do. On other engines there are none.

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};
use stanchion_entity::types::Timestamp;

use crate::partitions::{BIG_TABLES, MONTHS_AHEAD, Month, ensure};

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261120_000013_partitions"
    }
}

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        if db.get_database_backend() != DbBackend::Postgres {
            return Ok(());
        }
        let now = db.query_one_raw(Statement::from_string(DbBackend::Postgres, "SELECT now()")).await?;
        let Some(now) = now.map(|row| row.try_get_by::<Timestamp, _>(0)).transpose()? else {
            return Err(DbErr::RecordNotFound("the database's time".into()));
        };
        let this_month = Month::of(now);
        for table in BIG_TABLES {
            ensure(db, table, this_month.previous().through(this_month.plus(MONTHS_AHEAD))).await?;
        }
        Ok(())
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}
