//! A master of Redis, its replicas, and the sentinels that watch them.

use std::fmt::Write;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::error::Error;
use super::redis::{Redis, ask};
use super::server::{self, Kind, Plan, Server};
use super::tls::Tls;
use super::{binaries, port};

/// The name that the sentinels know the master by.
const MASTER: &str = "main";
const SERVERS: usize = 3;
const SENTINELS: usize = 3;
/// How many sentinels must agree that the master is down.
const QUORUM: usize = 2;
/// How long they may take to know one another. Machines that run tests can be very busy.
const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(20);

/// A master, two replicas and three sentinels. Dropping it ends all of them.
#[derive(Debug)]
pub struct RedisSentinel {
    servers: Vec<Server>,
    sentinels: Vec<Server>,
    password: String,
    /// Where the servers and then the sentinels take encrypted connections; none if they take plain ones only.
    tls_ports: Vec<u16>,
}

impl RedisSentinel {
    /// Starts all of them; the sentinels, which take no password, agree to promote a replica half a second after the
    /// master fell silent.
    ///
    /// # Errors
    /// See [`Kind::start`]; also if they do not find one another in a minute.
    pub async fn start() -> Result<Self, Error> {
        Self::start_with(None, &[]).await
    }

    /// The same; they encrypt what they say to clients and to one another, and the servers have these settings of
    /// `redis.conf`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_tls(tls: &Tls, settings: &[(&str, &str)]) -> Result<Self, Error> {
        Self::start_with(Some(tls), settings).await
    }

    async fn start_with(tls: Option<&Tls>, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let password = server::password();
        let mut tls_ports = Vec::new();
        let mut encryption = Vec::new();
        if let Some(tls) = tls {
            for _ in 0..SERVERS + SENTINELS {
                tls_ports.push(port::free()?);
            }
            encryption = tls_ports.iter().map(|port| tls.settings(*port)).collect();
        }
        let common = [("requirepass", password.as_str()), ("masterauth", &password), ("repl-diskless-sync-delay", "0")];
        let (mut servers, mut place): (Vec<Server>, _) = (Vec::new(), String::new());
        for at in 0..SERVERS {
            let mut all = [common.as_slice(), settings].concat();
            all.extend(encryption.get(at).into_iter().flatten().map(|(name, value)| (*name, value.as_str())));
            if at > 0 {
                all.push(("replicaof", &place));
            }
            let server = Redis::start_with(&all).await?;
            if at == 0 {
                place = format!("127.0.0.1 {}", tls_ports.first().copied().unwrap_or(server.port()));
            }
            servers.push(server);
        }
        let mut sentinels = Vec::new();
        for at in SERVERS..SERVERS + SENTINELS {
            let encryption = encryption.get(at).map_or(&[][..], |settings| settings);
            sentinels.push(Kind::Redis.start_plan(sentinel(&place, &password, encryption)?).await?);
        }
        let all = Self { servers, sentinels, password, tls_ports };
        all.until_known().await?;
        Ok(all)
    }

    /// Where a client connects: `redis-sentinel://:PASSWORD@SENTINEL,SENTINEL,SENTINEL?master=main`; `rediss-sentinel://` if
    /// they encrypt.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls_ports.is_empty() { "redis-sentinel" } else { "rediss-sentinel" };
        let hosts = self.sentinels.iter().enumerate();
        let hosts = hosts.map(|(at, node)| format!("127.0.0.1:{}", self.port(SERVERS + at, node)));
        format!("{scheme}://:{}@{}/0?master={MASTER}", self.password, hosts.collect::<Vec<_>>().join(","))
    }

    /// The port that clients and the others use of a server or, after those, of a sentinel.
    fn port(&self, at: usize, server: &Server) -> u16 {
        self.tls_ports.get(at).copied().unwrap_or(server.port())
    }

    /// The master and its replicas; the first was the master at the start.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
    }

    /// The server that the sentinels which answer name as the master now; `None` when they do not agree.
    pub async fn master(&self) -> Option<&Server> {
        let mut named = Vec::new();
        for sentinel in &self.sentinels {
            let mut question = redis::cmd("SENTINEL");
            question.arg("GET-MASTER-ADDR-BY-NAME").arg(MASTER);
            if let Ok((_, port)) = ask::<(String, u16)>(&address(sentinel), &question).await {
                named.push(port);
            }
        }
        named.dedup();
        let [port] = named.as_slice() else { return None };
        self.servers.iter().enumerate().find(|(at, server)| self.port(*at, server) == *port).map(|(_, server)| server)
    }

    async fn until_known(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let wanted = [
            ("num-slaves", self.servers.len().saturating_sub(1)),
            ("num-other-sentinels", self.sentinels.len().saturating_sub(1)),
        ];
        for sentinel in &self.sentinels {
            loop {
                let mut question = redis::cmd("SENTINEL");
                question.arg("MASTER").arg(MASTER);
                let facts = ask::<Vec<String>>(&address(sentinel), &question).await;
                let facts = facts.map_err(Error::redis("asking a sentinel"))?;
                let is =
                    |name: &str, value: &str| facts.chunks(2).any(|pair| *pair == [name.to_owned(), value.to_owned()]);
                if wanted.iter().all(|(name, count)| is(name, &count.to_string())) {
                    break;
                }
                if Instant::now() > deadline {
                    let late = (redis::ErrorKind::Client, "the sentinels did not find one another in a minute").into();
                    return Err(Error::redis("making sentinels")(late));
                }
                sleep(GLANCE).await;
            }
        }
        Ok(())
    }
}

fn sentinel(master: &str, password: &str, encryption: &[(&str, String)]) -> Result<Plan, Error> {
    let program = binaries::program(Kind::Redis, "redis-server")?;
    let directory = server::room(Kind::Redis, None)?;
    let mut configuration = format!("dir \"{}\"\nbind 127.0.0.1\n", directory.display());
    for line in [
        format!("monitor {MASTER} {master} {QUORUM}"),
        format!("auth-pass {MASTER} {password}"),
        format!("down-after-milliseconds {MASTER} 500"),
        format!("failover-timeout {MASTER} 3000"),
        format!("parallel-syncs {MASTER} 2"),
    ] {
        let _ = writeln!(configuration, "sentinel {line}");
    }
    for (name, value) in encryption {
        let _ = writeln!(configuration, "{name} {value}");
    }
    let path = directory.join("sentinel.conf");
    std::fs::write(&path, configuration).map_err(Error::io(format!("writing {}", path.display())))?;
    let arguments = vec![path.display().to_string(), "--sentinel".to_owned()];
    Ok(Plan { directory, program, arguments, account: None, password: "none".to_owned(), environment: Vec::new() })
}

/// A sentinel's URL, without the password that it does not take.
fn address(sentinel: &Server) -> String {
    format!("redis://127.0.0.1:{}", sentinel.port())
}
