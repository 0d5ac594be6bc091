//! Migrated databases, made quickly: migrations run once where the engine can copy a database.

use std::path::Path;

use sea_orm_migration::MigratorTrait;
use stanchion_migration::Migrator;
use tokio::sync::OnceCell;

use super::admin::Admin;
use super::backend::Backend;
use super::database::{sqlite_url, with_database};
use super::error::Error;
use super::names;
use super::scratch::Scratch;

/// Held while a run's template is made; any number that no program tested here uses.
const TEMPLATE_LOCK: i64 = 0x5374_616e_6368_696f;

/// Runs all of Stanchion's migrations, as `sea-orm-cli migrate up` would.
async fn migrate(url: &str) -> Result<(), Error> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| Error::Migration { source };
    let db = stanchion_migration::connect(url).await.map_err(|error| failed(Box::new(error)))?;
    Migrator::up(&db, None).await.map_err(|error| failed(Box::new(error)))?;
    db.close().await.map_err(|error| failed(Box::new(error)))
}

/// Copies this process's migrated file to `file`.
pub(super) async fn sqlite(file: &Path) -> Result<(), Error> {
    static TEMPLATE: OnceCell<std::path::PathBuf> = OnceCell::const_new();

    let template = TEMPLATE.get_or_try_init(async || {
        let template = Scratch::of_this_process()?.room("template", None)?.join("migrated.db");
        migrate(&sqlite_url(&template)).await?;
        // The last connection folds the log into the file; a copy of the file alone would be wrong before that.
        if template.with_extension("db-wal").exists() {
            return Err(Error::TemplateInUse { path: template });
        }
        Ok(template)
    });
    tokio::fs::copy(template.await?, file).await.map(drop).map_err(Error::io("copying the migrated SQLite file"))
}

/// Makes the database `name`, which is at `url`, on the server at `server`.
pub(super) async fn on_server(admin: &mut Admin, server: &str, url: &str, name: &str) -> Result<(), Error> {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();

    if let Admin::MariaDb(_) = admin {
        admin.create(name).await?;
        return migrate(url).await;
    }
    let template = TEMPLATE.get_or_try_init(|| postgres_template(server)).await?;
    let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
    admin.execute(&sql).await.map_err(Error::database(format!("copying {template}")))
}

/// The migrated database of this run, made by the first process that asks for it.
async fn postgres_template(server: &str) -> Result<String, Error> {
    let migrations: Vec<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let template = names::template(&migrations);
    let failed = || Error::database(format!("making the template {template}"));

    let mut admin = Admin::connect(server).await.map_err(failed())?;
    // Released when this connection ends, also if the process is killed.
    admin.execute(&format!("SELECT pg_advisory_lock({TEMPLATE_LOCK})")).await.map_err(failed())?;
    if !admin.databases().await.map_err(failed())?.contains(&template) {
        // Under another name until it is complete.
        let draft = format!("{template}_draft");
        admin.drop_database(&draft).await.map_err(failed())?;
        admin.create(&draft).await?;
        migrate(&with_database(Backend::Postgres, server, &draft)?).await?;
        admin.execute(&format!("ALTER DATABASE {draft} RENAME TO {template}")).await.map_err(failed())?;
        // A connection to it would make copying it fail.
        admin.execute(&format!("ALTER DATABASE {template} ALLOW_CONNECTIONS false")).await.map_err(failed())?;
    }
    admin.close().await.map_err(failed())?;
    Ok(template)
}
