//! PostgreSQL: a cluster made by `initdb`, fast because nothing is synced.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use super::account::Account;
use super::error::Error;
use super::server::{self, Kind, Plan, Server, USER};
use super::{binaries, process};

/// A PostgreSQL server of a test's own.
#[derive(Debug)]
pub struct Postgres;

impl Postgres {
    /// Starts one; its user is a superuser, its database `postgres`.
    ///
    /// # Errors
    /// See [`Kind::start`].
    pub async fn start() -> Result<Server, Error> {
        Kind::Postgres.start().await
    }

    /// Starts one with settings of `postgresql.conf`: `[("wal_level", "logical")]`.
    ///
    /// # Errors
    /// See [`Kind::start_with`].
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Server, Error> {
        Kind::Postgres.start_with(settings).await
    }
}

/// A commit is written, so that it survives `kill -9`, and never synced: only a crash of the machine would lose it.
const SETTINGS: [(&str, &str); 10] = [
    ("listen_addresses", "127.0.0.1"),
    ("max_connections", "300"),
    ("shared_buffers", "64MB"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("max_wal_size", "512MB"),
    ("wal_keep_size", "0"),
    // In the data directory, where it goes with everything else; /dev/shm would keep it after a kill.
    ("dynamic_shared_memory_type", "mmap"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

pub(super) async fn prepare(settings: &[(&str, &str)]) -> Result<Plan, Error> {
    let folder = binaries::postgres()?;
    let account = Account::needed_by(Kind::Postgres)?;
    let directory = server::room(Kind::Postgres, account)?;
    let data = directory.join("data");
    let password = server::password();

    let secret = directory.join("password");
    std::fs::write(&secret, &password).map_err(Error::io("writing a password file"))?;
    if let Some(account) = account {
        account.own(&secret)?;
    }
    let mut initdb = process::command(&directory, "initdb", folder.join("initdb"), account)?;
    initdb.args(["--no-sync", "--encoding=UTF8", "--auth=scram-sha-256", "--username", USER]);
    // Every Linux has C.UTF-8: letters beyond ASCII are letters, and the order does not depend on the machine.
    initdb.arg(if cfg!(target_os = "linux") { "--locale=C.UTF-8" } else { "--locale=C" });
    initdb.arg("--pwfile").arg(&secret).arg("--pgdata").arg(&data);
    server::prepare_with(Kind::Postgres, &directory, initdb).await?;
    std::fs::remove_file(&secret).map_err(Error::io("removing a password file"))?;

    let mut configuration = format!("unix_socket_directories = '{}'\n", directory.display());
    for (name, value) in SETTINGS.iter().chain(settings) {
        let _ = writeln!(configuration, "{name} = '{}'", value.replace('\'', "''"));
    }
    append(&data.join("postgresql.conf"), &configuration)?;
    let arguments = vec!["-D".to_owned(), data.display().to_string()];
    Ok(Plan { directory, program: folder.join("postgres"), arguments, account, password, environment: Vec::new() })
}

fn append(path: &Path, text: &str) -> Result<(), Error> {
    use std::io::Write;

    let file = std::fs::File::options().append(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(Error::io(format!("writing {}", path.display())))
}

/// Removes the System V segment that PostgreSQL leaves when it is killed: 56 bytes, but the system has only 4096 of them.
pub(super) fn remove_segment(directory: &Path) {
    let Ok(lock_file) = std::fs::read_to_string(directory.join("data/postmaster.pid")) else { return };
    // The seventh line is "key identifier".
    let identifier = lock_file.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
    if let Some(identifier) = identifier {
        let _ = Command::new("ipcrm").args(["-m", identifier]).output();
    }
}
