//! Which exchange an instance trades on: a standby steps in for those of its own alone.
//!
//! Null in what an earlier version of a service has written, until that instance starts anew.

use sea_orm_migration::sea_orm::DbErr;
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::schema::{Column, add_columns, drop_columns, text};

const TABLE: &str = "instances";
const COLUMNS: [Column; 1] = [text("exchange", 32).null()];

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261129_000016_instances_exchange"
    }
}

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_columns(manager, TABLE, &COLUMNS).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_columns(manager, TABLE, &COLUMNS).await
    }
}
