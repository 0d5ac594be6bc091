use std::fmt;

use serde::Serialize;

use super::business::share;
use super::{BusinessFigures, EngineFigures};

/// What a business's health is judged by. What is absent was not measured, because there is nothing to measure yet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HealthInput {
    /// Users who came: registered in the period.
    pub gained: u64,
    /// Users who went: who ordered in the period before and not in this one.
    pub lost: u64,
    /// Shares of what succeeded, from 0 to 1: orders that were paid, purchases that were completed, transfers that are whole.
    pub transactions: Vec<f64>,
    /// Log entries that are errors, from 0 to 1.
    pub errors: Option<f64>,
    /// Databases, and how many of them do not answer.
    pub databases: u64,
    /// See `databases`.
    pub unreachable: u64,
    /// Statements that wait for a lock now.
    pub lock_waits: u64,
    /// Transactions that are open for long.
    pub long_transactions: u64,
    /// How much of the fullest pool is in use, from 0 to 1.
    pub pool_use: Option<f64>,
    /// The mean rating, from 1 to 5.
    pub rating: Option<f64>,
}

impl HealthInput {
    /// From the figures of a period and those of the databases.
    pub fn of(business: &BusinessFigures, engines: &[EngineFigures]) -> Self {
        let paid = share(business.orders.paid(), business.orders.placed);
        let purchases = business.purchases.finished.share();
        let transfers = business.points.transfers.share();
        let sum = |figure: fn(&EngineFigures) -> Option<u64>| engines.iter().filter_map(figure).sum();
        Self {
            gained: business.users.registered,
            lost: business.activity.lost,
            transactions: [paid, purchases, transfers].into_iter().flatten().collect(),
            errors: share(business.logs.errors, business.logs.entries),
            databases: engines.len() as u64,
            unreachable: engines.iter().filter(|engine| !engine.reachable).count() as u64,
            lock_waits: sum(|engine| engine.lock_waits),
            long_transactions: sum(|engine| engine.long_transactions),
            pool_use: engines.iter().filter_map(|engine| engine.pools.in_use()).max_by(f64::total_cmp),
            rating: business.reviews.mean(),
        }
    }
}

/// How a business does, all things considered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BusinessHealth {
    /// The weighted sum of the components, from 0 to 1, to four digits after the point.
    pub score: f64,
    /// What that is called.
    pub grade: Grade,
    /// The four components.
    pub components: [Component; 4],
    /// What is low, and what to do about it.
    pub recommendations: Vec<Recommendation>,
}

/// What a score is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grade {
    /// Below 0.6.
    Critical,
    /// From 0.6.
    Warning,
    /// From 0.75.
    Good,
    /// From 0.9.
    Excellent,
}

impl Grade {
    /// The grade of a score.
    pub fn of(score: f64) -> Self {
        match score {
            score if score >= 0.9 => Self::Excellent,
            score if score >= 0.75 => Self::Good,
            score if score >= 0.6 => Self::Warning,
            _ => Self::Critical,
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Good => "good",
            Self::Excellent => "excellent",
        })
    }
}

/// What a component is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    /// Users who came, of all who came or went.
    UserGrowth,
    /// The mean share of orders, purchases and transfers that succeeded.
    Transactions,
    /// The weakest of: databases that answer; errors in the log (a tenth of all is the end of the scale); pools (all is well
    /// up to 70 % in use, the end is 100 %); lock waits and long transactions (each takes a tenth).
    System,
    /// The mean rating: one star is 0, five are 1.
    Satisfaction,
}

impl ComponentKind {
    /// How much it weighs; together they weigh 1.
    pub const fn weight(self) -> f64 {
        match self {
            Self::UserGrowth | Self::Satisfaction => 0.2,
            Self::Transactions | Self::System => 0.3,
        }
    }
}

impl fmt::Display for ComponentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::UserGrowth => "user growth",
            Self::Transactions => "transactions",
            Self::System => "system",
            Self::Satisfaction => "satisfaction",
        })
    }
}

/// A part of the score.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Component {
    /// What it is about.
    pub kind: ComponentKind,
    /// From 0, the worst, to 1. What was not measured counts as 1: nothing of it is wrong.
    pub score: f64,
    /// Whether there was anything to measure.
    pub measured: bool,
}

/// Something that is low, with what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Recommendation {
    /// More users go than come.
    WinUsersBack,
    /// Too many orders, purchases or transfers fail.
    FindFailedTransactions,
    /// A database does not answer.
    RestoreDatabases,
    /// The pools of a database are nearly used up.
    EnlargePools,
    /// Statements wait for locks, or transactions stay open for long.
    ShortenTransactions,
    /// Too many log entries are errors.
    FixErrors,
    /// Buyers are not content.
    ReadReviews,
}

impl Recommendation {
    /// What to do.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::WinUsersBack => "more users go than come: ask those who stopped ordering, and look at what changed",
            Self::FindFailedTransactions => "too many transactions fail: look at unpaid orders and rejected purchases",
            Self::RestoreDatabases => "a database does not answer: see that it runs and can be reached",
            Self::EnlargePools => "connections are nearly used up: raise max_open_conns, or find who holds them",
            Self::ShortenTransactions => "statements wait for locks: find long transactions and make them shorter",
            Self::FixErrors => "too many log entries are errors: look at them by service",
            Self::ReadReviews => "buyers are not content: read the reviews of few stars",
        }
    }
}

impl fmt::Display for Recommendation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.advice())
    }
}

/// Below this a component is low.
const LOW: f64 = 0.75;
/// The share of errors at which the scale ends.
const MOST_ERRORS: f64 = 0.1;
/// How much of a pool may be in use without a thought.
const EASY_USE: f64 = 0.7;
/// What a wait for a lock, or a long transaction, takes off.
const WAIT: f64 = 0.1;

/// Judges a business by its figures: 0.2 x user growth + 0.3 x transactions + 0.3 x system + 0.2 x satisfaction, each as
/// [`ComponentKind`] says.
pub fn assess(input: &HealthInput) -> BusinessHealth {
    let system = system(input);
    let of_system = system.iter().map(|(score, _)| *score).min_by(f64::total_cmp);
    let growth = share(input.gained, input.gained.saturating_add(input.lost));
    let transactions = mean(&input.transactions);
    let satisfaction = input.rating.map(|rating| (rating - 1.0) / 4.0);
    let components = [
        component(ComponentKind::UserGrowth, growth),
        component(ComponentKind::Transactions, transactions),
        component(ComponentKind::System, of_system),
        component(ComponentKind::Satisfaction, satisfaction),
    ];
    let low = |at: usize, recommendation| (components[at].score < LOW).then_some(recommendation);
    let recommendations = [low(0, Recommendation::WinUsersBack), low(1, Recommendation::FindFailedTransactions)]
        .into_iter()
        .flatten()
        .chain(system.iter().filter(|(score, _)| *score < LOW).map(|(_, recommendation)| *recommendation))
        .chain(low(3, Recommendation::ReadReviews))
        .collect();
    let sum: f64 = components.iter().map(|component| component.kind.weight() * component.score).sum();
    // Sums of floats are a little off, and a border is a border.
    let score = (sum * 1e4).round() / 1e4;
    BusinessHealth { score, grade: Grade::of(score), components, recommendations }
}

fn component(kind: ComponentKind, score: Option<f64>) -> Component {
    let measured = score.filter(|score| score.is_finite());
    Component { kind, score: measured.unwrap_or(1.0).clamp(0.0, 1.0), measured: measured.is_some() }
}

fn mean(shares: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "there are three of them")]
    let count = shares.len() as f64;
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / count)
}

/// What of the system was measured, each from 0 to 1, with what to do when it is low.
fn system(input: &HealthInput) -> Vec<(f64, Recommendation)> {
    let mut parts = Vec::new();
    if let Some(unreachable) = share(input.unreachable, input.databases) {
        parts.push((1.0 - unreachable, Recommendation::RestoreDatabases));
        #[expect(clippy::cast_precision_loss, reason = "ten of them are the end of the scale")]
        let waits = input.lock_waits.saturating_add(input.long_transactions) as f64;
        parts.push(((1.0 - WAIT * waits).max(0.0), Recommendation::ShortenTransactions));
    }
    if let Some(in_use) = input.pool_use {
        let left = (1.0 - in_use) / (1.0 - EASY_USE);
        parts.push((left.clamp(0.0, 1.0), Recommendation::EnlargePools));
    }
    if let Some(errors) = input.errors {
        parts.push(((1.0 - errors / MOST_ERRORS).clamp(0.0, 1.0), Recommendation::FixErrors));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score_of(input: &HealthInput, at: usize) -> f64 {
        (assess(input).components[at].score * 1e6).round() / 1e6
    }

    #[test]
    fn an_empty_shop_has_nothing_wrong_with_it() {
        let health = assess(&HealthInput::default());
        assert_eq!((health.score, health.grade), (1.0, Grade::Excellent));
        assert!(health.components.iter().all(|component| !component.measured) && health.recommendations.is_empty());
    }

    #[test]
    fn the_weights_make_one() {
        let health = assess(&HealthInput::default());
        let sum: f64 = health.components.iter().map(|component| component.kind.weight()).sum();
        assert!((sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_grade_begins_at_its_border() {
        for (score, grade) in [
            (1.0, Grade::Excellent),
            (0.9, Grade::Excellent),
            (0.8999, Grade::Good),
            (0.75, Grade::Good),
            (0.7499, Grade::Warning),
            (0.6, Grade::Warning),
            (0.5999, Grade::Critical),
            (0.0, Grade::Critical),
            (f64::NAN, Grade::Critical),
        ] {
            assert_eq!(Grade::of(score), grade, "{score}");
        }
        // Half the satisfaction costs 0.1, half of user growth as well: both borders are met exactly.
        let half_content = HealthInput { rating: Some(3.0), ..HealthInput::default() };
        assert_eq!((assess(&half_content).score, assess(&half_content).grade), (0.9, Grade::Excellent));
        let half_sold = HealthInput { transactions: vec![0.5], rating: Some(3.0), ..HealthInput::default() };
        assert_eq!((assess(&half_sold).score, assess(&half_sold).grade), (0.75, Grade::Good));
        let nothing_sold = HealthInput { transactions: vec![0.0, 0.0], rating: Some(3.0), ..HealthInput::default() };
        assert_eq!((assess(&nothing_sold).score, assess(&nothing_sold).grade), (0.6, Grade::Warning));
    }

    #[test]
    fn components_are_as_they_are_described() {
        let growth = |gained, lost| score_of(&HealthInput { gained, lost, ..HealthInput::default() }, 0);
        assert_eq!([growth(3, 1), growth(0, 5), growth(5, 0), growth(u64::MAX, u64::MAX)], [0.75, 0.0, 1.0, 1.0]);
        let satisfaction = |rating| score_of(&HealthInput { rating: Some(rating), ..HealthInput::default() }, 3);
        assert_eq!([satisfaction(1.0), satisfaction(4.0), satisfaction(5.0), satisfaction(9.0)], [0.0, 0.75, 1.0, 1.0]);
        let system = |input| score_of(&input, 2);
        let databases = HealthInput { databases: 2, ..HealthInput::default() };
        assert_eq!(system(HealthInput { unreachable: 1, ..databases.clone() }), 0.5);
        assert_eq!(system(HealthInput { lock_waits: 2, long_transactions: 1, ..databases.clone() }), 0.7);
        assert_eq!(system(HealthInput { lock_waits: u64::MAX, ..databases.clone() }), 0.0);
        assert_eq!(system(HealthInput { pool_use: Some(0.85), ..databases.clone() }), 0.5);
        assert_eq!(system(HealthInput { pool_use: Some(0.5), errors: Some(0.05), ..databases }), 0.5);
    }

    #[test]
    fn what_is_low_is_recommended_and_nothing_else() {
        let worst = HealthInput {
            gained: 0,
            lost: 1,
            transactions: vec![0.0],
            errors: Some(1.0),
            databases: 1,
            unreachable: 1,
            lock_waits: 9,
            long_transactions: 9,
            pool_use: Some(1.0),
            rating: Some(1.0),
        };
        let health = assess(&worst);
        assert_eq!((health.score, health.grade), (0.0, Grade::Critical));
        assert_eq!(health.recommendations.len(), 7);
        let slow = HealthInput { databases: 1, lock_waits: 3, ..HealthInput::default() };
        assert_eq!(assess(&slow).recommendations, [Recommendation::ShortenTransactions]);
    }
}
