//! Redis: a configuration file and an append-only file that is never synced.

use std::fmt::Write;
use std::io;
use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::binaries;
use super::error::Error;
use super::server::{self, Kind, Plan, Server};

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
    let password = server::password();

    let mut configuration = format!("dir \"{}\"\nrequirepass {password}\n", directory.display());
    let _ = writeln!(configuration, "unixsocket \"{}\"", directory.join("socket").display());
    for (name, value) in SETTINGS.iter().chain(settings) {
        let _ = writeln!(configuration, "{name} {value}");
    }
    let path = directory.join("redis.conf");
    std::fs::write(&path, configuration).map_err(Error::io(format!("writing {}", path.display())))?;
    Ok(Plan { directory, program, arguments: vec![path.display().to_string()], account: None, password })
}

/// Whether it takes the password and answers; while it reads its data it does not.
pub(super) async fn ping(port: u16, password: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.write_all(format!("AUTH {password}\r\nPING\r\nQUIT\r\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if answer.contains("+PONG") { Ok(()) } else { Err(io::Error::other(answer)) }
}
