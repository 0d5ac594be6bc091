use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, Pipeline, Value};
use tokio::time::sleep;

use super::circuit::CircuitState;
use super::connection::Connection;
use super::error::RedisError;
use super::link::Link;
use super::memory::Memory;
use super::meter::Outcome;
use super::script::Script;
use super::slots;
use super::subscription::Subscription;
use crate::config::RedisUrl;

/// How often the memory of the servers is looked at.
const SAMPLES: Duration = Duration::from_secs(15);

/// How long Redis may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// For a connection, authentication included. Default 5 seconds.
    pub connect_timeout: Duration,
    /// For a command, from its sending to its answer. Default 3 seconds.
    pub command_timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), command_timeout: Duration::from_secs(3) }
    }
}

/// A handle to Redis: one server, the master that sentinels name, or a cluster.
///
/// It is cheap to clone; clones share the connection, over which any number of commands are on their way at once. Each
/// command is one round trip.
///
/// A single server that fails opens the circuit for every key. In a cluster a shard that fails takes its own keys out of
/// use and no others; the circuit opens when no node answers.
///
/// # Errors
/// Every call fails with a [`RedisError`]: at once while the circuit is open (in a cluster, for the keys of a shard that
/// is down), else after the timeouts at the latest. A call that failed with [`RedisError::is_in_doubt`] may have taken
/// effect. It is not sent again, except that a cluster's connection sends a command anew when it loses the node in the
/// middle of it: let commands to a cluster be such that twice is as good as once.
///
/// # Cancellation
/// Dropping the future of a call leaves the connection usable; what was sent may take effect.
#[derive(Clone)]
pub struct Redis {
    connection: Arc<Connection>,
}

impl Redis {
    /// A handle, which connects when it is first used.
    #[must_use]
    pub fn new(url: RedisUrl, options: Options) -> Self {
        Self { connection: Arc::new(Connection::new(url, options)) }
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &RedisUrl {
        &self.connection.url
    }

    /// How long it may take.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.connection.options
    }

    /// Whether it is asked at all now.
    #[must_use]
    pub fn circuit(&self) -> CircuitState {
        self.connection.circuit.state()
    }

    /// Which connection it is on, counted from 1; 0 while there is none. A new one may have met a server that has forgotten
    /// what the last one was told: it was restarted, or another one has taken its place. A cluster's connection stays the
    /// same while its nodes come and go, unless one of them falls silent over it.
    #[must_use]
    pub fn connection(&self) -> u64 {
        self.connection.number()
    }

    /// Sees whether it answers; a cluster does when all its masters do.
    ///
    /// # Errors
    /// As every call.
    pub async fn ping(&self) -> Result<(), RedisError> {
        self.query::<String>("PING", &redis::cmd("PING")).await.map(drop)
    }

    /// The value of a key; `None` where there is none.
    ///
    /// # Errors
    /// As every call.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, RedisError> {
        let found = |value: &Option<Vec<u8>>| if value.is_some() { Outcome::Hit } else { Outcome::Miss };
        let mut cmd = Cmd::with_capacity(2, key.len() + 3);
        cmd.arg("GET").arg(key);
        self.connection.call("GET", self.slot(&cmd), found, async |link| cmd.query_async(link).await).await
    }

    /// The value of a key and how much longer it lives: two plain commands in one round trip, which cost the server half of
    /// what a script does. The time is asked for first, and is not of this value if another one was there at that moment;
    /// it is 0 if none was, or one that lives for good. `name` is what metrics call it.
    ///
    /// # Errors
    /// As every call.
    pub(crate) async fn get_with_life(
        &self,
        name: &'static str,
        key: &str,
    ) -> Result<Option<(Vec<u8>, Duration)>, RedisError> {
        let found = |value: &Option<_>| if value.is_some() { Outcome::Hit } else { Outcome::Miss };
        let command = |name: &str| {
            let mut cmd = Cmd::with_capacity(2, key.len() + name.len());
            cmd.arg(name).arg(key);
            cmd
        };
        let mut both = Pipeline::with_capacity(2);
        both.add_command(command("PTTL")).add_command(command("GET"));
        let slot = self.connection.is_cluster().then(|| slots::of_key(key.as_bytes()));
        let work = async |link: &mut Link| {
            // As they come: of a pipeline's own errors nobody can say what they are.
            let mut answers = link.req_packed_commands(&both, 0, 2).await?.into_iter().map(Value::extract_error);
            let left = answers.next().transpose()?.and_then(|left| i64::from_redis_value(left).ok()).unwrap_or(0);
            let value = answers.next().transpose()?.map(Option::<Vec<u8>>::from_redis_value).transpose()?.flatten();
            Ok(value.map(|value| (value, Duration::from_millis(u64::try_from(left).unwrap_or(0)))))
        };
        self.connection.call(name, slot, found, work).await
    }

    /// Sets a key, for a time (at least a millisecond) or for good.
    ///
    /// # Errors
    /// As every call.
    pub async fn set(&self, key: &str, value: &[u8], ttl: Option<Duration>) -> Result<(), RedisError> {
        let mut cmd = set(key, value);
        if let Some(ttl) = ttl {
            cmd.arg("PX").arg(millis(ttl));
        }
        self.query("SET", &cmd).await
    }

    /// Sets a key that does not exist, for a time; whether it did.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_if_absent(&self, key: &str, value: &[u8], ttl: Duration) -> Result<bool, RedisError> {
        let mut cmd = set(key, value);
        cmd.arg("NX").arg("PX").arg(millis(ttl));
        Ok(self.query::<Option<String>>("SET", &cmd).await?.is_some())
    }

    /// Deletes a key; whether there was one.
    ///
    /// # Errors
    /// As every call.
    pub async fn delete(&self, key: &str) -> Result<bool, RedisError> {
        self.query("DEL", redis::cmd("DEL").arg(key)).await
    }

    /// Whether there is such a key.
    ///
    /// # Errors
    /// As every call.
    pub async fn exists(&self, key: &str) -> Result<bool, RedisError> {
        self.query("EXISTS", redis::cmd("EXISTS").arg(key)).await
    }

    /// Sends a message to a channel's subscribers; how many got it, which a cluster knows of one node only.
    ///
    /// # Errors
    /// As every call.
    pub async fn publish(&self, channel: &str, message: &[u8]) -> Result<u64, RedisError> {
        self.query("PUBLISH", redis::cmd("PUBLISH").arg(channel).arg(message)).await
    }

    /// Runs a script on keys, with arguments. One round trip; two where the server does not know the script yet.
    ///
    /// # Errors
    /// As every call.
    pub async fn run<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
    ) -> Result<T, RedisError> {
        let slot = keys.first().filter(|_| self.connection.is_cluster()).map(|key| slots::of_key(key.as_bytes()));
        let work = async |link: &mut _| match script.by_digest(keys, arguments).query_async(link).await {
            // It did nothing. Sent whole, and not loaded first: in a cluster that would ask every node.
            Err(error) if error.kind() == redis::ErrorKind::Server(redis::ServerErrorKind::NoScript) => {
                script.whole(keys, arguments).query_async(link).await
            }
            outcome => outcome,
        };
        self.connection.call(script.name(), slot, ok, work).await
    }

    /// Listens to channels, on a connection of its own that comes back when it is lost; every loss is told.
    #[must_use]
    pub fn subscribe(&self, channels: Vec<String>) -> Subscription {
        Subscription::start(self.connection.url.clone(), self.connection.options, channels)
    }

    /// What the memory of every server holds, which is recorded as `redis.memory.used` too; that is done by itself every
    /// 15 seconds once there was a connection. A round trip to each node.
    ///
    /// # Errors
    /// As every call; a cluster gives no sample while one of its nodes is down.
    pub async fn sample(&self) -> Result<Vec<Memory>, RedisError> {
        let answer: Value = self.query("INFO", redis::cmd("INFO").arg("memory")).await?;
        let nodes = Memory::read(answer, self.connection.meter.address());
        self.connection.meter.memory(&nodes);
        Ok(nodes)
    }

    /// Any command. One round trip.
    ///
    /// # Errors
    /// As every call.
    pub(crate) async fn query<T: FromRedisValue>(&self, name: &'static str, cmd: &Cmd) -> Result<T, RedisError> {
        self.connection.call(name, self.slot(cmd), ok, async |link| cmd.query_async(link).await).await
    }

    /// Where in a cluster a command goes.
    fn slot(&self, cmd: &Cmd) -> Option<u16> {
        if self.connection.is_cluster() { slots::of_command(cmd) } else { None }
    }
}

fn ok<T>(_: &T) -> Outcome {
    Outcome::Ok
}

fn set(key: &str, value: &[u8]) -> Cmd {
    let mut cmd = Cmd::with_capacity(6, key.len() + value.len() + 32);
    cmd.arg("SET").arg(key).arg(value);
    cmd
}

/// Samples the memory, until the last handle is gone.
pub(super) async fn sample(connection: Weak<Connection>) {
    loop {
        sleep(SAMPLES).await;
        let Some(connection) = connection.upgrade() else { return };
        if let Err(error) = (Redis { connection }).sample().await {
            tracing::debug!(%error, "the memory of Redis could not be looked at");
        }
    }
}

/// As Redis takes it: whole ones, never fewer than asked for; at least one, which is its shortest, and at most what it can
/// add to its clock.
fn millis(ttl: Duration) -> u64 {
    const CENTURIES: u64 = 10_000_000_000_000;
    u64::try_from(ttl.as_nanos().div_ceil(1_000_000)).unwrap_or(CENTURIES).clamp(1, CENTURIES)
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("server", &self.connection.server).field("circuit", &self.circuit()).finish()
    }
}
