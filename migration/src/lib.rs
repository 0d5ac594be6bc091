//! Stanchion's migrations: what `sea-orm-cli migrate` and `stanchion migrate` run.
//!
//! One file a migration; a domain's tables are one migration, said in the portable vocabulary of [`schema`]. A migration
//! that has been released is never edited: what changes is a new one, first adding, later removing.
//!
//! Each migration runs in a transaction where the engine can roll DDL back (PostgreSQL, SQLite). MySQL and MariaDB commit
//! every statement; there each table is one statement that can be repeated, so that running a half-done migration again
//! finishes it.

mod connect;
mod migrator;
pub mod partitions;
pub mod schema;

mod m20261120_000001_identity;
mod m20261120_000002_alerting;
mod m20261120_000003_trading;
mod m20261120_000004_market;
mod m20261120_000005_catalog;
mod m20261120_000006_ordering;
mod m20261120_000007_inventory;
mod m20261120_000008_marketing;
mod m20261120_000009_mall;
mod m20261120_000010_journal;
mod m20261120_000011_text_search;
mod m20261120_000012_append_only_times;
mod m20261120_000013_partitions;
mod m20261121_000014_cache_invalidations;
mod m20261121_000015_locks;
mod m20261129_000016_instances_exchange;

pub use connect::{ConnectError, connect};
pub use migrator::Migrator;
pub use sea_orm_migration::MigratorTrait;

/// A migration that creates the tables of the function `tables` beside it, and drops them.
macro_rules! domain_migration {
    ($name:literal) => {
        pub(crate) struct Migration;

        impl sea_orm_migration::MigrationName for Migration {
            fn name(&self) -> &str {
                $name
            }
        }

        #[sea_orm_migration::async_trait::async_trait]
        impl sea_orm_migration::MigrationTrait for Migration {
            fn use_transaction(&self) -> Option<bool> {
                Some(true)
            }

            async fn up(
                &self,
                manager: &sea_orm_migration::SchemaManager,
            ) -> Result<(), sea_orm_migration::sea_orm::DbErr> {
                crate::schema::create(manager, &tables()).await
            }

            async fn down(
                &self,
                manager: &sea_orm_migration::SchemaManager,
            ) -> Result<(), sea_orm_migration::sea_orm::DbErr> {
                crate::schema::drop(manager, &tables()).await
            }
        }
    };
}

pub(crate) use domain_migration;
