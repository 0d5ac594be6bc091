use proptest::prelude::*;

use super::*;
use crate::domain::alerting::condition::Comparison;

/// The instant so many seconds after the rule began to look.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_772_366_400_000 + seconds * 1_000).unwrap()
}

fn seconds(instant: Timestamp) -> i64 {
    (instant.millis() - at(0).millis()) / 1_000
}

fn above(subject: &str, value: f64, hold_for_s: u32) -> Condition {
    Condition::Threshold { subject: subject.parse().unwrap(), comparison: Comparison::Above, value, hold_for_s }
}

fn price(direction: PriceDirection) -> Condition {
    Condition::Price { symbol: "ETH".parse().unwrap(), direction, price: 100.0 }
}

fn change(direction: ChangeDirection) -> Condition {
    Condition::ChangeRate { subject: "a".parse().unwrap(), direction, percent: 10.0, window_s: 60 }
}

/// A rule that is played: when it fires, in seconds.
struct Played {
    condition: Condition,
    cooldown: u32,
    state: State,
    fires: Vec<Fire>,
}

impl Played {
    fn new(condition: Condition, cooldown: u32) -> Self {
        let state = State::new(&condition, at(0), None);
        Self { condition, cooldown, state, fires: Vec::new() }
    }

    fn play(&mut self, work: impl FnOnce(&Judge<'_>, &mut State, &mut Vec<Fire>)) {
        let judge = Judge { condition: &self.condition, cooldown: Duration::from_secs(self.cooldown.into()) };
        work(&judge, &mut self.state, &mut self.fires);
        // As it is between two calls: in the database.
        let stored = serde_json::to_string(&self.state.memory).unwrap();
        self.state.memory = serde_json::from_str(&stored).unwrap();
    }

    fn observe(&mut self, subject: &str, when: i64, value: f64) -> bool {
        let mut taken = false;
        self.play(|judge, state, fires| taken = judge.observe(state, subject, value, at(when), fires).is_some());
        taken
    }

    fn pass(&mut self, now: i64) {
        self.play(|judge, state, fires| judge.advance(state, at(now), fires));
    }

    fn fired(&self) -> Vec<i64> {
        self.fires.iter().map(|fire| seconds(fire.at)).collect()
    }
}

/// When a rule fires that sees these observations of `a`, in seconds.
fn fired(condition: Condition, cooldown: u32, observations: &[(i64, f64)]) -> Vec<i64> {
    let mut played = Played::new(condition, cooldown);
    for (when, value) in observations {
        played.observe("a", *when, *value);
    }
    played.fired()
}

#[test]
fn a_breach_fires_once_and_arms_again_when_it_ends() {
    assert_eq!(fired(above("a", 1.0, 0), 0, &[(1, 1.0), (2, 2.0), (3, 3.0), (4, 1.0), (5, 2.0), (6, 0.0)]), [2, 5]);
}

#[test]
fn a_breach_fires_when_it_has_held_for_its_duration() {
    assert_eq!(fired(above("a", 1.0, 10), 0, &[(1, 2.0), (5, 2.0), (11, 2.0), (12, 2.0)]), [11]);
    // Broken before its time, it begins anew.
    assert_eq!(fired(above("a", 1.0, 10), 0, &[(1, 2.0), (9, 0.0), (10, 2.0), (19, 0.0)]), [0_i64; 0]);
    // What ends it comes after it has held.
    assert_eq!(fired(above("a", 1.0, 10), 0, &[(1, 2.0), (30, 0.0)]), [11]);
}

#[test]
fn a_hold_runs_out_without_an_observation() {
    let mut played = Played::new(above("a", 1.0, 10), 0);
    played.observe("a", 1, 2.0);
    let judge = Judge { condition: &played.condition, cooldown: Duration::ZERO };
    assert_eq!(judge.due_at(&played.state), Some(at(11)));
    assert_eq!(judge.breached_since(&played.state), Some(at(1)));
    played.pass(10);
    assert_eq!(played.fired(), [0_i64; 0]);
    played.pass(60);
    played.pass(61);
    assert_eq!(played.fired(), [11]);
    assert_eq!((played.fires[0].since, played.fires[0].met_at), (at(1), at(11)));
}

#[test]
fn in_a_cooldown_a_breach_waits_for_its_end() {
    // Over by then, it never fires; still on, it fires then.
    assert_eq!(fired(above("a", 1.0, 0), 60, &[(1, 2.0), (10, 0.0), (20, 2.0), (30, 0.0), (90, 2.0)]), [1, 90]);
    assert_eq!(fired(above("a", 1.0, 0), 60, &[(1, 2.0), (10, 0.0), (20, 2.0), (90, 2.0)]), [1, 61]);
    let mut played = Played::new(above("a", 1.0, 0), 60);
    for (when, value) in [(1, 2.0), (10, 0.0), (20, 2.0)] {
        played.observe("a", when, value);
    }
    played.pass(61);
    assert_eq!(played.fired(), [1, 61]);
    assert_eq!(played.fires[1].since, at(20));
}

#[test]
fn an_observation_that_is_not_newer_changes_nothing() {
    let mut played = Played::new(above("a", 1.0, 0), 0);
    assert!(played.observe("a", 5, 0.0));
    let before = played.state.clone();
    for (when, value) in [(5, 2.0), (4, 2.0), (5, 0.0), (-1, 2.0)] {
        assert!(!played.observe("a", when, value));
    }
    assert!(!played.observe("b", 6, 2.0), "it is another subject");
    assert_eq!((played.state.clone(), played.fired()), (before, vec![]));
}

#[test]
fn what_was_before_the_rule_is_not_looked_at() {
    let mut played = Played::new(above("a", 1.0, 0), 0);
    assert!(!played.observe("a", -1, 2.0) && played.observe("a", 0, 2.0));
}

#[test]
fn each_passage_of_a_price_is_a_breach() {
    let mut played = Played::new(price(PriceDirection::Crosses), 0);
    for (when, value) in [(1, 90.0), (2, 101.0), (3, 99.0), (4, 98.0), (5, 100.0), (6, 101.0), (7, 100.0), (8, 99.0)] {
        played.observe("price:ETH", when, value);
    }
    assert_eq!(played.fired(), [2, 3, 5, 7]);
    // The first value passes nothing, wherever it is.
    let mut played = Played::new(price(PriceDirection::Crosses), 0);
    played.observe("price:ETH", 1, 500.0);
    assert_eq!(played.fired(), [0_i64; 0]);
    // A passage within the cooldown is gone when it ends.
    let mut played = Played::new(price(PriceDirection::Crosses), 10);
    for (when, value) in [(1, 90.0), (2, 101.0), (3, 99.0), (30, 98.0)] {
        played.observe("price:ETH", when, value);
    }
    assert_eq!(played.fired(), [2]);
}

#[test]
fn a_price_beyond_its_limit_is_a_breach_until_it_returns() {
    for (direction, expected) in [(PriceDirection::Above, vec![2, 5]), (PriceDirection::Below, vec![1, 4])] {
        let mut played = Played::new(price(direction), 0);
        for (when, value) in [(1, 90.0), (2, 101.0), (3, 102.0), (4, 99.0), (5, 101.0), (6, 100.0)] {
            played.observe("price:ETH", when, value);
        }
        assert_eq!(played.fired(), expected);
    }
}

#[test]
fn a_change_is_measured_from_the_farthest_value_of_its_window() {
    use ChangeDirection::{Any, Down, Up};
    assert_eq!(fired(change(Up), 0, &[(1, 100.0), (20, 104.0), (40, 110.0)]), [40]);
    // Too slow: the low is out of the window.
    assert_eq!(fired(change(Up), 0, &[(1, 100.0), (50, 104.0), (70, 110.0)]), [0_i64; 0]);
    assert_eq!(fired(change(Up), 0, &[(1, 100.0), (5, 80.0), (9, 90.0)]), [9]);
    assert_eq!(fired(change(Down), 0, &[(1, 100.0), (2, 120.0), (3, 108.0)]), [3]);
    assert_eq!(fired(change(Any), 0, &[(1, 100.0), (2, 110.0), (3, 105.0), (4, 99.0)]), [2, 4]);
    assert_eq!(fired(change(Any), 0, &[(1, 0.0), (2, 0.0), (3, 0.0)]), [0_i64; 0]);
    assert_eq!(fired(change(Up), 0, &[(1, -100.0), (2, -90.0)]), [2]);
}

#[test]
fn what_is_remembered_of_a_window_is_bounded() {
    let mut played = Played::new(change(ChangeDirection::Any), 0);
    for when in 0..5_000 {
        played.observe("a", when, 100.0 + when as f64 * 0.1 + 1.0 / 3.0);
    }
    assert!(played.state.memory.leaves[0].window.len() <= PARTS as usize + 1);
}

#[test]
fn silence_fires_by_time_alone_and_ends_with_an_observation() {
    let absence = || Condition::Absence { subject: "a".parse().unwrap(), for_s: 30 };
    let mut played = Played::new(absence(), 0);
    played.pass(29);
    assert_eq!(played.fired(), [0_i64; 0]);
    played.pass(31);
    played.pass(500);
    assert_eq!(played.fired(), [30]);
    played.observe("a", 510, 1.0);
    played.pass(539);
    assert_eq!(played.fired(), [30]);
    played.pass(541);
    assert_eq!(played.fired(), [30, 540]);
    // Nobody looked in between: the same, when the next observation comes.
    assert_eq!(fired(absence(), 0, &[(10, 1.0), (100, 1.0), (120, 1.0)]), [40]);
}

#[test]
fn several_conditions_hold_together_or_one_of_them() {
    let both = |require| Condition::Composite { require, conditions: vec![above("a", 1.0, 0), above("b", 1.0, 0)] };
    let play = |require| {
        let mut played = Played::new(both(require), 0);
        for (subject, when, value) in
            [("a", 1, 2.0), ("b", 2, 2.0), ("a", 3, 0.0), ("b", 4, 0.0), ("b", 5, 2.0), ("a", 6, 2.0)]
        {
            played.observe(subject, when, value);
        }
        played.fired()
    };
    assert_eq!(play(Require::All), [2, 6]);
    assert_eq!(play(Require::Any), [1, 5]);
}

#[test]
fn one_subject_in_several_conditions_is_seen_by_all() {
    let parts = vec![above("a", 10.0, 0), Condition::Absence { subject: "a".parse().unwrap(), for_s: 30 }];
    let mut played = Played::new(Condition::Composite { require: Require::Any, conditions: parts }, 0);
    played.observe("a", 1, 5.0);
    played.pass(31);
    played.observe("a", 40, 11.0);
    assert_eq!(played.fired(), [31]);
    played.observe("a", 41, 1.0);
    played.observe("a", 42, 11.0);
    assert_eq!(played.fired(), [31, 42]);
}

#[test]
fn an_observation_behind_the_time_of_a_sweep_still_counts() {
    let mut played = Played::new(above("a", 1.0, 10), 0);
    played.pass(100);
    assert!(played.observe("a", 95, 2.0));
    played.pass(104);
    assert_eq!(played.fired(), [0_i64; 0]);
    played.pass(105);
    assert_eq!(played.fired(), [105]);
    // Even when its hold is over already.
    let mut played = Played::new(above("a", 1.0, 10), 0);
    played.pass(100);
    assert!(played.observe("a", 80, 2.0));
    assert_eq!(played.fired(), [100]);
}

/// The same rule, played second by second.
fn reference(limit: f64, hold: i64, cooldown: i64, observations: &[(i64, f64)], end: i64) -> Vec<i64> {
    let (mut since, mut done, mut last): (Option<i64>, bool, Option<i64>) = (None, false, None);
    let mut fires = Vec::new();
    for now in 0..=end {
        let seen = observations.iter().find(|(when, _)| *when == now);
        // What time has brought about, then what the observation does.
        for observed in [None, seen] {
            if let Some((_, value)) = observed {
                let held = *value > limit;
                (since, done) = if held { (since.or(Some(now)), done) } else { (None, false) };
            }
            let met = since.is_some_and(|since| now - since >= hold);
            if met && !done && last.is_none_or(|last| now - last >= cooldown) {
                (done, last) = (true, Some(now));
                fires.push(now);
            }
        }
    }
    fires
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_fires_as_the_reference_does_however_often_it_is_looked_at_and_told(
        steps in proptest::collection::vec((1_i64..20, 0_u8..3, any::<bool>(), any::<bool>()), 1..60),
        hold in 0_u32..25,
        cooldown in 0_u32..50,
    ) {
        let mut played = Played::new(above("a", 1.0, hold), cooldown);
        let mut observations = Vec::new();
        let mut now = 0;
        for (gap, value, swept, repeated) in steps {
            if swept {
                played.pass(now + gap / 2);
            }
            now += gap;
            observations.push((now, f64::from(value)));
            prop_assert!(played.observe("a", now, f64::from(value)));
            if repeated {
                prop_assert!(!played.observe("a", now, 2.0));
                prop_assert!(!played.observe("a", now - 1, 2.0));
            }
        }
        played.pass(now + 100);
        let expected = reference(1.0, hold.into(), cooldown.into(), &observations, now + 100);
        prop_assert_eq!(played.fired(), expected);
    }
}
