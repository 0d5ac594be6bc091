use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Error;
use crate::db::Tx;
use crate::db::bulk::{self, Rows, Saved};
use crate::entity::journal::log_entry::{Entity, Model};
use crate::entity::journal::{LogCategory, LogLevel};
use crate::types::{AtColumn, Json, LongText, Problem, Text, Timestamp, ValueError, id_at};

/// The table of log entries.
pub const LOG_ENTRIES: &str = "log_entries";

/// A log entry to be recorded.
///
/// ```
/// use stanchion::domain::journal::NewLogEntry;
/// use stanchion::types::Timestamp;
///
/// let entry = NewLogEntry {
///     ts: Timestamp::from_millis(1_772_366_400_000)?,
///     service: "shop".parse()?,
///     action: Some("login".parse()?),
///     message: "welcome back".parse()?,
///     ..NewLogEntry::default()
/// };
/// # drop(entry);
/// # Ok::<(), stanchion::types::ValueError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLogEntry {
    /// When it happened; not before 1970.
    pub ts: Timestamp,
    /// How serious it is.
    pub level: LogLevel,
    /// The service that logs it; not blank.
    pub service: Text<64>,
    /// What it is about.
    pub category: LogCategory,
    /// What was done: `login`, `place_order`, ...
    pub action: Option<Text<64>>,
    /// The request that it belongs to.
    pub request_id: Option<Text<64>>,
    /// The user that it is about.
    pub user_id: Option<Uuid>,
    /// The session that it belongs to.
    pub session_id: Option<Text<64>>,
    /// What happened, in words.
    pub message: LongText,
    /// The event's fields: an object. `Json::default()`, which is null, stands for an empty one.
    pub data: Json,
    /// Its tags.
    pub tags: Vec<String>,
    /// The error that is logged.
    pub error: Option<LogError>,
    /// How long it took, in milliseconds, not below zero.
    pub duration_ms: Option<i64>,
    /// When it may be deleted; never, if there is none. [`Retention`] sets it by kind.
    pub expires_at: Option<Timestamp>,
}

/// An error as a log entry keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogError {
    /// Its kind, if that is known.
    pub name: String,
    /// What it says.
    pub message: String,
    /// What caused it, or where it comes from.
    pub stack: String,
}

impl Default for NewLogEntry {
    /// Nothing of the service itself, at level `info`: to fill in.
    fn default() -> Self {
        Self {
            ts: Timestamp::EPOCH,
            level: LogLevel::Info,
            service: Text::default(),
            category: LogCategory::System,
            action: None,
            request_id: None,
            user_id: None,
            session_id: None,
            message: LongText::default(),
            data: Json::default(),
            tags: Vec::new(),
            error: None,
            duration_ms: None,
            expires_at: None,
        }
    }
}

impl NewLogEntry {
    /// The row that it becomes, recorded at `now`.
    ///
    /// # Errors
    /// What is wrong with it, naming the column: a blank service, a time before 1970, data that is no object, a duration
    /// below zero, a NUL in a tag or in the error.
    pub fn into_model(self, now: Timestamp) -> Result<Model, ValueError> {
        let data = match &*self.data {
            serde_json::Value::Null => Json::of(&serde_json::Map::new()).at("log_entries.data")?,
            serde_json::Value::Object(_) => self.data,
            _ => return Err(malformed("log_entries.data", "an object")),
        };
        if self.duration_ms.is_some_and(|duration| duration < 0) {
            return Err(malformed("log_entries.duration_ms", "a duration of zero or more"));
        }
        Ok(Model {
            id: entry_id(self.ts).at("log_entries.ts")?,
            ts: self.ts,
            level: self.level,
            service: self.service.non_blank().at("log_entries.service")?,
            category: self.category,
            action: self.action,
            request_id: self.request_id,
            user_id: self.user_id,
            session_id: self.session_id,
            message: self.message,
            data,
            tags: Json::of(&self.tags).at("log_entries.tags")?,
            error: self.error.map(|error| Json::of(&error)).transpose().at("log_entries.error")?,
            duration_ms: self.duration_ms,
            expires_at: self.expires_at,
            created_at: now,
        })
    }
}

const fn malformed(column: &'static str, expected: &'static str) -> ValueError {
    ValueError::at(column, Problem::Malformed { expected })
}

/// An id whose time is `ts`: in the order of time to the microsecond, not the millisecond alone, and of one process also in
/// the order of the calls. A log is read in this order, and much happens within a millisecond.
fn entry_id(ts: Timestamp) -> Result<Uuid, ValueError> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // The twelve bits after the version are a fraction of the millisecond (RFC 9562, 6.2, method 3), the 32 after the
    // variant count.
    let micros = u128::try_from(ts.micros().rem_euclid(1_000)).unwrap_or(0);
    let fraction = micros * 4_096 / 1_000;
    let count = u128::from(CALLS.fetch_add(1, Ordering::Relaxed));
    let random = id_at(ts)?.as_u128() & !((0xfff << 64) | (0xffff_ffff << 30));
    Ok(Uuid::from_u128(random | (fraction << 64) | (count << 30)))
}

/// How long log entries are kept, by what they are: of the times that are set for an entry's category and for its level the
/// longer one, so that nothing goes that something asks to keep; where none of the two is set, the default.
///
/// ```
/// use std::time::Duration;
/// use stanchion::domain::journal::Retention;
/// use stanchion::entity::journal::{LogCategory, LogLevel};
///
/// const DAY: Duration = Duration::from_secs(86_400);
/// let retention = Retention::of(30 * DAY)
///     .level(LogLevel::Debug, 3 * DAY)
///     .category(LogCategory::SecurityAudit, 365 * DAY);
/// # drop(retention);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    default: Option<Duration>,
    categories: Vec<(LogCategory, Duration)>,
    levels: Vec<(LogLevel, Duration)>,
}

impl Retention {
    /// Everything is kept for ever.
    pub const fn forever() -> Self {
        Self { default: None, categories: Vec::new(), levels: Vec::new() }
    }

    /// Entries are kept so long.
    pub const fn of(default: Duration) -> Self {
        Self { default: Some(default), categories: Vec::new(), levels: Vec::new() }
    }

    /// Entries of this category are kept so long.
    #[must_use]
    pub fn category(mut self, category: LogCategory, kept: Duration) -> Self {
        self.categories.retain(|(known, _)| *known != category);
        self.categories.push((category, kept));
        self
    }

    /// Entries of this level are kept so long.
    #[must_use]
    pub fn level(mut self, level: LogLevel, kept: Duration) -> Self {
        self.levels.retain(|(known, _)| *known != level);
        self.levels.push((level, kept));
        self
    }

    /// Sets when the entry expires, unless that is said already.
    pub fn apply(&self, entry: &mut NewLogEntry) {
        if entry.expires_at.is_none() {
            entry.expires_at = self.expiry(entry.ts, entry.category, entry.level);
        }
    }

    fn expiry(&self, ts: Timestamp, category: LogCategory, level: LogLevel) -> Option<Timestamp> {
        let category = self.categories.iter().filter(|(known, _)| *known == category).map(|(_, kept)| *kept);
        let level = self.levels.iter().filter(|(known, _)| *known == level).map(|(_, kept)| *kept);
        let kept = category.chain(level).max().or(self.default)?;
        // What expires after the year 9999 does not expire.
        ts.plus(kept).ok()
    }
}

/// Records entries in the caller's transaction; one whose id is there already changes nothing. On PostgreSQL the partitions
/// of their months have to exist.
///
/// # Errors
/// Those of [`bulk::insert`].
pub async fn record(tx: &Tx, entries: impl IntoIterator<Item = Model>) -> Result<Saved, Error> {
    bulk::insert(tx, &Rows::of::<Entity>(entries)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::id_time;

    #[test]
    fn ids_are_in_the_order_of_time_and_of_the_calls() {
        let at = |micros: i64| Timestamp::from_micros(1_772_366_400_000_000 + micros).unwrap();
        let ids: Vec<Uuid> = [0, 0, 0, 1, 2, 2, 999, 1_000].map(|micros| entry_id(at(micros)).unwrap()).to_vec();
        assert!(ids.is_sorted(), "{ids:?}");
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert_eq!(id_time(ids[7]), Some(at(1_000)));
    }

    #[test]
    fn the_longer_time_is_kept_and_what_is_said_is_left_alone() {
        let day = Duration::from_secs(86_400);
        let retention =
            Retention::of(30 * day).level(LogLevel::Debug, 3 * day).category(LogCategory::SecurityAudit, 365 * day);
        let expiry = |category, level| retention.expiry(Timestamp::EPOCH, category, level).unwrap();
        let after = |days| Timestamp::EPOCH.plus(day * days).unwrap();
        assert_eq!(expiry(LogCategory::System, LogLevel::Info), after(30));
        assert_eq!(expiry(LogCategory::System, LogLevel::Debug), after(3));
        assert_eq!(expiry(LogCategory::SecurityAudit, LogLevel::Debug), after(365));
        let mut entry = NewLogEntry { expires_at: Some(after(1)), ..NewLogEntry::default() };
        retention.apply(&mut entry);
        assert_eq!(entry.expires_at, Some(after(1)));
        let forever = Retention::of(Duration::MAX).expiry(Timestamp::EPOCH, LogCategory::System, LogLevel::Info);
        assert_eq!((forever, Retention::forever().default), (None, None));
    }
}
