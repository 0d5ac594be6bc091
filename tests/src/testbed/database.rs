//! One isolated database a test.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use sea_orm::{Database, DatabaseConnection, DbErr};
use url::Url;

use super::admin::Admin;
use super::backend::Backend;
use super::error::Error;
use super::scratch::Scratch;
use super::{migrated, names};

/// A database that nobody else uses, for as long as this value lives.
///
/// What is in it goes with it: the file is removed, the server's database is dropped, in the background and even if
/// connections are still open. If the process is killed first, the next run does it.
#[derive(Debug)]
pub struct TestDatabase {
    backend: Backend,
    url: String,
    home: Home,
}

#[derive(Debug)]
enum Home {
    Folder(PathBuf),
    Server { url: String, name: String },
}

impl TestDatabase {
    /// A database without a table. `None` when this run has no server for `backend`, after saying so.
    ///
    /// # Panics
    /// If the database cannot be made, or if the server is missing and `STANCHION_TEST_REQUIRE=all` is set: the test
    /// fails.
    pub async fn empty(backend: Backend) -> Option<Self> {
        Self::prepared(backend, false).await
    }

    /// A database with all of Stanchion's migrations. `None` when this run has no server for `backend`, after saying so.
    ///
    /// # Panics
    /// As [`empty`](Self::empty).
    pub async fn migrated(backend: Backend) -> Option<Self> {
        Self::prepared(backend, true).await
    }

    async fn prepared(backend: Backend, migrated: bool) -> Option<Self> {
        let made = match backend {
            Backend::Sqlite => Self::file(migrated).await,
            Backend::Postgres | Backend::MariaDb => {
                let server = backend.server_url_or_report()?;
                Self::on_server(backend, server, migrated).await
            }
        };
        match made {
            Ok(database) => Some(database),
            Err(error) => panic!("{backend}: no test database: {error}"),
        }
    }

    async fn file(migrated: bool) -> Result<Self, Error> {
        let folder = Scratch::of_this_process()?.room("sqlite", None)?;
        let file = folder.join("test.db");
        if migrated {
            migrated::sqlite(&file).await?;
        }
        Ok(Self { backend: Backend::Sqlite, url: sqlite_url(&file), home: Home::Folder(folder) })
    }

    async fn on_server(backend: Backend, server: String, migrated: bool) -> Result<Self, Error> {
        let name = names::fresh();
        let url = with_database(backend, &server, &name)?;
        let mut admin = Admin::connect(&server).await.map_err(Error::database("connecting to the test server"))?;
        drop_stale(&mut admin, backend).await?;
        // From here on it is dropped again, also when making it fails half-way.
        let database = Self { backend, url, home: Home::Server { url: server, name: name.clone() } };
        if migrated {
            migrated::on_server(&mut admin, &database.home_url(), &database.url, &name).await?;
        } else {
            admin.create(&name).await?;
        }
        admin.close().await.map_err(Error::database("leaving the test server"))?;
        Ok(database)
    }

    /// What it is on.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Where to connect to it, with the password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name on the server, or its file.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.home {
            Home::Folder(folder) => folder.join("test.db").display().to_string(),
            Home::Server { name, .. } => name.clone(),
        }
    }

    /// A plain SeaORM connection, without anything that Stanchion adds.
    ///
    /// # Errors
    /// If the server does not let it in.
    pub async fn connect(&self) -> Result<DatabaseConnection, DbErr> {
        Database::connect(&self.url).await
    }

    fn home_url(&self) -> String {
        match &self.home {
            Home::Folder(_) => self.url.clone(),
            Home::Server { url, .. } => url.clone(),
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        match &self.home {
            Home::Folder(folder) => drop(std::fs::remove_dir_all(folder)),
            Home::Server { url, name } => drop_in_background(url.clone(), name.clone()),
        }
    }
}

/// `server`'s URL with another database.
pub(super) fn with_database(backend: Backend, server: &str, name: &str) -> Result<String, Error> {
    let mut url =
        Url::parse(server).map_err(|source| Error::Address { variable: format!("{backend}'s server"), source })?;
    url.set_path(name);
    Ok(url.into())
}

/// A file that is made if it is not there.
pub(super) fn sqlite_url(file: &std::path::Path) -> String {
    format!("sqlite://{}?mode=rwc", file.display())
}

/// Once a process and back end: drops what runs that were killed have left.
async fn drop_stale(admin: &mut Admin, backend: Backend) -> Result<(), Error> {
    static POSTGRES: OnceLock<()> = OnceLock::new();
    static MARIADB: OnceLock<()> = OnceLock::new();

    let once = if backend == Backend::Postgres { &POSTGRES } else { &MARIADB };
    if once.set(()).is_ok() { sweep(admin).await } else { Ok(()) }
}

async fn sweep(admin: &mut Admin) -> Result<(), Error> {
    let names = admin.databases().await.map_err(Error::database("listing the test server's databases"))?;
    for name in names.iter().filter(|name| names::is_stale(name)) {
        // Another process may be dropping the same one at this moment.
        let _ = admin.drop_database(name).await;
    }
    Ok(())
}

/// Drops a database on a thread that takes one after the other, so that no test waits for it.
fn drop_in_background(server: String, name: String) {
    static JANITOR: OnceLock<Option<Sender<(String, String)>>> = OnceLock::new();

    let janitor = JANITOR.get_or_init(|| {
        let (sender, databases) = channel::<(String, String)>();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let work = move || {
            for (server, name) in databases {
                // What fails here, or is not reached before the process ends, the next run drops.
                let _ = runtime.block_on(async {
                    let mut admin = Admin::connect(&server).await?;
                    admin.drop_database(&name).await?;
                    admin.close().await
                });
            }
        };
        std::thread::Builder::new().name("test-databases".to_owned()).spawn(work).ok()?;
        Some(sender)
    });
    if let Some(janitor) = janitor {
        let _ = janitor.send((server, name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::on_every_backend;

    on_every_backend! { empty: what_a_killed_process_left_is_dropped }

    async fn what_a_killed_process_left_is_dropped(database: TestDatabase) -> Result<(), Error> {
        let Home::Server { url, name } = &database.home else { return Ok(()) };
        let mut dead = std::process::Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let left = name.replacen(&std::process::id().to_string(), &dead.id().to_string(), 1);

        let mut admin = Admin::connect(url).await.unwrap();
        admin.create(&left).await?;
        sweep(&mut admin).await?;

        let names = admin.databases().await.unwrap();
        assert!(!names.contains(&left), "{left} is still there");
        assert!(names.contains(name), "{name} is in use");
        Ok(())
    }
}
