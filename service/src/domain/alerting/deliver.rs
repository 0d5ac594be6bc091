use std::panic::AssertUnwindSafe;
use std::pin::pin;

use futures::FutureExt as _;
use futures::future::join_all;

use super::Alerting;
use super::channel::{Channel, Channels, SendError};
use super::queue::{Claim, Outcome, Recorded, Report};
use crate::Error;
use crate::config::alerting::{AlertChannel, Alerting as Settings};
use crate::entity::alerting::alert::Model as Alert;
use crate::entity::alerting::{Channel as Name, Severity};

/// Alerts that a worker sends at once.
const AT_ONCE: u32 = 16;

/// What a pass of a worker did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// Alerts that were taken.
    pub claimed: usize,
    /// Alerts that have reached every channel that did not give up.
    pub sent: usize,
    /// Alerts that are tried again later.
    pub retried: usize,
    /// Alerts that are given up.
    pub failed: usize,
    /// Alerts that somebody acknowledged meanwhile, or another worker took when the lease had ended.
    pub overtaken: usize,
}

/// The channels that a severity's alerts go to.
pub(super) fn routed(settings: &Settings, channels: &Channels, severity: Severity) -> Vec<Name> {
    let route = match severity {
        Severity::Critical => &settings.routes.critical,
        Severity::High => &settings.routes.high,
        Severity::Warning => &settings.routes.warning,
        Severity::Info => &settings.routes.info,
    };
    let mut names: Vec<Name> = route.iter().copied().map(name_of).collect();
    // Better in the log than nowhere.
    if !names.is_empty() && names.iter().all(|name| channels.get(*name).is_none()) {
        names.push(Name::Log);
    }
    names
}

const fn name_of(channel: AlertChannel) -> Name {
    match channel {
        AlertChannel::Email => Name::Email,
        AlertChannel::Wechat => Name::Wechat,
        AlertChannel::Sms => Name::Sms,
        AlertChannel::Slack => Name::Slack,
        AlertChannel::Telegram => Name::Telegram,
        AlertChannel::Webhook => Name::Webhook,
        AlertChannel::Log => Name::Log,
    }
}

impl Alerting<'_> {
    /// Delivers up to `n` alerts that are due, sixteen at a time: takes them, sends each on the channels that it has not
    /// reached yet, all at once, and records what they said. Five round trips for each sixteen, and six for each alert.
    ///
    /// A channel that is routed but not configured is recorded as skipped; where none of a severity's channels is, the log
    /// is taken.
    ///
    /// # Errors
    /// Those of the database. What is not recorded then is delivered again when its lease has ended.
    ///
    /// # Cancellation
    /// A dropped future leaves the alerts that it held to whoever comes when their lease has ended.
    pub async fn deliver(&self, n: u32) -> Result<Delivered, Error> {
        let mut delivered = Delivered::default();
        let mut left = n;
        while left > 0 {
            let wanted = left.clamp(1, AT_ONCE);
            let claims = self.claim(wanted, self.settings.lease).await?;
            left = left.saturating_sub(wanted);
            delivered.claimed += claims.len();
            let done = join_all(claims.iter().map(|claim| self.deliver_one(claim))).await;
            let mut failed = None;
            for recorded in done {
                match recorded {
                    Ok(Recorded::Sent) => delivered.sent += 1,
                    Ok(Recorded::Retry(_)) => delivered.retried += 1,
                    Ok(Recorded::Failed) => delivered.failed += 1,
                    Ok(Recorded::Acknowledged) => delivered.overtaken += 1,
                    Err(error) if error.is_stale() || error.is_not_found() => delivered.overtaken += 1,
                    Err(error) => failed = Some(error),
                }
            }
            if let Some(error) = failed {
                return Err(error);
            }
            if claims.len() < wanted as usize {
                break;
            }
        }
        Ok(delivered)
    }

    /// Works until `shutdown` is ready: [sweeps](Self::sweep), [delivers](Self::deliver) what is due, and rests for the
    /// configured time when there was nothing. What is in flight when `shutdown` comes is finished first.
    ///
    /// Any number of workers may run at once. A database that fails is logged, and tried again.
    ///
    /// # Cancellation
    /// As [`deliver`](Self::deliver).
    pub async fn run(&self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            let pass = async {
                self.sweep().await?;
                self.deliver(AT_ONCE).await
            };
            let busy = match pass.await {
                Ok(delivered) => delivered.claimed >= AT_ONCE as usize,
                Err(error) => {
                    tracing::warn!(%error, "a pass over the alerts failed; it is tried again");
                    false
                }
            };
            let rest = if busy { std::time::Duration::ZERO } else { self.settings.poll };
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    async fn deliver_one(&self, claim: &Claim) -> Result<Recorded, Error> {
        let names = routed(self.settings, self.channels, claim.alert.severity);
        let wanted = names.into_iter().filter(|name| claim.wants(*name));
        let reports = join_all(wanted.map(async |channel| {
            let outcome = match self.channels.get(channel) {
                Some(channel) => self.send(channel, &claim.alert).await,
                None => Outcome::Skipped,
            };
            Report { channel, outcome }
        }));
        let reports = reports.await;
        self.record(claim, &reports).await
    }

    async fn send(&self, channel: &dyn Channel, alert: &Alert) -> Outcome {
        // A channel of a service's own may panic; the other channels, and the other alerts, are none of its business.
        let sending = AssertUnwindSafe(channel.send(alert)).catch_unwind();
        let sent = match tokio::time::timeout(self.settings.timeout, sending).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(_)) => Err(SendError::retry("the channel panicked")),
            Err(_) => Err(SendError::retry("no answer in time")),
        };
        if let Err(error) = &sent {
            tracing::warn!(alert = %alert.id, channel = %channel.name(), %error, "an alert was not delivered");
        }
        match sent {
            Ok(()) => Outcome::Delivered,
            Err(SendError::Retry { reason, after }) => Outcome::Retry { error: reason, after },
            Err(SendError::Refused { reason }) => Outcome::Refused { error: reason },
        }
    }
}
