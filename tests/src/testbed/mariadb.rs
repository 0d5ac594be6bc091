//! MariaDB: a data directory made by `mariadb-install-db`, fast because nothing is synced.

use std::fmt::Write;

use super::account::Account;
use super::error::Error;
use super::server::{self, Kind, Plan, Server, USER};
use super::{binaries, process};

/// A MariaDB server of a test's own.
#[derive(Debug)]
pub struct MariaDb;

impl MariaDb {
    /// Starts one; its user has every right, its database is `stanchion`.
    ///
    /// # Errors
    /// See [`Kind::start`].
    pub async fn start() -> Result<Server, Error> {
        Kind::MariaDb.start().await
    }

    /// Starts one with settings of `my.cnf`: `[("innodb_lock_wait_timeout", "1")]`.
    ///
    /// # Errors
    /// See [`Kind::start_with`].
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Server, Error> {
        Kind::MariaDb.start_with(settings).await
    }
}

/// A commit is written, so that it survives `kill -9`, and never synced: only a crash of the machine would lose it.
/// `loose-`: a version without the setting starts nevertheless.
const SETTINGS: [(&str, &str); 14] = [
    ("bind_address", "127.0.0.1"),
    ("max_connections", "300"),
    ("local_infile", "ON"),
    ("character_set_server", "utf8mb4"),
    ("skip_log_bin", ""),
    ("innodb_buffer_pool_size", "64M"),
    ("innodb_log_file_size", "32M"),
    ("innodb_flush_log_at_trx_commit", "2"),
    ("loose-innodb_flush_method", "nosync"),
    ("innodb_doublewrite", "OFF"),
    // Asynchronous I/O is limited by system-wide quotas that several servers side by side use up.
    ("innodb_use_native_aio", "OFF"),
    ("innodb_stats_persistent", "OFF"),
    ("performance_schema", "OFF"),
    ("skip_name_resolve", ""),
];

pub(super) async fn prepare(settings: &[(&str, &str)]) -> Result<Plan, Error> {
    let program = binaries::program(Kind::MariaDb, "mariadbd")?;
    let install = binaries::program(Kind::MariaDb, "mariadb-install-db")?;
    let account = Account::needed_by(Kind::MariaDb)?;
    let directory = server::room(Kind::MariaDb, account)?;
    let data = directory.join("data");
    let password = server::password();

    let mut configuration = format!("[mysqld]\ndatadir = {}\n", data.display());
    let _ = writeln!(configuration, "socket = {}", directory.join("socket").display());
    let _ = writeln!(configuration, "pid_file = {}", directory.join("mariadb-own-pid").display());
    let _ = writeln!(configuration, "tmpdir = {}", directory.display());
    for (name, value) in SETTINGS.iter().chain(settings) {
        let _ = if value.is_empty() {
            writeln!(configuration, "{name}")
        } else {
            writeln!(configuration, "{name} = {value}")
        };
    }
    // Run at every start, before anyone is served. A file, so that the password is in no list of processes.
    let accounts = format!(
        "CREATE USER IF NOT EXISTS {USER} IDENTIFIED BY '{password}';\n\
         GRANT ALL PRIVILEGES ON *.* TO {USER} WITH GRANT OPTION;\n\
         CREATE DATABASE IF NOT EXISTS {USER} CHARACTER SET utf8mb4;\n"
    );
    let defaults = directory.join("my.cnf");
    let init = directory.join("init.sql");
    for (path, text) in [(&defaults, &configuration), (&init, &accounts)] {
        std::fs::write(path, text).map_err(Error::io(format!("writing {}", path.display())))?;
        if let Some(account) = account {
            account.own(path)?;
        }
    }

    let defaults = format!("--defaults-file={}", defaults.display());
    let mut installer = process::command(&directory, "install", install, account)?;
    // `socket`: root has no password, but can only come in through the socket and as its own system account.
    installer.args([&defaults, "--skip-test-db", "--auth-root-authentication-method=socket"]);
    server::prepare_with(Kind::MariaDb, &directory, installer).await?;

    let arguments = vec![defaults, format!("--init-file={}", init.display())];
    Ok(Plan { directory, program, arguments, account, password, environment: Vec::new() })
}
