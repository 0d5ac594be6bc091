//! Redis: a configuration file and an append-only file that is never synced.

use std::fmt::Write;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::binaries;
use super::error::Error;
use super::server::{self, Kind, Plan, Server};

/// What one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A Redis server of a test's own.
#[derive(Debug)]
pub struct Redis;

impl Redis {
    /// Starts one, with a password for the default user.
    ///
    /// # Errors
    /// See [`Kind::start`].
    pub async fn start() -> Result<Server, Error> {
        Kind::Redis.start().await
    }

    /// Starts one with settings of `redis.conf`: `[("maxmemory", "1mb")]`; `("appendonly", "no")` makes it forget its
    /// keys when it goes down.
    ///
    /// # Errors
    /// See [`Kind::start_with`].
    pub async fn start_with(settings: &[(&str, &str)]) -> Result<Server, Error> {
        Kind::Redis.start_with(settings).await
    }

    /// Starts one whose process has this in its environment too: `[("TZ", "UTC")]`.
    ///
    /// # Errors
    /// See [`Kind::start`].
    pub async fn start_in(environment: &[(&str, &str)]) -> Result<Server, Error> {
        let mut plan = prepare(&[])?;
        plan.environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Kind::Redis.start_plan(plan).await
    }
}

/// A write is in the append-only file before it is acknowledged, so that it survives `kill -9`, and is never synced.
const SETTINGS: [(&str, &str); 6] = [
    ("bind", "127.0.0.1"),
    ("save", "\"\""),
    ("appendonly", "yes"),
    ("appendfsync", "no"),
    ("maxclients", "1000"),
    ("daemonize", "no"),
];

pub(super) fn prepare(settings: &[(&str, &str)]) -> Result<Plan, Error> {
    let program = binaries::program(Kind::Redis, "redis-server")?;
    let directory = server::room(Kind::Redis, None)?;
    // The nodes of one cluster have one password.
    let given = settings.iter().find(|(name, _)| *name == "requirepass");
    let password = given.map_or_else(server::password, |(_, password)| (*password).to_owned());

    let mut configuration = format!("dir \"{}\"\nrequirepass {password}\n", directory.display());
    let _ = writeln!(configuration, "unixsocket \"{}\"", directory.join("socket").display());
    for (name, value) in SETTINGS.iter().chain(settings) {
        let _ = writeln!(configuration, "{name} {value}");
    }
    let path = directory.join("redis.conf");
    std::fs::write(&path, configuration).map_err(Error::io(format!("writing {}", path.display())))?;
    Ok(Plan {
        directory,
        program,
        arguments: vec![path.display().to_string()],
        account: None,
        password,
        environment: Vec::new(),
    })
}

/// Whether it takes the password and answers; while it reads its data it does not.
pub(super) async fn ping(port: u16, password: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // Closed by us: a sentinel knows no QUIT.
    stream.write_all(format!("AUTH {password}\r\nPING\r\n").as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let mut answer = String::new();
    for _ in 0..2 {
        answer.push_str(&lines.next_line().await?.unwrap_or_default());
    }
    if answer.contains("+PONG") { Ok(()) } else { Err(io::Error::other(answer)) }
}

/// One command, on a connection of its own.
pub(super) async fn ask<T: ::redis::FromRedisValue>(url: &str, command: &::redis::Cmd) -> ::redis::RedisResult<T> {
    let client = ::redis::Client::open(url)?;
    // Longer than the crate's half a second, which a busy machine can take.
    let config =
        ::redis::AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER)).set_response_timeout(Some(ANSWER));
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
    command.query_async(&mut connection).await
}
