use std::sync::Arc;
use std::time::Duration;

use tracing::Level;

use crate::clock::{Clock, SystemClock};
use crate::domain::journal::Retention;
use crate::types::Text;

/// Words in the names of fields whose values are not logged.
const SECRETS: [&str; 12] = [
    "password",
    "passwd",
    "secret",
    "token",
    "authorization",
    "cookie",
    "credential",
    "api_key",
    "apikey",
    "private_key",
    "id_card",
    "card_number",
];

/// Where the events come from that writing an entry can cause: they are passed over.
const OWN_TARGETS: [&str; 13] = [
    "sqlx",
    "sqlx_core",
    "sqlx_mysql",
    "sqlx_postgres",
    "sqlx_sqlite",
    "sea_orm",
    "sea_orm_migration",
    "stanchion::db",
    "stanchion::domain::journal",
    "rustls",
    "tokio",
    "mio",
    "runtime",
];

/// How a [`JournalLayer`](super::JournalLayer) works. What is not said is as [`LayerOptions::new`] has it.
///
/// ```
/// use stanchion::domain::journal::LayerOptions;
///
/// let options = LayerOptions { capacity: 50_000, ..LayerOptions::new("shop".parse()?) }.redact("iban");
/// # drop(options);
/// # Ok::<(), stanchion::types::ValueError>(())
/// ```
#[derive(Clone, Debug)]
pub struct LayerOptions {
    /// The service that logs; not blank.
    pub service: Text<64>,
    /// The least serious level that is logged: `INFO`.
    pub level: Level,
    /// Entries that wait to be written, at most: 10,000. What comes when so many wait is dropped, and counted.
    pub capacity: usize,
    /// Entries that are written at once, at most: 500.
    pub batch: usize,
    /// How long an entry waits for others to be written with: half a second.
    pub linger: Duration,
    /// How long the first pause is after a write that failed, and the longest one: 100 ms and 5 s.
    pub pauses: (Duration, Duration),
    /// How long [`close`](super::JournalHandle::close) waits for what is still to be written: 5 s.
    pub close_within: Duration,
    /// Characters that a message, or the value of a field, has at most; the rest is cut off, with a mark: 16,384.
    pub longest: usize,
    /// How long entries are kept: for ever.
    pub retention: Retention,
    /// Where the time comes from: the machine's clock.
    pub clock: Arc<dyn Clock>,
    /// Words, in lower case, in the names of fields whose values are not logged: see [`redact`](Self::redact).
    pub redacted: Vec<String>,
    /// Targets whose events are passed over, those among them that writing an entry can cause: see [`ignore`](Self::ignore).
    pub ignored: Vec<String>,
}

impl LayerOptions {
    /// For this service.
    pub fn new(service: Text<64>) -> Self {
        Self {
            service,
            level: Level::INFO,
            capacity: 10_000,
            batch: 500,
            linger: Duration::from_millis(500),
            pauses: (Duration::from_millis(100), Duration::from_secs(5)),
            close_within: Duration::from_secs(5),
            longest: 16_384,
            retention: Retention::forever(),
            clock: Arc::new(SystemClock),
            redacted: SECRETS.map(str::to_owned).to_vec(),
            ignored: OWN_TARGETS.map(str::to_owned).to_vec(),
        }
    }

    /// Does not log the values of fields whose name contains this word, in either case, besides those that it knows by itself
    /// (`password`, `token`, `authorization`, `secret`, `cookie`, `api_key`, ...). Messages are logged as they are.
    #[must_use]
    pub fn redact(mut self, word: impl Into<String>) -> Self {
        self.redacted.push(word.into().to_lowercase());
        self
    }

    /// Passes over events of this target and of those below it (`hyper` is also `hyper::client`).
    #[must_use]
    pub fn ignore(mut self, target: impl Into<String>) -> Self {
        self.ignored.push(target.into());
        self
    }

    pub(super) fn ignores(&self, target: &str) -> bool {
        let below = |ignored: &String| {
            target.strip_prefix(ignored.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        self.ignored.iter().any(below)
    }

    pub(super) fn hides(&self, field: &str) -> bool {
        let field = field.to_lowercase();
        self.redacted.iter().any(|word| field.contains(word.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_ignored_with_what_is_below_it_alone() {
        let options = LayerOptions::new("shop".parse().unwrap()).ignore("hyper");
        for target in
            ["sqlx", "sqlx::query", "sqlx_mysql::connection::tls", "hyper", "hyper::client", "stanchion::db::retry"]
        {
            assert!(options.ignores(target), "{target}");
        }
        for target in ["sqlx_shop", "shop", "stanchion::domain::ordering", "hyperion"] {
            assert!(!options.ignores(target), "{target}");
        }
    }

    #[test]
    fn a_secret_is_known_by_a_word_in_its_name() {
        let options = LayerOptions::new("shop".parse().unwrap()).redact("IBAN");
        for field in ["password", "user.Password", "access_token", "http.request.header.Authorization", "iban"] {
            assert!(options.hides(field), "{field}");
        }
        assert!(!options.hides("message") && !options.hides("amount"));
    }
}
