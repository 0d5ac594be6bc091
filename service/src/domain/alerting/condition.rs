use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Error;
use crate::entity::alerting::RuleType;
use crate::types::{AtColumn, Json, Text};

/// Levels of conditions inside conditions, the outermost included.
pub const MAX_DEPTH: usize = 4;
/// Conditions of one rule, those that hold others included.
pub const MAX_CONDITIONS: usize = 32;
/// The longest hold, window or silence: 366 days, in seconds.
pub const MAX_SECONDS: u32 = 366 * 86_400;
/// The largest number that a condition or an observation may have, either side of zero: beyond it not every engine's JSON
/// is read back.
pub const MAX_NUMBER: f64 = 1e300;

/// What is observed: `cpu.load`, `price:ETHUSDT`.
pub type Subject = Text<200>;

/// When a rule raises an alert. It is stored as JSON, where `type` names the variant and nothing unknown is accepted.
///
/// Values are `f64`: measurements, and prices to compare with, not amounts to add up.
///
/// ```
/// use stanchion::domain::alerting::{Comparison, Condition};
///
/// let json = serde_json::json!({
///     "type": "threshold", "subject": "cpu.load", "comparison": "above", "value": 0.9, "hold_for_s": 60
/// });
/// let condition = Condition::from_json(json)?;
/// assert_eq!(condition.to_string(), "cpu.load above 0.9 for 60 s");
/// # Ok::<(), stanchion::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// The value is beyond a limit, and has been for a while.
    Threshold {
        /// Whose value.
        subject: Subject,
        /// Which side of the limit.
        comparison: Comparison,
        /// The limit.
        value: f64,
        /// For how long without a break, in seconds; 0 for at once.
        #[serde(default)]
        hold_for_s: u32,
    },
    /// A price is beyond a limit, or passes it.
    Price {
        /// Whose price: that of the subject `price:` and the symbol.
        symbol: Text<32>,
        /// Which side, or a passage.
        direction: PriceDirection,
        /// The limit.
        price: f64,
    },
    /// The value moves by a share of itself within a window. An observation decides it, until the next one.
    ChangeRate {
        /// Whose value.
        subject: Subject,
        /// Which way.
        direction: ChangeDirection,
        /// By how many percent of the lowest (or highest) value of the window. Values of zero have no percent.
        percent: f64,
        /// The window, in seconds; observed to a sixtieth of itself.
        window_s: u32,
    },
    /// Nothing is observed.
    Absence {
        /// Of what.
        subject: Subject,
        /// For how long, in seconds; from when the rule was written or switched on, where nothing ever was.
        for_s: u32,
    },
    /// Several conditions together.
    Composite {
        /// How many have to hold.
        require: Require,
        /// The conditions.
        conditions: Vec<Condition>,
    },
}

/// How a value is compared with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// `>`
    Above,
    /// `>=`
    AtLeast,
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// Where a price has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceDirection {
    /// Above the limit.
    Above,
    /// Below the limit.
    Below,
    /// On the limit or its other side, seen from the observation before. A passage is an instant: each one is a breach of
    /// its own.
    Crosses,
}

/// Which way a value moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeDirection {
    /// Up, from the lowest value of the window.
    Up,
    /// Down, from the highest value of the window.
    Down,
    /// Either.
    Any,
}

/// How many of several conditions have to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Require {
    /// All.
    All,
    /// One.
    Any,
}

impl Comparison {
    pub(super) fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
            Self::Equal => value == limit,
            Self::NotEqual => value != limit,
        }
    }
}

impl Condition {
    /// Reads a condition and checks it.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names what is wrong: a field that is unknown, missing or of the wrong form, and what
    /// [`Condition::check`] says.
    pub fn from_json(json: serde_json::Value) -> Result<Self, Error> {
        let condition: Self =
            serde_json::from_value(json).map_err(|error| Error::Invalid(format!("alert_rules.conditions: {error}")))?;
        condition.check()?;
        Ok(condition)
    }

    /// Sees whether it can be meant: subjects that are not blank, finite numbers, durations and percents above zero where
    /// zero says nothing, and not too many conditions inside conditions.
    ///
    /// # Errors
    /// [`Error::Invalid`] that names the field.
    pub fn check(&self) -> Result<(), Error> {
        let mut count = 0;
        self.check_at("alert_rules.conditions", 1, &mut count)
    }

    fn check_at(&self, path: &str, depth: usize, count: &mut usize) -> Result<(), Error> {
        *count += 1;
        let wrong = |what: &str| Err(Error::Invalid(format!("{path}{what}")));
        if depth > MAX_DEPTH {
            return wrong(&format!(" is nested too deeply: at most {MAX_DEPTH} levels"));
        }
        if *count > MAX_CONDITIONS {
            return wrong(&format!(" is one too many: at most {MAX_CONDITIONS} conditions a rule"));
        }
        let blank = |text: &str| text.trim().is_empty();
        match self {
            Self::Threshold { subject, .. } | Self::ChangeRate { subject, .. } | Self::Absence { subject, .. }
                if blank(subject) =>
            {
                wrong(".subject is empty")
            }
            Self::Threshold { value, .. } if !is_storable(*value) => wrong(".value is out of range, or not a number"),
            Self::Threshold { hold_for_s, .. } if *hold_for_s > MAX_SECONDS => {
                wrong(&format!(".hold_for_s is too long: at most {MAX_SECONDS} s"))
            }
            Self::Price { symbol, .. } if blank(symbol) => wrong(".symbol is empty"),
            Self::Price { price, .. } if !is_storable(*price) => wrong(".price is out of range, or not a number"),
            Self::ChangeRate { percent, .. } if !is_storable(*percent) || *percent <= 0.0 => {
                wrong(".percent must be greater than zero")
            }
            Self::ChangeRate { window_s, .. } if !(1..=MAX_SECONDS).contains(window_s) => {
                wrong(&format!(".window_s must be from 1 to {MAX_SECONDS} s"))
            }
            Self::Absence { for_s, .. } if !(1..=MAX_SECONDS).contains(for_s) => {
                wrong(&format!(".for_s must be from 1 to {MAX_SECONDS} s"))
            }
            Self::Composite { conditions, .. } if conditions.is_empty() => wrong(".conditions is empty"),
            Self::Composite { conditions, .. } => {
                let mut parts = conditions.iter().enumerate();
                parts.try_for_each(|(i, part)| part.check_at(&format!("{path}.conditions[{i}]"), depth + 1, count))
            }
            _ => Ok(()),
        }
    }

    /// The type of a rule with this condition.
    pub const fn rule_type(&self) -> RuleType {
        match self {
            Self::Threshold { .. } => RuleType::Threshold,
            Self::Price { .. } => RuleType::Price,
            Self::ChangeRate { .. } => RuleType::ChangeRate,
            Self::Absence { .. } => RuleType::Absence,
            Self::Composite { .. } => RuleType::Composite,
        }
    }

    /// The subjects that it looks at, each once.
    pub fn subjects(&self) -> BTreeSet<String> {
        let mut subjects = BTreeSet::new();
        self.each_leaf(&mut |leaf| {
            subjects.extend(leaf.subject());
        });
        subjects
    }

    /// The subject of a condition that holds no others.
    pub(super) fn subject(&self) -> Option<String> {
        match self {
            Self::Threshold { subject, .. } | Self::ChangeRate { subject, .. } | Self::Absence { subject, .. } => {
                Some(subject.as_str().to_owned())
            }
            Self::Price { symbol, .. } => Some(price_subject(symbol)),
            Self::Composite { .. } => None,
        }
    }

    /// Visits the conditions that hold no others, always in the same order.
    pub(super) fn each_leaf<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        match self {
            Self::Composite { conditions, .. } => conditions.iter().for_each(|part| part.each_leaf(visit)),
            leaf => visit(leaf),
        }
    }

    /// The JSON that is stored.
    pub(super) fn to_column(&self) -> Result<Json, Error> {
        Ok(Json::of(self).at("alert_rules.conditions")?)
    }
}

/// Whether a number is finite and not beyond [`MAX_NUMBER`].
pub(super) fn is_storable(number: f64) -> bool {
    number.abs() <= MAX_NUMBER
}

/// The subject of a symbol's price.
pub(super) fn price_subject(symbol: &str) -> String {
    format!("price:{symbol}")
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threshold { subject, comparison, value, hold_for_s } => {
                write!(f, "{subject} {comparison} {value}")?;
                if *hold_for_s > 0 { write!(f, " for {hold_for_s} s") } else { Ok(()) }
            }
            Self::Price { symbol, direction, price } => {
                let direction = match direction {
                    PriceDirection::Above => "above",
                    PriceDirection::Below => "below",
                    PriceDirection::Crosses => "crosses",
                };
                write!(f, "{symbol} {direction} {price}")
            }
            Self::ChangeRate { subject, direction, percent, window_s } => {
                let direction = match direction {
                    ChangeDirection::Up => "up",
                    ChangeDirection::Down => "down",
                    ChangeDirection::Any => "up or down",
                };
                write!(f, "{subject} {direction} {percent} % within {window_s} s")
            }
            Self::Absence { subject, for_s } => write!(f, "{subject} not observed for {for_s} s"),
            Self::Composite { require, conditions } => {
                let between = match require {
                    Require::All => " and ",
                    Require::Any => " or ",
                };
                for (i, condition) in conditions.iter().enumerate() {
                    f.write_str(if i == 0 { "" } else { between })?;
                    match condition {
                        Self::Composite { .. } => write!(f, "({condition})")?,
                        leaf => write!(f, "{leaf}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Above => "above",
            Self::AtLeast => "at least",
            Self::Below => "below",
            Self::AtMost => "at most",
            Self::Equal => "equal to",
            Self::NotEqual => "not equal to",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(json: serde_json::Value) -> String {
        Condition::from_json(json).unwrap_err().to_string()
    }

    #[test]
    fn what_is_wrong_with_a_condition_is_named() {
        let cases = [
            (json!({"type": "treshold"}), "treshold"),
            (json!({"type": "threshold", "subject": "a", "comparison": "above"}), "`value`"),
            (json!({"type": "threshold", "subject": "a", "comparison": "over", "value": 1}), "`over`"),
            (json!({"type": "threshold", "subject": "a", "comparison": "above", "value": "1"}), "f64"),
            (json!({"type": "threshold", "subject": "a", "comparison": "above", "value": 1, "x": 1}), "`x`"),
            (json!({"type": "threshold", "subject": " ", "comparison": "above", "value": 1}), "subject is empty"),
            (json!({"type": "threshold", "subject": "a\0", "comparison": "above", "value": 1}), "NUL"),
            (json!({"type": "threshold", "subject": "a".repeat(201), "comparison": "above", "value": 1}), "too long"),
            (json!({"type": "threshold", "subject": "a", "comparison": "above", "value": 1, "hold_for_s": -1}), "u32"),
            (json!({"type": "price", "symbol": "", "direction": "above", "price": 1}), ".symbol is empty"),
            (
                json!({"type": "change_rate", "subject": "a", "direction": "up", "percent": 0, "window_s": 1}),
                ".percent must be greater",
            ),
            (
                json!({"type": "change_rate", "subject": "a", "direction": "up", "percent": 1, "window_s": 0}),
                ".window_s must be",
            ),
            (json!({"type": "absence", "subject": "a", "for_s": 0}), ".for_s must be"),
            (json!({"type": "composite", "require": "all", "conditions": []}), ".conditions is empty"),
            (
                json!({"type": "composite", "require": "any", "conditions": [
                    {"type": "absence", "subject": "a", "for_s": 1}, {"type": "absence", "subject": "", "for_s": 1}]}),
                "conditions[1].subject is empty",
            ),
            (json!([]), "alert_rules.conditions"),
            (json!("x"), "alert_rules.conditions"),
            (json!(null), "alert_rules.conditions"),
        ];
        for (json, expected) in cases {
            let message = refused(json.clone());
            assert!(message.contains(expected), "{json}: {message}");
        }
    }

    #[test]
    fn depth_and_size_have_bounds() {
        let leaf = || Condition::Absence { subject: "a".parse().unwrap(), for_s: 1 };
        let all = |conditions| Condition::Composite { require: Require::All, conditions };
        let nested = |levels| (1..levels).fold(leaf(), |inner, _| all(vec![inner]));
        nested(MAX_DEPTH).check().unwrap();
        assert!(nested(MAX_DEPTH + 1).check().unwrap_err().to_string().contains("too deeply"));
        all(vec![leaf(); MAX_CONDITIONS - 1]).check().unwrap();
        assert!(all(vec![leaf(); MAX_CONDITIONS]).check().unwrap_err().to_string().contains("too many"));
    }

    #[test]
    fn a_condition_comes_back_as_it_was_stored() {
        let parts = vec![
            Condition::Price { symbol: "ETHUSDT".parse().unwrap(), direction: PriceDirection::Crosses, price: 1850.1 },
            Condition::ChangeRate {
                subject: "ping".parse().unwrap(),
                direction: ChangeDirection::Any,
                percent: 2.5,
                window_s: 60,
            },
        ];
        let condition = Condition::Composite { require: Require::Any, conditions: parts };
        let stored = condition.to_column().unwrap().into_value();
        assert_eq!(Condition::from_json(stored).unwrap(), condition);
        assert_eq!(condition.to_string(), "ETHUSDT crosses 1850.1 or ping up or down 2.5 % within 60 s");
        assert_eq!(condition.subjects().into_iter().collect::<Vec<_>>(), ["ping", "price:ETHUSDT"]);
    }
}
