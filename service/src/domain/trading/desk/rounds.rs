use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::observed::{Leases, Lives, Mark};
use super::{Desk, Ended};
use crate::Error;
use crate::config::TradingRole;
use crate::domain::trading::assignment::{MOST_SYMBOLS, assign_if};
use crate::domain::trading::instance::actives;
use crate::domain::trading::{NewInstance, assignments, heartbeat, register, release, renew, share_of};
use crate::entity::trading::InstanceRole;
use crate::entity::trading::symbol_assignment::Model as SymbolAssignment;
use crate::types::{AtColumn, Text, Timestamp};

/// The work of one run of a desk, and what it remembers between rounds.
pub(super) struct Rounds<'a> {
    desk: &'a Desk,
    me: NewInstance,
    /// The symbols it may ever hold, each with the slot whose share it is.
    wanted: BTreeMap<Text<32>, u16>,
    rows: BTreeMap<Text<32>, SymbolAssignment>,
    leases: Leases,
    lives: Lives,
    /// Slots whose active instance lives.
    served: BTreeSet<i32>,
    /// The last fence that was asked for in this life: what is there under it is ours, whatever became of the answer.
    asked: HashMap<Text<32>, i64>,
    /// The last time that was written. No two are the same, so that others see each renewal.
    stamp: Timestamp,
    began: Instant,
    is_known: bool,
    /// Whether what an earlier life of the instance left was taken up.
    is_settled: bool,
    renewal: Instant,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(desk: &'a Desk) -> Result<Self, Error> {
        let inner = &*desk.inner;
        let slot = |number: u32| {
            u16::try_from(number).map_err(|_| Error::Invalid(format!("there are at most {} instances", u16::MAX)))
        };
        let role = match inner.trading.role {
            TradingRole::Active => InstanceRole::Active,
            TradingRole::Standby => InstanceRole::Standby,
        };
        let me = NewInstance {
            id: inner.instance.id.parse::<Text<64>>().and_then(Text::non_blank).at("instances.id")?,
            exchange: inner.trading.exchange.parse::<Text<32>>().and_then(Text::non_blank).at("instances.exchange")?,
            slot: slot(inner.instance.index)?,
            slots: slot(inner.instance.total)?,
            role,
            address: inner.address.parse().at("instances.address")?,
        };
        if me.slot >= me.slots {
            return Err(Error::Invalid(format!("there is no slot {} among {}", me.slot, me.slots)));
        }
        if desk.pause().is_zero() {
            return Err(Error::Invalid("trading.lease must be longer than zero".into()));
        }
        let mut wanted = BTreeMap::new();
        for slot in 0..me.slots {
            if role == InstanceRole::Active && slot != me.slot {
                continue;
            }
            let symbols = inner.trading.symbols.iter().map(String::as_str);
            for symbol in share_of(symbols, slot.into(), me.slots.into()) {
                let symbol = symbol.parse::<Text<32>>().and_then(Text::non_blank);
                wanted.insert(symbol.at("symbol_assignments.symbol")?, slot);
            }
        }
        let now = Instant::now();
        Ok(Self {
            desk,
            me,
            wanted,
            rows: BTreeMap::new(),
            leases: Leases::default(),
            lives: Lives::default(),
            served: BTreeSet::new(),
            asked: HashMap::new(),
            stamp: Timestamp::EPOCH,
            began: now,
            is_known: false,
            is_settled: false,
            renewal: now,
        })
    }

    /// Does what is due, each part by itself: one that fails is logged and done again. When the next round is due.
    pub(super) async fn round(&mut self) -> Instant {
        let began = Instant::now();
        self.forget_what_was_lost();
        if began >= self.renewal {
            self.renewal = began + self.desk.pause() * 2;
            self.beat().await;
            self.renew().await;
        }
        let over = self.look().await;
        let next = began + self.desk.pause();
        // Also at the moment at which a lease ends, unless it is renewed until then.
        over.filter(|over| *over > Instant::now()).map_or(next, |over| over.min(next))
    }

    /// What the deadline has taken meanwhile is not ours to renew: taken again, it gets another fence.
    fn forget_what_was_lost(&mut self) {
        let held = self.desk.inner.held.borrow();
        self.rows.retain(|symbol, _| held.contains_key(symbol.as_str()));
    }

    async fn beat(&mut self) {
        let (stamp, db) = (self.stamp(), self.desk.inner.db.writer());
        let beaten = if self.is_known {
            self.in_time(heartbeat(db, &self.me.id, self.me.role, stamp)).await
        } else {
            self.in_time(register(db, self.me.clone(), stamp)).await
        };
        match beaten {
            Ok(()) => self.is_known = true,
            Err(error) => {
                // Somebody may have deleted it.
                self.is_known &= !error.is_not_found();
                warn("could not say that it lives", &error);
            }
        }
    }

    async fn renew(&mut self) {
        let rows: Vec<SymbolAssignment> = self.rows.values().cloned().collect();
        for rows in rows.chunks(MOST_SYMBOLS) {
            let (stamp, lease) = (self.stamp(), self.desk.lease());
            let since = Instant::now();
            let renewed = match self.in_time(renew(self.desk.inner.db.writer(), rows, lease, stamp)).await {
                Ok(renewed) => renewed,
                Err(error) => {
                    warn("could not renew its symbols", &error);
                    continue;
                }
            };
            let still: BTreeSet<&Text<32>> = renewed.iter().map(|row| &row.symbol).collect();
            let asked: BTreeSet<&Text<32>> = rows.iter().map(|row| &row.symbol).collect();
            self.desk.lose(Ended::TakenOver, |held| asked.contains(held.symbol()) && !still.contains(held.symbol()));
            let held = self.desk.inner.held.borrow();
            for row in &renewed {
                if let Some(held) = held.get(row.symbol.as_str()) {
                    held.prove(since + lease);
                }
            }
        }
        self.forget_what_was_lost();
    }

    /// Looks at what it does not hold, gives back what others serve again, and takes what is free. When the next lease of
    /// another ends.
    async fn look(&mut self) -> Option<Instant> {
        match self.in_time(self.see()).await {
            Ok(seen) => self.act(seen).await,
            Err(error) => {
                warn("could not look at the symbols", &error);
                None
            }
        }
    }

    /// The symbols that it does not hold and the slots that are served, as the database has them.
    async fn see(&self) -> Result<Seen, Error> {
        let missing: Vec<Text<32>> =
            self.wanted.keys().filter(|symbol| !self.rows.contains_key(*symbol)).cloned().collect();
        let db = self.desk.inner.db.writer();
        let mut seen = Seen::default();
        for symbols in missing.chunks(MOST_SYMBOLS) {
            seen.rows.extend(assignments(db, &self.me.exchange, symbols).await?);
        }
        if self.me.role == InstanceRole::Standby {
            seen.actives = actives(db, &self.me.exchange, self.me.slots).await?;
        }
        seen.missing = missing;
        Ok(seen)
    }

    async fn act(&mut self, seen: Seen) -> Option<Instant> {
        let now = Instant::now();
        self.served.clear();
        for instance in &seen.actives {
            if self.lives.see(instance, now, self.desk.lease()) && instance.id != self.me.id {
                self.served.insert(instance.slot);
            }
        }
        self.give_back_what_is_served().await;
        let mut next: Option<Instant> = None;
        // What must still be so when it is taken; nothing for what nobody has had yet.
        let mut free: HashMap<Text<32>, Option<Mark>> = HashMap::new();
        let mut rows: HashMap<Text<32>, SymbolAssignment> =
            seen.rows.into_iter().map(|row| (row.symbol.clone(), row)).collect();
        for symbol in seen.missing {
            let row = rows.remove(&symbol).filter(|row| row.fence > 0);
            let over = row.as_ref().map_or(now, |row| self.leases.see(row, now));
            let is_ours = row.as_ref().is_some_and(|row| self.is_ours(row));
            if !self.may_take(&symbol, now) {
                continue;
            }
            if is_ours || over <= now {
                free.insert(symbol, row.as_ref().map(Mark::of));
            } else {
                next = Some(next.map_or(over, |next| next.min(over)));
            }
        }
        if self.take(&free).await {
            self.is_settled = true;
        }
        next
    }

    /// Whether an earlier life left it, or an answer was lost that said that it was taken.
    fn is_ours(&self, row: &SymbolAssignment) -> bool {
        row.instance_id == self.me.id && (!self.is_settled || self.asked.get(&row.symbol) == Some(&row.fence))
    }

    /// Whether it is this instance's to take, once it is free. A standby waits for a lease's length first: so long those
    /// that are starting as well may take to say that they live.
    fn may_take(&self, symbol: &Text<32>, now: Instant) -> bool {
        match self.me.role {
            InstanceRole::Active => true,
            InstanceRole::Standby => {
                let is_served = self.wanted.get(symbol).is_some_and(|slot| self.served.contains(&i32::from(*slot)));
                !is_served && now.saturating_duration_since(self.began) >= self.desk.lease()
            }
        }
    }

    async fn take(&mut self, free: &HashMap<Text<32>, Option<Mark>>) -> bool {
        let mut succeeded = true;
        let symbols: Vec<Text<32>> = free.keys().cloned().collect();
        for symbols in symbols.chunks(MOST_SYMBOLS) {
            let (stamp, lease) = (self.stamp(), self.desk.lease());
            for symbol in symbols {
                let fence = free.get(symbol).and_then(Option::as_ref).map_or(0, Mark::fence);
                self.asked.insert(symbol.clone(), fence + 1);
            }
            let is_free = |row: &SymbolAssignment| match free.get(&row.symbol) {
                Some(Some(mark)) => Mark::of(row) == *mark,
                Some(None) => row.fence == 0,
                None => false,
            };
            let (exchange, me) = (&self.me.exchange, &self.me.id);
            let since = Instant::now();
            let taking = self
                .desk
                .inner
                .db
                .transaction(async |tx| assign_if(tx, exchange, symbols, me, lease, stamp, is_free).await);
            match self.in_time(taking).await {
                Ok(taken) => {
                    self.desk.hold(&taken, since + lease);
                    self.rows.extend(taken.into_iter().map(|row| (row.symbol.clone(), row)));
                }
                Err(error) => {
                    succeeded = false;
                    warn("could not take symbols", &error);
                }
            }
        }
        succeeded
    }

    async fn give_back_what_is_served(&mut self) {
        let (wanted, served) = (&self.wanted, &self.served);
        let lost = self.desk.lose(Ended::GivenBack, |held| {
            wanted.get(held.symbol()).is_some_and(|slot| served.contains(&i32::from(*slot)))
        });
        let rows: Vec<SymbolAssignment> = lost.iter().filter_map(|held| self.rows.remove(held.symbol())).collect();
        self.release(&rows).await;
    }

    async fn release(&mut self, rows: &[SymbolAssignment]) {
        for rows in rows.chunks(MOST_SYMBOLS) {
            let stamp = self.stamp();
            // What fails here is over soon, by itself.
            if let Err(error) = self.in_time(release(self.desk.inner.db.writer(), rows, stamp)).await {
                warn("could not give its symbols back", &error);
            }
        }
    }

    /// Gives everything back: the instance serves nothing any more.
    pub(super) async fn give_back(mut self) {
        self.desk.lose(Ended::GivenBack, |_| true);
        if self.is_known {
            let stamp = self.stamp();
            let beat = heartbeat(self.desk.inner.db.writer(), &self.me.id, InstanceRole::Standby, stamp);
            if let Err(error) = self.in_time(beat).await {
                warn("could not say that it ends", &error);
            }
        }
        // Also what was taken by a request whose answer was lost.
        let symbols: Vec<Text<32>> = self.asked.keys().cloned().collect();
        for symbols in symbols.chunks(MOST_SYMBOLS) {
            match self.in_time(assignments(self.desk.inner.db.writer(), &self.me.exchange, symbols)).await {
                Ok(mut rows) => {
                    rows.retain(|row| row.instance_id == self.me.id && self.asked.get(&row.symbol) == Some(&row.fence));
                    self.release(&rows).await;
                }
                Err(error) => warn("could not give its symbols back", &error),
            }
        }
    }

    /// The time now, or later: other than the last one in any case.
    fn stamp(&mut self) -> Timestamp {
        let after = self.stamp.plus(Duration::from_micros(1)).unwrap_or(self.stamp);
        self.stamp = Ord::max(self.desk.inner.clock.now(), after);
        self.stamp
    }

    /// No longer than a lease: what takes longer came too late.
    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let lease = self.desk.lease();
        timeout(lease, work).await.unwrap_or_else(|_| {
            let lease = humantime::format_duration(lease);
            Err(Error::other(format!("the database has not answered within the lease of {lease}")))
        })
    }
}

#[derive(Default)]
struct Seen {
    missing: Vec<Text<32>>,
    rows: Vec<SymbolAssignment>,
    actives: Vec<crate::entity::trading::instance::Model>,
}

fn warn(what: &str, error: &Error) {
    tracing::warn!(%error, "the trading desk {what}");
}
