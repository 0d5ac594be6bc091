use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::try_join_all;
use redis::Value;
use tokio::sync::{Notify, watch};

use super::key::KeyRef;
use super::script;
use super::target::{Message, Target};
use crate::config::RedisTopology;
use crate::redis::{CircuitState, Redis, RedisError, RedisErrorKind};

/// Invalidations that Redis could not be told, at most; with more, everything is.
const OWED: usize = 10_000;
/// Targets that are announced in one message.
const ANNOUNCED: usize = 500;
/// How long a load waits for the proof that Redis may be used.
const PATIENCE: Duration = Duration::from_millis(250);

/// The second level: what Redis keeps for all instances, and what it must not be asked.
#[derive(Debug)]
pub(super) struct Level2 {
    pub(super) redis: Redis,
    prefix: String,
    /// Which instance announces an invalidation.
    pub(super) origin: u64,
    /// The connection over which it was last proved that Redis has lost nothing; over any other it is not read. 0: none.
    proven: watch::Sender<u64>,
    /// The servers of the last proof; empty before the first.
    servers: Mutex<String>,
    /// Invalidations that it is still to be told, each with a number that is new whenever it is owed again; until then it
    /// is not read.
    owed: Mutex<HashMap<Target, u64>>,
    /// Asks for a proof now.
    pub(super) wanted: Notify,
    /// The subscription has begun.
    pub(super) listening: Notify,
    /// The last attempt at a proof failed, and loads do not wait for the next one.
    pub(super) failing: AtomicBool,
}

/// A connection to which what is read and written belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session(u64);

/// The keys of an entry: its value, its generation, and who loads it. They are in one slot.
#[derive(Debug)]
pub(super) struct Keys([String; 3]);

/// What Redis says to a load that begins.
#[derive(Debug)]
pub(super) struct Begun {
    /// The value that is there; a stale one too.
    pub(super) value: Option<Vec<u8>>,
    /// How much longer it stays there.
    pub(super) left: Duration,
    /// What the load is stored under; `None` if the value is fresh, or if nothing can be stored.
    pub(super) generation: Option<Vec<u8>>,
    /// Whether nobody else is loading it.
    pub(super) first: bool,
}

/// A load that asks Redis.
#[derive(Debug)]
pub(super) struct Asking<'a> {
    pub(super) keys: &'a Keys,
    pub(super) token: &'a [u8],
    /// How long the load may take.
    pub(super) longest_load: Duration,
    pub(super) mark_for: Duration,
    /// A value that lives no longer than this is loaded anew.
    pub(super) refresh_below: Duration,
    /// The beginning of a value that is of no use.
    pub(super) rejected: &'a [u8],
}

impl Level2 {
    pub(super) fn new(redis: Redis, prefix: &str) -> Self {
        Self {
            redis,
            prefix: prefix.to_owned(),
            origin: fastrand::u64(..),
            proven: watch::Sender::new(0),
            servers: Mutex::default(),
            owed: Mutex::default(),
            wanted: Notify::new(),
            listening: Notify::new(),
            failing: AtomicBool::new(false),
        }
    }

    /// The session in which Redis may be read and written; `None` if it may not be now. Waits a moment for the proof over a
    /// new connection.
    pub(super) async fn session(&self) -> Option<Session> {
        if let Some(session) = self.current() {
            return Some(session);
        }
        if self.redis.circuit() != CircuitState::Closed || self.failing.load(Ordering::Relaxed) {
            return None;
        }
        let mut proven = self.proven.subscribe();
        self.wanted.notify_one();
        let proof = async {
            while self.current().is_none() {
                if proven.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(PATIENCE, proof).await;
        self.current()
    }

    fn current(&self) -> Option<Session> {
        let connection = self.redis.connection();
        let usable = connection != 0 && *self.proven.borrow() == connection && self.owed().is_empty();
        usable.then_some(Session(connection))
    }

    pub(super) fn is_usable(&self) -> bool {
        self.current().is_some()
    }

    /// Whether what was asked in a session was answered in it.
    pub(super) fn is_still(&self, session: Session) -> bool {
        self.current() == Some(session)
    }

    pub(super) fn is_proven(&self, connection: u64) -> bool {
        *self.proven.borrow() == connection
    }

    pub(super) fn prove(&self, connection: u64) {
        self.proven.send_if_modified(|proven| {
            let news = *proven != connection;
            *proven = connection;
            news
        });
    }

    pub(super) fn keys(&self, namespace: &str, key: KeyRef<'_>) -> Keys {
        Keys(["v", "g", "l"].map(|part| format!("{}:{{{namespace}:{}}}:{part}", self.prefix, key.key)))
    }

    /// The first of them alone.
    pub(super) fn value_key(&self, namespace: &str, key: KeyRef<'_>) -> String {
        [&self.prefix, ":{", namespace, ":", key.key, "}:v"].concat()
    }

    /// A key of what all instances share: they are in one slot.
    pub(super) fn shared(&self, part: &str) -> String {
        format!("{}:{{backplane}}:{part}", self.prefix)
    }

    /// Where announcements are made. A server's channels are those of all its databases together.
    pub(super) fn channel(&self) -> String {
        match self.redis.url().database() {
            0 => format!("{}:backplane", self.prefix),
            database => format!("{}:backplane:{database}", self.prefix),
        }
    }

    fn tag(&self, name: &str) -> String {
        if name == "root" { self.shared(name) } else { format!("{}:{{{name}}}", self.prefix) }
    }

    pub(super) async fn begin(&self, asking: &Asking<'_>) -> Result<Begun, RedisError> {
        let [value, generation, loader] = &asking.keys.0;
        let arguments = [
            number(fastrand::u64(1..1 << 63)),
            millis(asking.longest_load),
            millis(asking.refresh_below),
            asking.rejected.to_vec(),
            asking.token.to_vec(),
            millis(asking.mark_for),
        ];
        let arguments = arguments.each_ref().map(Vec::as_slice);
        let keys = [value.as_str(), generation, loader];
        let (value, left, generation, first): (Vec<u8>, i64, Vec<u8>, i64) =
            self.redis.run(&script::BEGIN, &keys, &arguments).boxed().await?;
        Ok(Begun {
            value: (!value.is_empty()).then_some(value),
            left: Duration::from_millis(u64::try_from(left).unwrap_or(0)),
            generation: (!generation.is_empty()).then_some(generation),
            first: first != 0,
        })
    }

    /// What is there, without beginning anything. The time that it stays may be that of what was there just before: what
    /// the value says of its own life is the most that counts.
    pub(super) async fn peek(&self, value_key: &str) -> Result<Option<(Vec<u8>, Duration)>, RedisError> {
        match self.redis.get_with_life("cache.peek", value_key).boxed().await {
            // Something else is in the way; the next load deletes it.
            Err(error) if error.kind() == RedisErrorKind::WrongType => Ok(None),
            found => found,
        }
    }

    /// Stores what was loaded under a generation; `false` if that is over.
    pub(super) async fn store(
        &self,
        keys: &Keys,
        generation: &[u8],
        value: &[u8],
        ttl: Duration,
        token: &[u8],
    ) -> Result<bool, RedisError> {
        let keys = keys.0.each_ref().map(String::as_str);
        self.redis.run(&script::STORE, &keys, &[generation, value, &millis(ttl), token]).boxed().await
    }

    /// Lets others load what this load did not.
    pub(super) async fn give_up(&self, keys: &Keys, token: &[u8]) -> Result<(), RedisError> {
        self.redis.run::<i64>(&script::GIVE_UP, &[keys.0[2].as_str()], &[token]).boxed().await.map(drop)
    }

    /// The generation of a tag, made if there is none. It is kept for at least `ttl`.
    pub(super) async fn generation(&self, tag: &str, ttl: Duration) -> Result<u64, RedisError> {
        let (tag, candidate) = (self.tag(tag), number(fastrand::u64(1..1 << 63)));
        let generation: String = self.redis.run(&script::TAG, &[&tag], &[&candidate, &millis(ttl)]).boxed().await?;
        // Anything else there is not ours; then it is one that nothing else has.
        Ok(generation
            .parse()
            .ok()
            .filter(|generation| (1..1 << 63).contains(generation))
            .unwrap_or_else(|| fastrand::u64(1..1 << 63)))
    }

    /// Makes Redis forget what is invalid, and tells the other instances, in this order: who hears it finds Redis clean.
    pub(super) async fn tell(&self, targets: &[Target]) -> Result<(), RedisError> {
        for targets in targets.chunks(ANNOUNCED) {
            try_join_all(targets.iter().map(|target| self.delete(target))).await?;
            let message = Message { origin: self.origin, targets: targets.into() }.written();
            let (channel, base) = (self.channel(), number(random_base()));
            let arguments = [base.as_slice(), channel.as_bytes(), message.as_bytes()];
            self.redis.run::<String>(&script::ANNOUNCE, &[&self.shared("seq")], &arguments).boxed().await?;
        }
        Ok(())
    }

    async fn delete(&self, target: &Target) -> Result<(), RedisError> {
        let mut cmd = redis::cmd("DEL");
        match target {
            Target::Key { namespace, key } => {
                let keys = self.keys(namespace, KeyRef { namespace: 0, key });
                cmd.arg(&keys.0);
            }
            Target::Tag(tag) => {
                cmd.arg(self.tag(&format!("t:{tag}")));
            }
            Target::Namespace(namespace) => {
                cmd.arg(self.tag(&format!("n:{namespace}")));
            }
            Target::All => {
                cmd.arg(self.tag("root"));
            }
        }
        self.redis.query::<i64>("DEL", &cmd).boxed().await.map(drop)
    }

    /// The number of the last announcement; made if there is none.
    pub(super) async fn sequence(&self) -> Result<Option<u64>, RedisError> {
        let base = number(random_base());
        let answer: String = self.redis.run(&script::SEQUENCE, &[&self.shared("seq")], &[&base]).boxed().await?;
        Ok(answer.parse().ok().filter(|sequence| *sequence > 0))
    }

    /// Compares the servers with those of the last proof of any instance; if they are others, all that is kept counts no
    /// more, and all are told.
    pub(super) async fn identify(&self, servers: &str) -> Result<bool, RedisError> {
        let keys = ["server", "root", "seq"].map(|part| self.shared(part));
        let message = Message { origin: self.origin, targets: vec![Target::All] }.written();
        let (channel, base) = (self.channel(), number(random_base()));
        let arguments = [servers.as_bytes(), &base, channel.as_bytes(), message.as_bytes()];
        self.redis.run(&script::IDENTIFY, &keys.each_ref().map(String::as_str), &arguments).boxed().await
    }

    /// Which runs of servers it is made of, as they say themselves: each start gives a new one.
    pub(super) async fn servers(&self) -> Result<String, RedisError> {
        let info: Value = self.redis.query("INFO", redis::cmd("INFO").arg("server")).boxed().await?;
        let mut runs = Vec::new();
        collect_runs(&info, &mut runs);
        runs.sort_unstable();
        runs.dedup();
        Ok(runs.join(" "))
    }

    /// Whether other servers were there at this instance's last proof.
    pub(super) fn knew_others(&self, servers: &str) -> bool {
        let known = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        !known.is_empty() && *known != servers
    }

    pub(super) fn know(&self, servers: String) {
        *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }

    /// A cluster's connection stays while its nodes come and go.
    pub(super) fn is_cluster(&self) -> bool {
        *self.redis.url().topology() == RedisTopology::Cluster
    }

    /// Redis is to be told of these before it is read again.
    pub(super) fn owe(&self, targets: Vec<Target>) {
        let mut owed = self.owed();
        owed.extend(targets.into_iter().map(|target| (target, fastrand::u64(..))));
        if owed.len() > OWED || owed.contains_key(&Target::All) {
            *owed = HashMap::from([(Target::All, fastrand::u64(..))]);
        }
        drop(owed);
        self.wanted.notify_one();
    }

    /// Tells Redis what it is owed; whether that was everything.
    pub(super) async fn settle(&self) -> Result<bool, RedisError> {
        let mut everything = false;
        loop {
            let (targets, numbers): (Vec<_>, Vec<_>) = self.owed().iter().map(|(of, no)| (of.clone(), *no)).unzip();
            if targets.is_empty() {
                return Ok(everything);
            }
            self.tell(&targets).await?;
            everything |= targets.contains(&Target::All);
            let mut owed = self.owed();
            for (target, number) in targets.iter().zip(numbers) {
                // One that was owed again meanwhile is told again.
                if owed.get(target) == Some(&number) {
                    owed.remove(target);
                }
            }
        }
    }

    pub(super) fn owes(&self) -> bool {
        !self.owed().is_empty()
    }

    fn owed(&self) -> MutexGuard<'_, HashMap<Target, u64>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answers of a cluster's nodes come as a map or a list.
fn collect_runs(info: &Value, runs: &mut Vec<String>) {
    let mut read = |text: &str| {
        let lines = text.lines().filter_map(|line| line.strip_prefix("run_id:"));
        runs.extend(lines.map(|run| run.trim().to_owned()));
    };
    match info {
        Value::BulkString(text) => read(&String::from_utf8_lossy(text)),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => read(text),
        Value::Array(parts) | Value::Set(parts) => parts.iter().for_each(|part| collect_runs(part, runs)),
        Value::Map(parts) => parts.iter().for_each(|(_, part)| collect_runs(part, runs)),
        _ => {}
    }
}

/// Where the numbers of announcements begin when Redis has lost them: nowhere that they have been. They have fifteen digits
/// at most: Lua counts in doubles.
fn random_base() -> u64 {
    fastrand::u64(1 << 40..1 << 49)
}

fn number(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn millis(time: Duration) -> Vec<u8> {
    number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX >> 12))
}
