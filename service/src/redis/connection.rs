use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use redis::Value;
use redis::cluster_routing::{MultipleNodeRoutingInfo, ResponsePolicy, RoutingInfo};
use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::circuit::{Circuit, CircuitState};
use super::client::{Options, sample};
use super::error::{RedisError, RedisErrorKind};
use super::link::Link;
use super::meter::{Meter, Outcome};
use super::slots::{Shard, Slots};
use crate::config::{RedisTopology, RedisUrl};

/// The pauses between probes while the circuit is open: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How often a cluster is connected to anew while a shard of it does not answer, where it says what it said the last time.
const ANEW: Duration = Duration::from_secs(5);

/// The one connection that the clones of a handle share, and what is known of the servers behind it.
///
/// A failure of a single server opens the circuit for everything. In a cluster it takes the slots of the failing shard out
/// of use, for as long as a probe of that shard fails; the circuit opens when no node answers at all.
pub(super) struct Connection {
    pub(super) url: RedisUrl,
    pub(super) options: Options,
    pub(super) circuit: Circuit,
    pub(super) meter: Meter,
    /// Its URL without the password.
    pub(super) server: Arc<str>,
    /// What opened the circuit.
    cause: StdMutex<Option<RedisErrorKind>>,
    slots: Slots,
    /// What probes while the circuit is open.
    probing: Task,
    /// Whether somebody watches the slots that are down, and who.
    watched: AtomicBool,
    watching: Task,
    /// What looks at the memory now and then.
    sampling: Task,
    link: StdMutex<Option<(u64, Link)>>,
    connecting: Mutex<u64>,
}

/// A task in the background, on the runtime that was there when it was needed.
#[derive(Default)]
struct Task(StdMutex<Option<AbortHandle>>);

impl Task {
    fn lock(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is none, or its runtime has ended it.
fn is_over(task: &Option<AbortHandle>) -> bool {
    task.as_ref().is_none_or(AbortHandle::is_finished)
}

impl Connection {
    pub(super) fn new(url: RedisUrl, options: Options) -> Self {
        let addresses: Vec<String> = url.addresses().map(|(host, port)| format!("{host}:{port}")).collect();
        let meter = Meter::new(if addresses.is_empty() { "socket".to_owned() } else { addresses.join(",") }.as_str());
        Self {
            server: url.to_string().into(),
            url,
            options,
            circuit: Circuit::default(),
            meter,
            cause: StdMutex::default(),
            slots: Slots::default(),
            probing: Task::default(),
            watched: AtomicBool::new(false),
            watching: Task::default(),
            sampling: Task::default(),
            link: StdMutex::default(),
            connecting: Mutex::default(),
        }
    }

    pub(super) fn is_cluster(&self) -> bool {
        *self.url.topology() == RedisTopology::Cluster
    }

    /// Which connection it is on; 0 while there is none.
    pub(super) fn number(&self) -> u64 {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |(number, _)| *number)
    }

    /// Does one piece of work, in a cluster on the shard of `slot`, and records how long it took.
    pub(super) async fn call<T>(
        self: &Arc<Self>,
        operation: &'static str,
        slot: Option<u16>,
        outcome: fn(&T) -> Outcome,
        work: impl AsyncFnOnce(&mut Link) -> redis::RedisResult<T>,
    ) -> Result<T, RedisError> {
        let began = Instant::now();
        let result = self.attempt(slot, work).await;
        let outcome = result.as_ref().map_or_else(|error| Outcome::Error(error.kind()), outcome);
        self.meter.took(operation, outcome, began.elapsed());
        result
    }

    async fn attempt<T>(
        self: &Arc<Self>,
        slot: Option<u16>,
        work: impl AsyncFnOnce(&mut Link) -> redis::RedisResult<T>,
    ) -> Result<T, RedisError> {
        if self.circuit.state() != CircuitState::Closed || slot.is_some_and(|slot| self.slots.is_down(slot)) {
            self.revive();
            return Err(self.refused());
        }
        let (number, mut link) = match self.held() {
            Some(held) => held,
            None => self.link().await?,
        };
        let limit = self.options.command_timeout;
        let error = match timeout(limit, work(&mut link)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => RedisError::of(error, &self.server),
            Err(_) => RedisError::late(limit, &self.server),
        };
        match error.kind() {
            RedisErrorKind::Timeout(_)
            | RedisErrorKind::Unavailable
            | RedisErrorKind::Loading
            | RedisErrorKind::ClusterDown => match link {
                // A call of an earlier connection says nothing of the present one.
                Link::Cluster(_) if self.number() == number => self.set_down(slot, error.kind(), link),
                Link::Server(_) if self.forget(number) => self.open(error.kind()),
                Link::Cluster(_) | Link::Server(_) => {}
            },
            // A master that was replaced: the next call looks for the new one. A cluster's connection looks by itself.
            RedisErrorKind::ReadOnly if matches!(link, Link::Server(_)) => drop(self.forget(number)),
            _ => {}
        }
        Err(error)
    }

    /// The connection, made if there is none; those who ask at the same time share it.
    async fn link(self: &Arc<Self>) -> Result<(u64, Link), RedisError> {
        let mut number = self.connecting.lock().await;
        if let Some(link) = self.held() {
            return Ok(link);
        }
        if self.circuit.state() != CircuitState::Closed {
            return Err(self.refused());
        }
        match self.connect().await {
            Ok(link) => {
                *number += 1;
                self.hold(*number, &link);
                Ok((*number, link))
            }
            Err(error) => {
                self.open(error.kind());
                Err(error)
            }
        }
    }

    /// Opens the circuit, and probes until it can be closed.
    fn open(self: &Arc<Self>, cause: RedisErrorKind) {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
        let mut probing = self.probing.lock();
        if self.circuit.open() {
            self.meter.circuit(CircuitState::Open);
            let (server, cause) = (&self.server, cause.name());
            tracing::warn!(%server, cause, "Redis does not answer; it is probed, and not asked until it does");
            *probing = Some(tokio::spawn(probe(Arc::downgrade(self))).abort_handle());
        }
    }

    /// Begins anew what brings the server, or its slots, back into use, if that has gone with the runtime that it ran on.
    fn revive(self: &Arc<Self>) {
        let mut probing = self.probing.lock();
        if is_over(&probing) && self.circuit.state() != CircuitState::Closed {
            *probing = Some(tokio::spawn(probe(Arc::downgrade(self))).abort_handle());
        }
        drop(probing);
        let mut watching = self.watching.lock();
        if is_over(&watching)
            && self.watched.load(Ordering::Acquire)
            && let Some((_, link)) = self.held()
        {
            *watching = Some(tokio::spawn(watch(Arc::downgrade(self), link)).abort_handle());
        }
    }

    fn turn(&self, state: CircuitState) {
        self.circuit.set(state);
        self.meter.circuit(state);
    }

    /// Takes a slot of a cluster out of use; the watch finds out which others are served by the same shard.
    fn set_down(self: &Arc<Self>, slot: Option<u16>, cause: RedisErrorKind, link: Link) {
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
        if let Some(slot) = slot {
            self.slots.set_down(slot);
        }
        let mut watching = self.watching.lock();
        if !self.watched.swap(true, Ordering::AcqRel) {
            let (server, cause) = (&self.server, cause.name());
            tracing::warn!(%server, cause, "a shard of a Redis cluster does not answer; its keys are not asked for");
            *watching = Some(tokio::spawn(watch(Arc::downgrade(self), link)).abort_handle());
        }
    }

    fn refused(&self) -> RedisError {
        let cause = *self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        RedisError::refused(cause, &self.server)
    }

    fn held(&self) -> Option<(u64, Link)> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(self: &Arc<Self>, number: u64, link: &Link) {
        let mut sampling = self.sampling.lock();
        if is_over(&sampling) {
            *sampling = Some(tokio::spawn(sample(Arc::downgrade(self))).abort_handle());
        }
        drop(sampling);
        *self.link.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, link.clone()));
        self.meter.connection(Some(number));
    }

    /// Gives up the connection; whether it was still that one.
    fn forget(&self, number: u64) -> bool {
        let mut held = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let is_held = held.as_ref().is_some_and(|(held, _)| *held == number);
        if is_held {
            *held = None;
            self.meter.connection(None);
        }
        is_held
    }

    async fn connect(&self) -> Result<Link, RedisError> {
        let limit = self.options.connect_timeout;
        let error = match timeout(limit, Link::connect(&self.url, &self.options)).await {
            Ok(Ok(link)) => return Ok(link),
            Ok(Err(error)) => RedisError::of(error, &self.server),
            Err(_) => RedisError::late(limit, &self.server),
        };
        Err(error.before_sending())
    }

    /// Connects and asks.
    async fn probe(&self) -> Result<Link, RedisError> {
        let mut link = self.connect().await?;
        if self.is_cluster() {
            self.shards(&mut link).await?;
            return Ok(link);
        }
        let ping: String = self.ask(&mut link, &redis::cmd("PING")).await?;
        drop(ping);
        Ok(link)
    }

    /// A cluster's shards, as the first node that answers knows them. All of them are asked: one that is drawn by chance may be
    /// the one that is silent, and again the next time.
    async fn shards(&self, link: &mut Link) -> Result<Vec<Shard>, RedisError> {
        let mut slots = redis::cmd("CLUSTER");
        slots.arg("SLOTS");
        if let Link::Cluster(nodes) = link {
            let everywhere = (MultipleNodeRoutingInfo::AllNodes, Some(ResponsePolicy::OneSucceeded));
            let answer = nodes.route_command(slots.clone(), RoutingInfo::MultiNode(everywhere));
            if let Ok(Ok(slots)) = timeout(self.options.command_timeout, answer).await {
                return Ok(Shard::read(slots));
            }
        }
        // It may have lost all the nodes that it knew; then this looks for them anew.
        self.ask::<Value>(link, &slots).await.map(Shard::read)
    }

    async fn ask<T: redis::FromRedisValue>(&self, link: &mut Link, cmd: &redis::Cmd) -> Result<T, RedisError> {
        let limit = self.options.command_timeout;
        match timeout(limit, cmd.query_async(link)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(RedisError::of(error, &self.server)),
            Err(_) => Err(RedisError::late(limit, &self.server)),
        }
    }

    /// Those of the shards whose slots are down.
    fn down<'a>(&self, shards: &'a [Shard]) -> Vec<&'a Shard> {
        shards.iter().filter(|shard| shard.slots().any(|slot| self.slots.is_down(slot))).collect()
    }

    async fn answers(&self, link: &mut Link, shard: &Shard) -> bool {
        let Some(key) = shard.key() else { return false };
        self.ask::<Value>(link, redis::cmd("EXISTS").arg(key)).await.is_ok()
    }

    /// The slots of a shard are used again.
    fn set_up(&self, shard: &Shard) {
        shard.slots().for_each(|slot| self.slots.set_up(slot));
        self.meter.slots_down(self.slots.down());
    }

    /// Another connection to a cluster, if shards answer over it that do not over the present one.
    async fn replace(self: &Arc<Self>, shards: &[Shard]) -> Option<Link> {
        let mut link = self.connect().await.ok()?;
        let mut answering = Vec::new();
        for shard in self.down(shards) {
            if self.answers(&mut link, shard).await {
                answering.push(shard);
            }
        }
        if answering.is_empty() {
            return None;
        }
        let mut number = self.connecting.lock().await;
        *number += 1;
        self.hold(*number, &link);
        answering.into_iter().for_each(|shard| self.set_up(shard));
        Some(link)
    }
}

/// Closes the circuit as soon as Redis answers.
async fn probe(connection: Weak<Connection>) {
    let mut pause = FIRST_PAUSE;
    loop {
        sleep(pause).await;
        let Some(connection) = connection.upgrade() else { return };
        connection.turn(CircuitState::HalfOpen);
        match connection.probe().await {
            Ok(link) => {
                let mut number = connection.connecting.lock().await;
                *number += 1;
                connection.hold(*number, &link);
                connection.turn(CircuitState::Closed);
                tracing::info!(server = %connection.server, "Redis answers again");
                return;
            }
            Err(error) => {
                *connection.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.kind());
                tracing::debug!(%error, "Redis still does not answer");
                connection.turn(CircuitState::Open);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Looks after the slots of a cluster that are down, until none is.
async fn watch(connection: Weak<Connection>, mut link: Link) {
    let (mut pause, mut tried) = (FIRST_PAUSE, None);
    loop {
        let Some(strong) = connection.upgrade() else { return };
        let shards = match strong.shards(&mut link).await {
            Ok(shards) => shards,
            Err(error) => {
                strong.slots.set_all_up();
                strong.meter.slots_down(0);
                strong.watched.store(false, Ordering::Release);
                // Whatever connection there is leads to the same nodes.
                if strong.forget(strong.number()) {
                    strong.open(error.kind());
                }
                return;
            }
        };
        for shard in strong.down(&shards) {
            shard.slots().for_each(|slot| strong.slots.set_down(slot));
        }
        strong.meter.slots_down(strong.slots.down());
        drop(strong);
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);

        let Some(strong) = connection.upgrade() else { return };
        for shard in strong.down(&shards) {
            if strong.answers(&mut link, shard).await {
                strong.set_up(shard);
            }
        }
        // The crate's connection asks a master that fell silent again and again, over the same wire and whoever has taken its
        // place; only one that is made anew goes by what the cluster says now.
        let is_due = |(told, at): &(Vec<Shard>, Instant)| *told != shards || at.elapsed() >= ANEW;
        if strong.slots.down() > 0 && tried.as_ref().is_none_or(is_due) {
            if let Some(anew) = strong.replace(&shards).await {
                link = anew;
            }
            tried = Some((shards, Instant::now()));
        }
        if strong.slots.down() == 0 {
            strong.watched.store(false, Ordering::Release);
            // One that went down in this very moment is watched by nobody yet.
            if strong.slots.down() == 0 || strong.watched.swap(true, Ordering::AcqRel) {
                tracing::info!(server = %strong.server, "every shard of the Redis cluster answers");
                return;
            }
        }
    }
}
