use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use sea_orm_migration::{IntoSchemaManagerConnection, MigrationTrait, MigratorTrait};

/// All migrations, in the order in which they are applied.
#[derive(Clone, Copy, Debug)]
pub struct Migrator;

/// The same migrations, run by SeaORM's own commands: an overridden one cannot call what it overrides.
struct Plain;

fn all() -> Vec<Box<dyn MigrationTrait>> {
    vec![
        Box::new(crate::m20261120_000001_identity::Migration),
        Box::new(crate::m20261120_000002_alerting::Migration),
        Box::new(crate::m20261120_000003_trading::Migration),
        Box::new(crate::m20261120_000004_market::Migration),
        Box::new(crate::m20261120_000005_catalog::Migration),
        Box::new(crate::m20261120_000006_ordering::Migration),
        Box::new(crate::m20261120_000007_inventory::Migration),
        Box::new(crate::m20261120_000008_marketing::Migration),
        Box::new(crate::m20261120_000009_mall::Migration),
        Box::new(crate::m20261120_000010_journal::Migration),
        Box::new(crate::m20261120_000011_text_search::Migration),
        Box::new(crate::m20261120_000012_append_only_times::Migration),
        Box::new(crate::m20261120_000013_partitions::Migration),
        Box::new(crate::m20261121_000014_cache_invalidations::Migration),
        Box::new(crate::m20261121_000015_locks::Migration),
        Box::new(crate::m20261129_000016_instances_exchange::Migration),
    ]
}

impl MigratorTrait for Plain {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        all()
    }
}

#[sea_orm_migration::async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        all()
    }

    /// Drops all tables and applies every migration.
    ///
    /// SeaORM drops tables one by one by name; SQLite refuses that for the hidden tables of a full-text index, which go
    /// with the index itself: so these go first.
    async fn fresh<'c, C>(db: C) -> Result<(), DbErr>
    where
        C: IntoSchemaManagerConnection<'c>,
    {
        let db = db.into_database_executor();
        if db.get_database_backend() == DbBackend::Sqlite {
            drop_virtual_tables(&db).await?;
        }
        Plain::fresh(db).await
    }
}

async fn drop_virtual_tables(db: &impl ConnectionTrait) -> Result<(), DbErr> {
    let virtual_tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%'";
    for row in db.query_all_raw(Statement::from_string(DbBackend::Sqlite, virtual_tables)).await? {
        let name: String = row.try_get_by(0)?;
        db.execute_unprepared(&format!("DROP TABLE IF EXISTS \"{name}\"")).await?;
    }
    Ok(())
}
