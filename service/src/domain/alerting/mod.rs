//! Alerting: rules over observations, the alerts they raise, and how those reach people.
//!
//! A rule has a [`Condition`]: a threshold, a price, a rate of change, an absence, or several of them. [`Observation`]s are
//! judged by every rule that looks at their subject, by as many instances as there are: what a rule remembers is in the
//! database, and each breach raises one alert. [`Alerting::sweep`] is for what time alone brings about. An alert is a row
//! of a queue until workers have delivered it, at least once, on the channels of its severity.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let config = stanchion::config::Config::new(stanchion::config::Database::new(format!("sqlite://{}/s.db", folder.path().display()).parse()?));
//! # stanchion::App::migrate(&config).await?;
//! # let app = stanchion::App::start(config).await?;
//! use stanchion::domain::alerting::{Condition, NewRule, Observation, PriceDirection};
//! use stanchion::types::new_id;
//!
//! let condition =
//!     Condition::Price { symbol: "ETHUSDT".parse()?, direction: PriceDirection::Above, price: 1850.0 };
//! let rule = app.alerting().create_rule(NewRule::new(new_id(), "ETH is dear".parse()?, condition)).await?;
//!
//! let evaluated = app.alerting().evaluate(&[Observation::price("ETHUSDT", 1851.2, app.clock().now())?]).await?;
//! let alert = app.alerting().alert(evaluated.fired[0]).await?;
//! assert_eq!((alert.rule_id, alert.title.as_str()), (Some(rule.id), "ETH is dear"));
//! # app.close().await; Ok(()) }
//! ```

mod channel;
mod condition;
mod deliver;
mod evaluate;
mod history;
mod queue;
mod rules;
mod state;
mod step;

use std::time::Duration;

use uuid::Uuid;

pub use channel::{Channel, Channels, SendError};
pub use condition::{
    ChangeDirection, Comparison, Condition, MAX_CONDITIONS, MAX_DEPTH, MAX_NUMBER, MAX_SECONDS, PriceDirection,
    Require, Subject,
};
pub use deliver::Delivered;
pub use evaluate::{Evaluated, MAX_AHEAD, MAX_OBSERVATIONS, Observation, evaluate};
pub use history::{AlertFilter, alert, alerts, deliveries};
pub use queue::{
    Claim, MAX_CLAIM, NewAlert, Outcome, Recorded, Report, RetrySchedule, acknowledge, claim, enqueue, record, retry,
};
pub use rules::{NewRule, RuleChange, RuleFilter, create_rule, delete_rule, rule, rule_state, rules, update_rule};

use crate::Error;
use crate::clock::Clock;
use crate::config::Alerting as Settings;
use crate::db::{Db, Page};
use crate::entity::alerting::alert::Model as Alert;
use crate::entity::alerting::alert_delivery::Model as Delivery;
use crate::entity::alerting::alert_rule::Model as Rule;
use crate::entity::alerting::alert_rule_state::Model as RuleState;

/// The alerting service, on the database that the domain lives in.
#[derive(Clone, Copy, Debug)]
pub struct Alerting<'a> {
    db: &'a Db,
    clock: &'a dyn Clock,
    settings: &'a Settings,
    channels: &'a Channels,
    schedule: RetrySchedule,
}

impl<'a> Alerting<'a> {
    pub(crate) const fn new(db: &'a Db, clock: &'a dyn Clock, settings: &'a Settings, channels: &'a Channels) -> Self {
        let Settings { max_attempts, backoff, max_backoff, .. } = *settings;
        let schedule = RetrySchedule { max_attempts, backoff, max_backoff };
        Self { db, clock, settings, channels, schedule }
    }

    /// The same service with other channels: those that are configured, and some of the service's own.
    ///
    /// ```
    /// # use stanchion::domain::alerting::{Channel, Channels, SendError};
    /// # use stanchion::entity::alerting::{self, alert::Model as Alert};
    /// #[derive(Debug)]
    /// struct Pager;
    ///
    /// #[async_trait::async_trait]
    /// impl Channel for Pager {
    ///     fn name(&self) -> alerting::Channel {
    ///         alerting::Channel::Sms
    ///     }
    ///
    ///     async fn send(&self, alert: &Alert) -> Result<(), SendError> {
    ///         if alert.title.is_empty() { Err(SendError::refused("nothing to say")) } else { Ok(()) }
    ///     }
    /// }
    ///
    /// # async fn example(app: &stanchion::App) -> Result<(), stanchion::Error> {
    /// let channels = Channels::configured(&app.config().alerting)?.with(Pager);
    /// app.alerting().with_channels(&channels).deliver(100).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub const fn with_channels<'b>(self, channels: &'b Channels) -> Alerting<'b>
    where
        'a: 'b,
    {
        let Self { db, clock, settings, schedule, .. } = self;
        Alerting { db, clock, settings, channels, schedule }
    }

    /// Writes a rule; from now on it looks. Five round trips.
    ///
    /// # Errors
    /// As [`create_rule`].
    pub async fn create_rule(&self, rule: NewRule) -> Result<Rule, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| create_rule(tx, rule.clone(), now).await).await
    }

    /// Changes a rule that is still at `version`. Six round trips; eight with another condition.
    ///
    /// # Errors
    /// As [`update_rule`].
    pub async fn update_rule(&self, id: Uuid, version: i32, change: RuleChange) -> Result<Rule, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| update_rule(tx, id, version, change.clone(), now).await).await
    }

    /// Deletes a rule with its state and its alerts. Four round trips.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn delete_rule(&self, id: Uuid) -> Result<(), Error> {
        self.db.transaction(async |tx| delete_rule(tx, id).await).await
    }

    /// One rule. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn rule(&self, id: Uuid) -> Result<Rule, Error> {
        rule(self.db.reader(), id).await
    }

    /// A page of rules. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn rules(&self, filter: &RuleFilter) -> Result<Page<Rule>, Error> {
        rules(self.db.reader(), filter).await
    }

    /// What a rule has seen so far. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn rule_state(&self, id: Uuid) -> Result<RuleState, Error> {
        rule_state(self.db.reader(), id).await
    }

    /// Takes observations in, over every active rule that looks at one of their subjects, two hundred rules a transaction.
    /// One round trip when no rule looks; six for each two hundred rules, seven when an alert is raised.
    ///
    /// An observation that is not newer than the last one of its subject is late and changes nothing: a stream may be
    /// repeated, and evaluated by several instances at once, each in the order of time, and each breach raises one alert.
    ///
    /// # Errors
    /// As [`evaluate`]; then the rules before those that failed have taken the observations in, and repeating is harmless.
    ///
    /// # Cancellation
    /// As an error.
    pub async fn evaluate(&self, observations: &[Observation]) -> Result<Evaluated, Error> {
        let now = self.clock.now();
        let observations = evaluate::in_order(observations, now)?;
        let attempts = self.schedule.max_attempts;
        let mut evaluated = Evaluated::default();
        let mut after = None;
        loop {
            let ids = evaluate::looking_at(self.db.writer(), &observations, after).await?;
            if !ids.is_empty() {
                let take_in = self.db.transaction(async |tx| {
                    evaluate::take_in(tx, &ids, &observations, attempts, now).await //
                });
                evaluated += take_in.await?;
            }
            after = ids.last().copied().filter(|_| ids.len() as u64 == evaluate::CHUNK);
            if after.is_none() {
                return Ok(evaluated);
            }
        }
    }

    /// Raises what time alone has brought about: absences, holds that ran out, cooldowns that ended while a breach is on.
    /// One round trip when nothing is due; six for each two hundred rules, seven when an alert is raised.
    ///
    /// It may be called at any time by any number of instances; the alerts say when it happened, not when it was noticed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sweep(&self) -> Result<Evaluated, Error> {
        let now = self.clock.now();
        let attempts = self.schedule.max_attempts;
        let mut evaluated = Evaluated::default();
        loop {
            let ids = evaluate::due(self.db.writer(), now).await?;
            if !ids.is_empty() {
                let pass = self.db.transaction(async |tx| evaluate::let_pass(tx, &ids, attempts, now).await);
                evaluated += pass.await?;
            }
            if (ids.len() as u64) < evaluate::CHUNK {
                return Ok(evaluated);
            }
        }
    }

    /// Raises an alert. One round trip; two with a key.
    ///
    /// With a key that was used before, nothing happens and the alert that was raised then is returned.
    ///
    /// # Errors
    /// [`Error::Value`] for a blank title.
    pub async fn enqueue(&self, alert: NewAlert) -> Result<Alert, Error> {
        enqueue(self.db.writer(), alert, self.schedule.max_attempts, self.clock.now()).await
    }

    /// Takes up to `n` alerts that are due, for as long as `lease`: for a service that delivers by itself. Five round trips.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim(&self, n: u32, lease: Duration) -> Result<Vec<Claim>, Error> {
        let now = self.clock.now();
        self.db.transaction(async |tx| claim(tx, n, lease, now).await).await
    }

    /// Records what the channels of a claim said. Six round trips.
    ///
    /// # Errors
    /// [`Error::Stale`] when the lease ended and another worker has taken the alert since; what was delivered is recorded
    /// all the same. [`Error::NotFound`], and those of the database.
    pub async fn record(&self, claim: &Claim, reports: &[Report]) -> Result<Recorded, Error> {
        let (id, attempt) = (claim.alert.id, claim.alert.attempts);
        let now = self.clock.now();
        let schedule = self.schedule;
        let recorded = self.db.transaction(async |tx| record(tx, id, attempt, reports, &schedule, now).await).await?;
        recorded.ok_or_else(|| Error::stale("alert", id))
    }

    /// Takes notice of an alert: from then on it is not delivered any more. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it is acknowledged already.
    pub async fn acknowledge(&self, id: Uuid) -> Result<(), Error> {
        acknowledge(self.db.writer(), id, self.clock.now()).await
    }

    /// Gives a failed alert as many attempts again, on the channels that it did not reach. Four round trips.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] when it has not failed.
    pub async fn retry(&self, id: Uuid) -> Result<(), Error> {
        let now = self.clock.now();
        let attempts = self.schedule.max_attempts;
        self.db.transaction(async |tx| retry(tx, id, attempts, now).await).await
    }

    /// One alert. One round trip.
    ///
    /// # Errors
    /// [`Error::NotFound`], and those of the database.
    pub async fn alert(&self, id: Uuid) -> Result<Alert, Error> {
        alert(self.db.reader(), id).await
    }

    /// A page of alerts. One round trip.
    ///
    /// # Errors
    /// [`Error::Cursor`] for a cursor of another filter, and those of the database.
    pub async fn alerts(&self, filter: &AlertFilter) -> Result<Page<Alert>, Error> {
        alerts(self.db.reader(), filter).await
    }

    /// How far an alert got, a row for each channel that was tried. One round trip.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn deliveries(&self, alert_id: Uuid) -> Result<Vec<Delivery>, Error> {
        deliveries(self.db.reader(), alert_id).await
    }
}
