use std::fmt;
use std::time::Duration;

use super::error::CacheError;

/// The longest that anything is kept.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// How a [`Cache`](super::Cache) is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// What every key in Redis starts with, so that services can share a server: 1 to 64 letters, digits and `_ - . :`.
    /// Default `stanchion`.
    pub prefix: String,
    /// What the first level holds at most: entries, or what the namespaces' weighers make of them. 0 switches it off, and
    /// with it the throttle of failing loaders. Default 100,000.
    pub l1_capacity: u64,
    /// How old what is read from the first level may be while this instance cannot prove that it has heard of every
    /// invalidation; it asks Redis three times as often. 10 milliseconds to an hour. Default 1 second.
    pub max_staleness: Duration,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { prefix: "stanchion".to_owned(), l1_capacity: 100_000, max_staleness: Duration::from_secs(1) }
    }
}

impl CacheOptions {
    pub(super) fn check(&self) -> Result<(), CacheError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
        if self.prefix.is_empty() || self.prefix.len() > 64 || !self.prefix.chars().all(allowed) {
            let message = "the prefix of a cache must be 1 to 64 letters, digits and _ - . :";
            return Err(CacheError::Options(message.to_owned()));
        }
        within("max_staleness", self.max_staleness, Duration::from_millis(10), HOUR)
    }
}

/// How the entries of a namespace live.
///
/// ```
/// use std::time::Duration;
/// use stanchion::cache::NamespaceOptions;
///
/// // A minute, and for ten more when the database fails; an absent one for five seconds.
/// let options = NamespaceOptions::<String>::ttl(Duration::from_secs(60))
///     .stale_for(Duration::from_secs(600))
///     .negative_ttl(Duration::from_secs(5));
/// # drop(options);
/// ```
pub struct NamespaceOptions<V> {
    pub(super) rules: Rules,
    pub(super) weigher: Option<fn(&V) -> u32>,
}

/// What does not depend on the type of the values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rules {
    pub(super) ttl: Duration,
    pub(super) jitter: f64,
    pub(super) idle: Option<Duration>,
    pub(super) stale_for: Duration,
    pub(super) throttle: Duration,
    pub(super) soft_timeout: Option<Duration>,
    pub(super) hard_timeout: Duration,
    pub(super) refresh_ahead: f64,
    pub(super) negative_ttl: Duration,
    pub(super) wait_for_others: Duration,
    pub(super) version: u8,
    pub(super) local_only: bool,
}

impl<V> NamespaceOptions<V> {
    /// Entries that live this long after their load at most: 1 millisecond to 30 days. There is no default.
    #[must_use]
    pub fn ttl(ttl: Duration) -> Self {
        let rules = Rules {
            ttl,
            jitter: 0.1,
            idle: None,
            stale_for: Duration::ZERO,
            throttle: Duration::from_secs(1),
            soft_timeout: None,
            hard_timeout: Duration::from_secs(30),
            refresh_ahead: 0.0,
            negative_ttl: ttl.min(Duration::from_secs(10)),
            wait_for_others: Duration::from_secs(1),
            version: 0,
            local_only: false,
        };
        Self { rules, weigher: None }
    }

    /// The share of the TTL that chance may take off it, so that entries which were loaded together do not end together:
    /// 0 to 0.9. Default 0.1.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        self.rules.jitter = share;
        self
    }

    /// An entry that nobody has read for so long leaves the first level; in Redis it stays until its TTL. At least 1
    /// millisecond. Default: none does.
    #[must_use]
    pub fn idle(mut self, time: Duration) -> Self {
        self.rules.idle = Some(time);
        self
    }

    /// How long after its TTL an entry may still be served if its loader fails, or takes longer than the soft timeout. One
    /// that was invalidated never is. Up to 30 days. Default 0: not at all.
    #[must_use]
    pub fn stale_for(mut self, time: Duration) -> Self {
        self.rules.stale_for = time;
        self
    }

    /// How long a loader that failed is left alone while a stale entry is served in its stead. Default 1 second.
    #[must_use]
    pub fn stale_throttle(mut self, time: Duration) -> Self {
        self.rules.throttle = time;
        self
    }

    /// How long callers wait for a loader where there is a stale entry to serve; it goes on in the background. Default:
    /// until the hard timeout.
    #[must_use]
    pub fn soft_timeout(mut self, time: Duration) -> Self {
        self.rules.soft_timeout = Some(time);
        self
    }

    /// How long a loader may take; then it is dropped, and its callers get [`CacheError::Timeout`] or a stale entry. 1
    /// millisecond to an hour. Default 30 seconds.
    #[must_use]
    pub fn hard_timeout(mut self, time: Duration) -> Self {
        self.rules.hard_timeout = time;
        self
    }

    /// The last share of the TTL in which a read loads the entry anew in the background, once: 0 to 0.9, and less than what
    /// the [jitter](Self::jitter) leaves. Default 0: none does.
    #[must_use]
    pub fn refresh_ahead(mut self, share: f64) -> Self {
        self.rules.refresh_ahead = share;
        self
    }

    /// How long it is kept that there is nothing: 1 millisecond to 30 days. Default 10 seconds, or the TTL if that is
    /// shorter.
    #[must_use]
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.rules.negative_ttl = ttl;
        self
    }

    /// How long a load that another process has begun is waited for before one's own begins. It saves work, no more. Up to
    /// an hour. Default 1 second.
    #[must_use]
    pub fn wait_for_others(mut self, time: Duration) -> Self {
        self.rules.wait_for_others = time;
        self
    }

    /// The version of the values' shape: entries in Redis with another one are passed over, and written anew. Default 0.
    #[must_use]
    pub fn version(mut self, version: u8) -> Self {
        self.rules.version = version;
        self
    }

    /// Keeps the values in the process only. They are invalidated from everywhere all the same.
    #[must_use]
    pub fn local_only(mut self) -> Self {
        self.rules.local_only = true;
        self
    }

    /// What a value takes of the first level's capacity; 0 counts as 1. Default: each takes 1.
    #[must_use]
    pub fn weigher(mut self, weigher: fn(&V) -> u32) -> Self {
        self.weigher = Some(weigher);
        self
    }

    pub(super) fn check(&self) -> Result<(), CacheError> {
        let (rules, least) = (&self.rules, Duration::from_millis(1));
        within("ttl", rules.ttl, least, LONGEST)?;
        within("negative_ttl", rules.negative_ttl, least, LONGEST)?;
        within("idle", rules.idle.unwrap_or(least), least, LONGEST)?;
        within("stale_for", rules.stale_for, Duration::ZERO, LONGEST)?;
        within("stale_throttle", rules.throttle, Duration::ZERO, LONGEST)?;
        within("soft_timeout", rules.soft_timeout.unwrap_or_default(), Duration::ZERO, HOUR)?;
        within("hard_timeout", rules.hard_timeout, least, HOUR)?;
        within("wait_for_others", rules.wait_for_others, Duration::ZERO, HOUR)?;
        for (name, share) in [("jitter", rules.jitter), ("refresh_ahead", rules.refresh_ahead)] {
            if !(0.0..=0.9).contains(&share) {
                return Err(CacheError::Options(format!("{name} of a cache namespace must be from 0 to 0.9")));
            }
        }
        if rules.jitter + rules.refresh_ahead >= 1.0 {
            let message = "jitter and refresh_ahead of a cache namespace must be less than 1 together";
            return Err(CacheError::Options(message.to_owned()));
        }
        Ok(())
    }
}

fn within(name: &str, time: Duration, least: Duration, most: Duration) -> Result<(), CacheError> {
    if (least..=most).contains(&time) {
        return Ok(());
    }
    let (least, most) = (humantime::format_duration(least), humantime::format_duration(most));
    Err(CacheError::Options(format!("{name} of a cache must be from {least} to {most}")))
}

impl Rules {
    /// The TTL of one entry: never longer than what was asked for.
    pub(super) fn ttl_of(&self, negative: bool) -> Duration {
        let ttl = if negative { self.negative_ttl } else { self.ttl };
        ttl.mul_f64(1.0 - self.jitter * fastrand::f64()).max(Duration::from_millis(1))
    }

    /// How long an entry may be served after its TTL: that there is nothing is not worth it.
    pub(super) fn stale_of(&self, negative: bool) -> Duration {
        if negative { Duration::ZERO } else { self.stale_for }
    }

    /// The longest that an entry is kept.
    pub(super) fn longest(&self) -> Duration {
        (self.ttl + self.stale_for).max(self.negative_ttl)
    }
}

impl<V> Clone for NamespaceOptions<V> {
    fn clone(&self) -> Self {
        Self { rules: self.rules.clone(), weigher: self.weigher }
    }
}

impl<V> fmt::Debug for NamespaceOptions<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamespaceOptions")
            .field("rules", &self.rules)
            .field("weigher", &self.weigher.is_some())
            .finish()
    }
}
