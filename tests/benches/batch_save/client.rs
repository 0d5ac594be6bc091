//! The engines' own client programs, each loading a file of the same rows with one command, in its fastest form.
//!
//! - PostgreSQL: `psql -c '\copy trades (...) FROM file'`, the text format.
//! - MariaDB: `mariadb -e 'LOAD DATA LOCAL INFILE file INTO TABLE trades'`, as `mariadb-dump --tab` writes it.
//! - SQLite: `sqlite3 file.db '.import file trades'`, tab-separated, with ours' PRAGMAs. The shell writes neither blobs nor
//!   nulls, so ids are texts of sixteen characters and nulls empty texts; it needs the collation `decimal`, which the
//!   shell has since 3.34.
//!
//! A client is a process, and ours a service that runs already: so what a client takes to start, connect and end is
//! measured by commands that do nothing, and taken off.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use stanchion::entity::trading::trade::Model as Trade;
use stanchion_tests::bench::{RowFormat, trade_rows};
use stanchion_tests::testbed::Backend;
use tempfile::NamedTempFile;
use url::Url;

use super::table::Table;

const COLUMNS: &str = "id, exchange, symbol, exchange_trade_id, order_id, side, price, quantity, quote_quantity, fee, \
    fee_asset, is_maker, pnl, traded_at, created_at";

/// Commands that do nothing; the median of their times is what a client takes to start.
const STARTS: usize = 9;

/// A client program with its file.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) name: &'static str,
    connect: Connect,
    load: Vec<String>,
    start: Duration,
    /// Removed when the client is dropped.
    _rows: NamedTempFile,
}

/// How the program is called, before what it is to do.
#[derive(Debug)]
struct Connect {
    program: &'static str,
    arguments: Vec<String>,
    password: Option<(&'static str, String)>,
}

impl Client {
    /// The client of the table's engine, its file written. `None` when it is not installed, after saying so.
    pub(crate) fn new(table: &Table, rows: &[Trade]) -> anyhow::Result<Option<Self>> {
        let backend = table.database.backend();
        let (name, format) = match backend {
            Backend::Sqlite => ("sqlite3 .import", RowFormat::SqliteTabs),
            Backend::Postgres => ("psql \\copy", RowFormat::PostgresText),
            Backend::MariaDb => ("mariadb LOAD DATA", RowFormat::MariaDbTab),
        };
        let file = NamedTempFile::new()?;
        std::fs::write(file.path(), trade_rows(rows, format))?;
        let connect = connect(table)?;
        let nothing = nothing(backend);
        match connect.run(&nothing) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                eprintln!("{backend}: {} is not installed; it is not compared with", connect.program);
                return Ok(None);
            }
            output => drop(output?),
        }
        let mut starts = (0..STARTS).map(|_| connect.timed(&nothing)).collect::<anyhow::Result<Vec<_>>>()?;
        starts.sort();
        let load = load(backend, file.path())?;
        Ok(Some(Self { name, connect, load, start: starts[STARTS / 2], _rows: file }))
    }

    /// Loads the file; how long that took.
    pub(crate) fn load(&self) -> anyhow::Result<Duration> {
        Ok(self.connect.timed(&self.load)?.saturating_sub(self.start))
    }
}

impl Connect {
    fn run(&self, arguments: &[String]) -> std::io::Result<Output> {
        let mut command = Command::new(self.program);
        command.args(&self.arguments).args(arguments).stdin(Stdio::null());
        if let Some((variable, password)) = &self.password {
            command.env(variable, password);
        }
        command.output()
    }

    fn timed(&self, arguments: &[String]) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let output = self.run(arguments)?;
        let took = began.elapsed();
        // SQLite's shell goes on after a row that it could not insert, and says so.
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success() && said.is_empty(), "{}: {}: {said}", self.program, output.status);
        Ok(took)
    }
}

fn connect(table: &Table) -> anyhow::Result<Connect> {
    let strings = |arguments: &[&str]| arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>();
    if table.database.backend() == Backend::Sqlite {
        let arguments = strings(&["-batch", "-bail", &table.database.name()]);
        return Ok(Connect { program: "sqlite3", arguments, password: None });
    }
    let mut url = Url::parse(table.database.url())?;
    let password = url.password().unwrap_or_default().to_owned();
    if url.set_password(None).is_err() {
        bail!("a URL without a host");
    }
    if table.database.backend() == Backend::Postgres {
        let arguments = strings(&["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", url.as_str()]);
        return Ok(Connect { program: "psql", arguments, password: Some(("PGPASSWORD", password)) });
    }
    let port = url.port().unwrap_or(3_306).to_string();
    let host = url.host_str().context("a URL without a host")?;
    let database = url.path().trim_start_matches('/');
    let arguments = ["--no-defaults", "--local-infile=1", "--host", host, "--port", &port, "--user", url.username()];
    let arguments = strings(&arguments).into_iter().chain(strings(&["--database", database])).collect();
    Ok(Connect { program: "mariadb", arguments, password: Some(("MYSQL_PWD", password)) })
}

fn nothing(backend: Backend) -> Vec<String> {
    match backend {
        Backend::Sqlite => vec!["SELECT 1 FROM trades".to_owned()],
        Backend::Postgres => vec!["--command=SELECT 1".to_owned()],
        Backend::MariaDb => vec!["--execute=SELECT 1".to_owned()],
    }
}

fn load(backend: Backend, file: &Path) -> anyhow::Result<Vec<String>> {
    let file = file.to_str().context("a temporary directory whose name is not text")?;
    Ok(match backend {
        Backend::Sqlite => vec![
            "PRAGMA synchronous = normal; PRAGMA cache_size = -16384; PRAGMA foreign_keys = on".to_owned(),
            ".mode tabs".to_owned(),
            format!(".import '{file}' trades"),
        ],
        Backend::Postgres => vec![format!("--command=\\copy trades ({COLUMNS}) FROM '{file}'")],
        Backend::MariaDb => vec![format!(
            "--execute=LOAD DATA LOCAL INFILE '{file}' INTO TABLE trades CHARACTER SET binary ({COLUMNS})"
        )],
    })
}
