//! A cluster of Redis: masters that share out the slots, with or without replicas.

use std::time::Duration;

use redis::FromRedisValue;
use tokio::time::{Instant, sleep};

use super::error::Error;
use super::redis::Redis;
use super::server::{self, Server};
use super::tls::Tls;
use super::{port, redis::ask};

/// A cluster's slots, each held by one master.
const SLOTS: u16 = 16_384;
/// How long the nodes may take to know one another. Machines that run tests can be very busy.
const PATIENCE: Duration = Duration::from_secs(60);
const GLANCE: Duration = Duration::from_millis(20);

/// Masters that hold a share of the slots each, and their replicas. Dropping it ends all of them.
#[derive(Debug)]
pub struct RedisCluster {
    masters: Vec<Server>,
    /// As many as there are masters, in their order, or none.
    replicas: Vec<Server>,
    password: String,
    /// Where each master takes encrypted connections, in their order; none if they take plain ones only.
    tls_ports: Vec<u16>,
}

impl RedisCluster {
    /// Starts this many masters. While one of them is down the others serve their slots.
    ///
    /// # Errors
    /// See [`Kind::start`](super::Kind::start); also if they do not agree on the slots in a minute.
    pub async fn start(masters: u16) -> Result<Self, Error> {
        Self::start_with(masters, false, &[]).await
    }

    /// The same, with a replica a master, which takes its place a second or two after it went down.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with_replicas(masters: u16) -> Result<Self, Error> {
        Self::start_with(masters, true, &[]).await
    }

    /// The same, with settings of `redis.conf` for every node: `[("cluster-require-full-coverage", "yes")]`.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_with(masters: u16, replicas: bool, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let password = server::password();
        let nodes = async |count: u16| {
            let mut starting = Vec::new();
            for _ in 0..count {
                starting.push(node(&password, settings));
            }
            futures::future::try_join_all(starting).await
        };
        let masters_started = nodes(masters).await?;
        let replicas = if replicas { nodes(masters).await? } else { Vec::new() };
        let cluster = Self { masters: masters_started, replicas, password, tls_ports: Vec::new() };
        cluster.introduce().await?;
        Ok(cluster)
    }

    /// Starts this many masters without replicas that encrypt what they say to clients and to one another, with settings of
    /// `redis.conf` for every node.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_tls(masters: u16, tls: &Tls, settings: &[(&str, &str)]) -> Result<Self, Error> {
        let password = server::password();
        let (mut nodes, mut tls_ports) = (Vec::new(), Vec::new());
        for _ in 0..masters {
            let tls_port = port::free()?;
            let tls = tls.settings(tls_port);
            let all: Vec<_> =
                tls.iter().map(|(name, value)| (*name, value.as_str())).chain(settings.to_vec()).collect();
            nodes.push(node(&password, &all).await?);
            tls_ports.push(tls_port);
        }
        let cluster = Self { masters: nodes, replicas: Vec::new(), password, tls_ports };
        cluster.introduce().await?;
        Ok(cluster)
    }

    /// Where a client connects: `redis-cluster://:PASSWORD@HOST:PORT,HOST:PORT,...`, all nodes named; `rediss-cluster://` if
    /// they encrypt.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls_ports.is_empty() { "redis-cluster" } else { "rediss-cluster" };
        let hosts: Vec<String> = (0..self.nodes().count()).map(|at| format!("127.0.0.1:{}", self.port(at))).collect();
        format!("{scheme}://:{}@{}", self.password, hosts.join(","))
    }

    /// The port that clients and the other nodes use of the node at this place of [`nodes`](Self::nodes).
    fn port(&self, at: usize) -> u16 {
        let plain = || self.nodes().nth(at).map_or(0, Server::port);
        self.tls_ports.get(at).copied().unwrap_or_else(plain)
    }

    /// Those that were masters at the start, in the order of their slots.
    #[must_use]
    pub fn masters(&self) -> &[Server] {
        &self.masters
    }

    /// Those that were replicas at the start, in the order of their masters.
    #[must_use]
    pub fn replicas(&self) -> &[Server] {
        &self.replicas
    }

    /// All servers.
    pub fn nodes(&self) -> impl Iterator<Item = &Server> {
        self.masters.iter().chain(&self.replicas)
    }

    /// Which master held a key at the start, as an index of [`masters`](Self::masters).
    ///
    /// # Errors
    /// If no node answers.
    pub async fn master_of(&self, key: &str) -> Result<usize, Error> {
        let mut failure = None;
        for node in self.nodes() {
            match ask::<u16>(node.url(), redis::cmd("CLUSTER").arg("KEYSLOT").arg(key)).await {
                Ok(slot) => {
                    return Ok((0..self.masters.len()).find(|i| slot <= self.last_slot(*i)).unwrap_or_default());
                }
                Err(error) => failure = Some(error),
            }
        }
        let none = || (redis::ErrorKind::Client, "the cluster has no nodes").into();
        Err(Error::redis("asking for a key's slot")(failure.unwrap_or_else(none)))
    }

    /// Whether a node is a master now; `None` when it does not answer.
    pub async fn is_master(&self, node: &Server) -> Option<bool> {
        let role: redis::Value = ask(node.url(), &redis::cmd("ROLE")).await.ok()?;
        let redis::Value::Array(parts) = role else { return None };
        Some(String::from_redis_value(parts.into_iter().next()?).ok()? == "master")
    }

    /// The last slot of a master's share.
    fn last_slot(&self, master: usize) -> u16 {
        let (count, next) = (self.masters.len().max(1), master + 1);
        u16::try_from(usize::from(SLOTS) * next / count).unwrap_or(SLOTS).saturating_sub(1)
    }

    async fn introduce(&self) -> Result<(), Error> {
        let mut first = 0;
        for (i, master) in self.masters.iter().enumerate() {
            let last = self.last_slot(i);
            order(master, redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(first).arg(last)).await?;
            // Told apart from the start, so that no two masters claim the same epoch and have to argue about it.
            order(master, redis::cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(i + 1)).await?;
            first = last + 1;
        }
        let Some(one) = self.masters.first() else { return Ok(()) };
        for (at, other) in self.nodes().enumerate().skip(1) {
            let bus: Vec<String> = asked(other, redis::cmd("CONFIG").arg("GET").arg("cluster-port")).await?;
            let bus = bus.last().cloned().unwrap_or_default();
            order(one, redis::cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(self.port(at)).arg(bus)).await?;
        }
        let all = self.nodes().count();
        self.until(|info| info.contains(&format!("cluster_known_nodes:{all}\r"))).await?;
        for (master, replica) in self.masters.iter().zip(&self.replicas) {
            let id: String = asked(master, redis::cmd("CLUSTER").arg("MYID")).await?;
            order(replica, redis::cmd("CLUSTER").arg("REPLICATE").arg(id)).await?;
        }
        let complete = format!("cluster_slots_assigned:{SLOTS}\r");
        self.until(|info| info.contains("cluster_state:ok\r") && info.contains(&complete)).await?;
        self.until_replicas_are_known().await
    }

    /// Waits until what every node says of the cluster suits.
    async fn until(&self, suits: impl Fn(&str) -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        for node in self.nodes() {
            while !suits(&asked::<String>(node, redis::cmd("CLUSTER").arg("INFO")).await?) {
                late(deadline)?;
                sleep(GLANCE).await;
            }
        }
        Ok(())
    }

    /// A replica can take its master's place once it has the data and the masters, who elect it, have heard of it.
    async fn until_replicas_are_known(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        for replica in &self.replicas {
            while !asked::<String>(replica, redis::cmd("INFO").arg("replication"))
                .await?
                .contains("master_link_status:up")
            {
                late(deadline)?;
                sleep(GLANCE).await;
            }
        }
        for node in self.nodes() {
            let known = async || {
                let nodes: String = asked(node, redis::cmd("CLUSTER").arg("NODES")).await?;
                Ok(nodes.lines().filter(|line| line.contains("slave")).count() == self.replicas.len())
            };
            while !known().await? {
                late(deadline)?;
                sleep(GLANCE).await;
            }
        }
        Ok(())
    }
}

async fn node(password: &str, settings: &[(&str, &str)]) -> Result<Server, Error> {
    let mut attempts = 0;
    loop {
        let bus = port::free()?.to_string();
        let mut all = vec![
            ("requirepass", password),
            ("masterauth", password),
            ("cluster-enabled", "yes"),
            ("cluster-port", &bus),
            // A node that is silent for this long is taken for dead.
            ("cluster-node-timeout", "1000"),
            ("cluster-require-full-coverage", "no"),
            ("cluster-replica-validity-factor", "0"),
            ("repl-diskless-sync-delay", "0"),
        ];
        all.extend(settings);
        match Redis::start_with(&all).await {
            // Of the two ports it may be the one of the bus.
            Err(Error::PortTaken { .. }) if attempts < 5 => attempts += 1,
            outcome => return outcome,
        }
    }
}

async fn order(node: &Server, command: &redis::Cmd) -> Result<(), Error> {
    asked::<redis::Value>(node, command).await.map(drop)
}

async fn asked<T: FromRedisValue>(node: &Server, command: &redis::Cmd) -> Result<T, Error> {
    ask(node.url(), command).await.map_err(Error::redis("making a cluster"))
}

fn late(deadline: Instant) -> Result<(), Error> {
    if Instant::now() < deadline {
        return Ok(());
    }
    let late = (redis::ErrorKind::Client, "the nodes did not agree in a minute").into();
    Err(Error::redis("making a cluster")(late))
}
