//! What a rule decides, without storage: its memory, an observation or an instant, and what it raises.
//!
//! The time that counts is that of the observations. Before an observation is taken in, everything that time alone has
//! brought about until then is: so it makes no difference whether or when somebody looked in between.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::condition::{ChangeDirection, Condition, PriceDirection, Require};
use crate::types::Timestamp;

/// Parts of a window that are told apart: what is remembered of one is bounded by it.
const PARTS: i64 = 60;

/// What a rule remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    /// Since when it looks: what was observed before does not count.
    started_at: Timestamp,
    /// The latest instant that was judged.
    as_of: Timestamp,
    /// A leaf for each condition that holds no others, in their order.
    leaves: Vec<Leaf>,
    /// The breach that is on.
    breach: Option<Breach>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Leaf {
    /// When the subject was last observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen_at: Option<Timestamp>,
    /// What was observed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Exact>,
    /// Since when its comparison holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
    /// The extremes of the parts of its window, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    window: Vec<Part>,
    /// Whether since is an instant alone: a passage.
    #[serde(skip)]
    is_instant: bool,
}

/// The lowest and highest value of a part of a window, which begins at its number x the part's length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Part(i64, Exact, Exact);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Breach {
    since: Timestamp,
    met_at: Timestamp,
    fired: bool,
}

/// A number that comes back from JSON to its last bit, which serde_json does not promise for numbers.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Exact(f64);

impl From<Exact> for String {
    fn from(number: Exact) -> Self {
        number.0.to_string()
    }
}

impl TryFrom<String> for Exact {
    type Error = std::num::ParseFloatError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

/// An alert to be raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fire {
    /// Since when the conditions hold.
    pub(super) since: Timestamp,
    /// When they were met: what tells one breach from another.
    pub(super) met_at: Timestamp,
    /// When it is raised: when they were met, or when the cooldown ended.
    pub(super) at: Timestamp,
}

/// A rule's condition and its cooldown, to be applied to what it remembers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge<'a> {
    pub(super) condition: &'a Condition,
    pub(super) cooldown: Duration,
}

/// What a rule remembers and when it last raised an alert; it takes in observations and instants.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct State {
    pub(super) memory: Memory,
    pub(super) last_fired_at: Option<Timestamp>,
}

impl State {
    /// Of a rule that begins to look.
    pub(super) fn new(condition: &Condition, now: Timestamp, last_fired_at: Option<Timestamp>) -> Self {
        let mut leaves = Vec::new();
        condition.each_leaf(&mut |_| leaves.push(Leaf::default()));
        Self { memory: Memory { started_at: now, as_of: now, leaves, breach: None }, last_fired_at }
    }

    /// Whether the memory is one of this condition.
    pub(super) fn fits(&self, condition: &Condition) -> bool {
        let mut leaves = 0;
        condition.each_leaf(&mut |_| leaves += 1);
        leaves == self.memory.leaves.len()
    }
}

impl Judge<'_> {
    /// Takes an observation in. `None` if it is late: not newer than the last one of its subject, or from before the rule
    /// began to look; then nothing changes.
    pub(super) fn observe(
        &self,
        state: &mut State,
        subject: &str,
        value: f64,
        at: Timestamp,
        fires: &mut Vec<Fire>,
    ) -> Option<()> {
        if at < state.memory.started_at {
            return None;
        }
        let mut concerned = Vec::new();
        let mut index = 0;
        self.condition.each_leaf(&mut |leaf| {
            if leaf.subject().as_deref() == Some(subject) {
                concerned.push((index, leaf));
            }
            index += 1;
        });
        let is_new = |index: usize| state.memory.leaves[index].seen_at.is_none_or(|seen| seen < at);
        if concerned.is_empty() || !concerned.iter().all(|(index, _)| is_new(*index)) {
            return None;
        }
        self.pass_until(state, at, fires);
        for (index, condition) in concerned {
            state.memory.leaves[index].take(condition, value, at);
        }
        self.judge(state, at, fires);
        // A passage is over as soon as it is seen.
        let mut passed = false;
        for leaf in state.memory.leaves.iter_mut().filter(|leaf| leaf.is_instant) {
            (leaf.is_instant, leaf.since, passed) = (false, None, true);
        }
        if passed {
            self.judge(state, at, fires);
        }
        Some(())
    }

    /// Lets time pass.
    pub(super) fn advance(&self, state: &mut State, now: Timestamp, fires: &mut Vec<Fire>) {
        self.pass_until(state, now, fires);
        self.judge(state, now, fires);
    }

    /// When time alone may change something next.
    pub(super) fn due_at(&self, state: &State) -> Option<Timestamp> {
        let memory = &state.memory;
        let mut due: Option<Timestamp> = None;
        let mut consider = |at: Option<Timestamp>| {
            let later = at.filter(|at| *at > memory.as_of);
            due = due.into_iter().chain(later).min();
        };
        let mut leaves = memory.leaves.iter();
        self.condition.each_leaf(&mut |condition| {
            let Some(leaf) = leaves.next() else { return };
            match condition {
                Condition::Threshold { hold_for_s, .. } => {
                    consider(leaf.since.and_then(|since| after(since, *hold_for_s)));
                }
                Condition::Absence { for_s, .. } => {
                    consider(after(leaf.seen_at.unwrap_or(memory.started_at), *for_s));
                }
                _ => {}
            }
        });
        if memory.breach.as_ref().is_some_and(|breach| !breach.fired) {
            consider(state.last_fired_at.and_then(|fired| fired.plus(self.cooldown).ok()));
        }
        due
    }

    /// Since when the conditions hold, whether or not they have for long enough.
    pub(super) fn breached_since(&self, state: &State) -> Option<Timestamp> {
        let held = || match (self.condition, state.memory.leaves.first()) {
            (Condition::Threshold { .. }, Some(leaf)) => leaf.since,
            _ => None,
        };
        state.memory.breach.as_ref().map(|breach| breach.since).or_else(held)
    }

    fn pass_until(&self, state: &mut State, now: Timestamp, fires: &mut Vec<Fire>) {
        // Every instant is later than the one before, and there are no more than conditions and cooldowns.
        while let Some(due) = self.due_at(state).filter(|due| *due <= now) {
            self.judge(state, due, fires);
        }
    }

    fn judge(&self, state: &mut State, at: Timestamp, fires: &mut Vec<Fire>) {
        let memory = &mut state.memory;
        memory.as_of = memory.as_of.max(at);
        let now = memory.as_of;
        let met = met_since(self.condition, &mut memory.leaves.iter(), memory.started_at, now);
        let Some(since) = met else {
            memory.breach = None;
            return;
        };
        let breach = memory.breach.get_or_insert(Breach { since, met_at: now, fired: false });
        let cool = state.last_fired_at.is_none_or(|fired| fired.plus(self.cooldown).is_ok_and(|end| end <= now));
        if !breach.fired && cool {
            breach.fired = true;
            state.last_fired_at = Some(now);
            fires.push(Fire { since: breach.since, met_at: breach.met_at, at: now });
        }
    }
}

/// Since when a condition is met at `now`, if it is. Visits all of its leaves, whatever the first ones say.
fn met_since<'a>(
    condition: &Condition,
    leaves: &mut std::slice::Iter<'a, Leaf>,
    started_at: Timestamp,
    now: Timestamp,
) -> Option<Timestamp> {
    match condition {
        Condition::Composite { require, conditions } => {
            let met: Vec<_> = conditions.iter().map(|part| met_since(part, leaves, started_at, now)).collect();
            match require {
                Require::All => met.into_iter().collect::<Option<Vec<_>>>()?.into_iter().max(),
                Require::Any => met.into_iter().flatten().min(),
            }
        }
        leaf => leaves.next().and_then(|state| state.met_since(leaf, started_at, now)),
    }
}

fn after(since: Timestamp, seconds: u32) -> Option<Timestamp> {
    since.plus(Duration::from_secs(seconds.into())).ok()
}

impl Leaf {
    fn met_since(&self, condition: &Condition, started_at: Timestamp, now: Timestamp) -> Option<Timestamp> {
        match condition {
            Condition::Threshold { hold_for_s, .. } => {
                self.since.filter(|since| after(*since, *hold_for_s).is_some_and(|end| end <= now))
            }
            Condition::Absence { for_s, .. } => {
                let silent = self.seen_at.unwrap_or(started_at);
                after(silent, *for_s).filter(|end| *end <= now).map(|_| silent)
            }
            _ => self.since,
        }
    }

    /// Takes in the observation of its subject.
    fn take(&mut self, condition: &Condition, value: f64, at: Timestamp) {
        let holds = match condition {
            Condition::Threshold { comparison, value: limit, .. } => comparison.holds(value, *limit),
            Condition::Price { direction: PriceDirection::Above, price, .. } => value > *price,
            Condition::Price { direction: PriceDirection::Below, price, .. } => value < *price,
            Condition::Price { direction: PriceDirection::Crosses, price, .. } => {
                self.is_instant = self.seen.is_some_and(|Exact(before)| {
                    (before < *price && value >= *price) || (before > *price && value <= *price)
                });
                self.since = None;
                self.is_instant
            }
            Condition::ChangeRate { direction, percent, window_s, .. } => {
                self.remember(*window_s, value, at);
                self.moved(*direction, value) >= *percent
            }
            Condition::Absence { .. } | Condition::Composite { .. } => false,
        };
        self.since = if holds { self.since.or(Some(at)) } else { None };
        self.seen_at = Some(at);
        if matches!(condition, Condition::Price { direction: PriceDirection::Crosses, .. }) {
            self.seen = Some(Exact(value));
        }
    }

    fn remember(&mut self, window_s: u32, value: f64, at: Timestamp) {
        let window = i64::from(window_s) * 1_000_000;
        let length = window / PARTS;
        let number = at.micros().div_euclid(length);
        let oldest = (at.micros() - window).div_euclid(length);
        self.window.retain(|part| part.0 >= oldest);
        match self.window.last_mut() {
            Some(part) if part.0 == number => {
                part.1 = Exact(part.1.0.min(value));
                part.2 = Exact(part.2.0.max(value));
            }
            _ => self.window.push(Part(number, Exact(value), Exact(value))),
        }
    }

    /// By how many percent the value has moved from the farthest one of the window.
    fn moved(&self, direction: ChangeDirection, value: f64) -> f64 {
        let lowest = self.window.iter().map(|part| part.1.0).fold(value, f64::min);
        let highest = self.window.iter().map(|part| part.2.0).fold(value, f64::max);
        let percent = |from: f64, by: f64| if from == 0.0 { 0.0 } else { by / from.abs() * 100.0 };
        let (up, down) = (percent(lowest, value - lowest), percent(highest, highest - value));
        match direction {
            ChangeDirection::Up => up,
            ChangeDirection::Down => down,
            ChangeDirection::Any => up.max(down),
        }
    }
}

#[cfg(test)]
#[path = "step_tests.rs"]
mod tests;
