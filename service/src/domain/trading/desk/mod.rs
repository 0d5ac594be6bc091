//! The desk: keeps this instance's share of the symbols held, or on a standby those of instances that have died.
//!
//! It runs beside a trading service, asks the database alone, and tells the service what it holds: [`Desk::symbols`] and
//! [`Desk::holding`]. `serve` runs it where symbols are configured; a service of one's own does so from its `main`. Who
//! trades takes an order's fence from what is [`Held`], and the database refuses what comes late.
//!
//! An active instance that lives serves its share. A standby takes the symbols of one that has died, within
//! `trading.lease`, and gives them back when the instance lives again. One that ends gives up what it holds, and a standby
//! has it at its next look. No clock that can be set decides anything here: a holder counts its own lease from before the
//! request that renewed it, and others take a symbol when they have seen its lease unrenewed for the lease's length.

mod held;
mod observed;
mod rounds;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, watch};

pub use held::Held;
use rounds::Rounds;

use crate::Error;
use crate::clock::Clock;
use crate::config;
use crate::db::Db;
use crate::entity::trading::symbol_assignment::Model as SymbolAssignment;

/// How long a run that is to end waits for what is under way, and then for giving back.
const LAST: Duration = Duration::from_secs(5);

/// What is held, by symbol.
pub type Symbols = BTreeMap<String, Held>;

/// The running part of the assignment of symbols: see the module. Clones are the same desk.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), stanchion::Error> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let url = format!("sqlite://{}/s.db", folder.path().display()).parse().unwrap();
/// # let mut config = stanchion::config::Config::new(stanchion::config::Database::new(url));
/// # stanchion::App::migrate(&config).await?;
/// use stanchion::domain::trading::NewOrder;
///
/// config.trading.symbols = vec!["ETHUSDT".to_owned()];
/// let app = stanchion::App::start(config).await?;
/// let desk = app.trading_desk();
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let running = tokio::spawn({
///     let desk = desk.clone();
///     async move { desk.run(async { drop(stopped.await) }).await }
/// });
///
/// let mut symbols = desk.symbols();
/// let held = symbols.wait_for(|symbols| !symbols.is_empty()).await.unwrap()["ETHUSDT"].clone();
/// let order = NewOrder {
///     client_order_id: "grid-1850-1".parse()?,
///     price: Some("1850".parse()?),
///     quantity: "0.5".parse()?,
///     ..NewOrder::default()
/// };
/// // Refused, should another instance have taken the symbol meanwhile.
/// app.trading().place_at_level(held.order(order), "10".parse()?).await?;
///
/// stop.send(()).unwrap();
/// running.await.unwrap()?;
/// assert!(held.lost().is_cancelled() && desk.holding("ETHUSDT").is_none());
/// # app.close().await; Ok(()) }
/// ```
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    db: Db,
    clock: Arc<dyn Clock>,
    trading: config::Trading,
    instance: config::Instance,
    address: String,
    held: watch::Sender<Symbols>,
    running: Mutex<()>,
}

impl Desk {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>, config: &config::Config) -> Self {
        let (held, _) = watch::channel(Symbols::new());
        let inner = Inner {
            db,
            clock,
            trading: config.trading.clone(),
            instance: config.instance.clone(),
            address: config.http.addr.to_string(),
            held,
            running: Mutex::new(()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// What is held, and every change of it.
    pub fn symbols(&self) -> watch::Receiver<Symbols> {
        self.inner.held.subscribe()
    }

    /// The symbol, if it is held, and provably so, now. No round trip.
    pub fn holding(&self, symbol: &str) -> Option<Held> {
        self.inner.held.borrow().get(symbol).filter(|held| held.is_held()).cloned()
    }

    /// Keeps symbols held until `shutdown` is ready, then gives them back, so that others have them at once. A database that
    /// fails is logged and asked again; what is not proved meanwhile is lost. One call runs at a time, another waits for it.
    ///
    /// It ends within seconds, also when the database hangs: what it could not give back then, others have when the leases
    /// are over.
    ///
    /// It looks every tenth of `trading.lease`, in one to two round trips, and renews every fifth, in three.
    ///
    /// # Errors
    /// [`Error::Value`] and [`Error::Invalid`] for a configuration of trading that makes no sense: one that was made in code.
    ///
    /// # Cancellation
    /// Everything counts as lost at once here; the others take it when the leases are over.
    pub async fn run(&self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let mut rounds = Rounds::new(self)?;
        let mut shutdown = pin!(shutdown);
        let _only = tokio::select! {
            () = &mut shutdown => return Ok(()),
            only = self.inner.running.lock() => only,
        };
        let _emptied = Emptied(self);
        let work = async {
            loop {
                let next = {
                    let mut round = pin!(rounds.round());
                    tokio::select! {
                        biased;
                        next = &mut round => next,
                        () = &mut shutdown => {
                            // One that is under way is soon over, unless the database hangs.
                            let _ = tokio::time::timeout(LAST, round).await;
                            return;
                        }
                    }
                };
                tokio::select! {
                    biased;
                    () = &mut shutdown => return,
                    () = tokio::time::sleep_until(next.into()) => {}
                }
            }
        };
        tokio::select! {
            () = work => {}
            never = self.expire() => match never {},
        }
        // What it cannot give back in this time is over by itself.
        let _ = tokio::time::timeout(self.lease().min(LAST), rounds.give_back()).await;
        Ok(())
    }

    /// Drops every symbol at its deadline: nothing else runs between here and there, so that a database that hangs delays
    /// it by nothing.
    async fn expire(&self) -> Infallible {
        let mut held = self.symbols();
        loop {
            let next = held.borrow_and_update().values().map(Held::deadline).min();
            let due = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender lives as long as the desk.
                _ = held.changed() => {}
                () = due => {
                    let now = Instant::now();
                    self.lose(Ended::Unproved, |held| held.deadline() <= now);
                }
            }
        }
    }

    /// Takes up what was taken.
    fn hold(&self, rows: &[SymbolAssignment], deadline: Instant) {
        if rows.is_empty() {
            return;
        }
        for row in rows {
            let (symbol, fence) = (row.symbol.as_str(), row.fence);
            tracing::info!(symbol, fence, "holds the symbol");
            metrics::counter!("trading.symbols.changes", "change" => "taken").increment(1);
        }
        self.inner.held.send_modify(|held| {
            held.extend(rows.iter().map(|row| (row.symbol.to_string(), Held::new(row, deadline))));
        });
        self.count();
    }

    /// Gives up what `which` says, and tells it.
    fn lose(&self, ended: Ended, which: impl Fn(&Held) -> bool) -> Vec<Held> {
        let mut lost = Vec::new();
        self.inner.held.send_if_modified(|held| {
            held.retain(|_, holding| {
                let stays = !which(holding);
                if !stays {
                    holding.lose();
                    lost.push(holding.clone());
                }
                stays
            });
            !lost.is_empty()
        });
        for held in &lost {
            let (symbol, fence, how) = (held.symbol().as_str(), held.fence(), ended.word());
            tracing::info!(symbol, fence, how, "holds the symbol no longer");
            metrics::counter!("trading.symbols.changes", "change" => how).increment(1);
        }
        if !lost.is_empty() {
            self.count();
        }
        lost
    }

    fn count(&self) {
        let count = u32::try_from(self.inner.held.borrow().len()).unwrap_or(u32::MAX);
        metrics::gauge!("trading.symbols.held").set(f64::from(count));
    }

    /// How long the leases are that it takes: so much shorter than what is configured that a standby which looks and is
    /// looked at by the clock is still in time.
    fn lease(&self) -> Duration {
        self.inner.trading.lease.mul_f64(0.75)
    }

    /// The pause between looks.
    fn pause(&self) -> Duration {
        self.inner.trading.lease / 10
    }
}

/// How a holding ended.
#[derive(Clone, Copy, Debug)]
enum Ended {
    /// Somebody else has taken the symbol.
    TakenOver,
    /// It could not be renewed in time.
    Unproved,
    /// It was given back.
    GivenBack,
}

impl Ended {
    const fn word(self) -> &'static str {
        match self {
            Self::TakenOver => "taken_over",
            Self::Unproved => "unproved",
            Self::GivenBack => "given_back",
        }
    }
}

/// Whatever way a run ends, nothing is held after it.
struct Emptied<'a>(&'a Desk);

impl Drop for Emptied<'_> {
    fn drop(&mut self) {
        self.0.lose(Ended::Unproved, |_| true);
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("held", &*self.inner.held.borrow()).finish_non_exhaustive()
    }
}
