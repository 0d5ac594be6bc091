//! Small indexes of time on PostgreSQL for the tables that only grow.
//!
//! There rows lie on disk about in the order of their time, so a BRIN index, which keeps the bounds of each run of pages,
//! finds a range of time at a thousandth of a B-tree's size and next to no cost for a write; `autosummarize` takes new pages in
//! soon. Tables whose rows change or go away (the outbox, alerts) have no such order. The other engines have no such index:
//! there a range of time is a range of ids or of the primary key, as it can be on PostgreSQL.

use sea_orm_migration::sea_orm::{DbBackend, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::schema::execute_all;

/// The tables that only grow, and their time.
const TIMES: [(&str, &str); 5] = [
    ("trades", "traded_at"),
    ("ticks", "ts"),
    ("trading_metrics", "ts"),
    ("log_entries", "ts"),
    ("audit_entries", "occurred_at"),
];

pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m20261120_000012_append_only_times"
    }
}

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, |table, column| {
            format!("CREATE INDEX idx_{table}_{column}_brin ON {table} USING brin ({column}) WITH (autosummarize = on)")
        })
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, |table, column| format!("DROP INDEX IF EXISTS idx_{table}_{column}_brin")).await
    }
}

async fn run(manager: &SchemaManager<'_>, statement: impl Fn(&str, &str) -> String) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let statements: Vec<String> = TIMES.iter().map(|(table, column)| statement(table, column)).collect();
    execute_all(manager, &statements).await
}
