use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use sea_orm::ColumnType;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::column::{column_value, corrupt};
use super::{Problem, ValueError};

/// An instant in UTC, to the microsecond, from the year 1000 to the year 9999.
///
/// PostgreSQL keeps microseconds and SQLite nanoseconds, MySQL's `timestamp` whole seconds until 2038: so an instant is cut
/// to microseconds when it is made (towards the past), and stored as `timestamptz`, `datetime(6)` or text. Equal instants
/// are equal on every back end, and they sort alike.
///
/// ```
/// use stanchion_entity::types::Timestamp;
///
/// let traded_at = Timestamp::from_millis(1_570_752_011_620)?;
/// assert_eq!(traded_at.to_string(), "2019-10-11T00:00:11.620000Z");
/// # Ok::<(), stanchion_entity::types::ValueError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(DateTime<Utc>);

/// Microseconds from the epoch to the first instant of the year 1000 and to that of the year 10000.
const FIRST_MICROS: i64 = -30_610_224_000_000_000;
const END_MICROS: i64 = 253_402_300_800_000_000;

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(DateTime::UNIX_EPOCH);

    /// The instant that many microseconds after (or before) the epoch.
    ///
    /// # Errors
    /// [`Problem::InstantOutOfRange`].
    pub fn from_micros(micros: i64) -> Result<Self, ValueError> {
        let out_of_range = ValueError::new(Problem::InstantOutOfRange);
        if !(FIRST_MICROS..END_MICROS).contains(&micros) {
            return Err(out_of_range);
        }
        DateTime::from_timestamp_micros(micros).map(Self).ok_or(out_of_range)
    }

    /// The instant that many milliseconds after (or before) the epoch.
    ///
    /// # Errors
    /// [`Problem::InstantOutOfRange`].
    pub fn from_millis(millis: i64) -> Result<Self, ValueError> {
        millis.checked_mul(1_000).ok_or(ValueError::new(Problem::InstantOutOfRange)).and_then(Self::from_micros)
    }

    /// Microseconds since the epoch, negative before it.
    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// Whole milliseconds since the epoch, rounded towards the past.
    pub fn millis(self) -> i64 {
        self.0.timestamp_millis()
    }

    /// The instant so much later, to the microsecond.
    ///
    /// # Errors
    /// [`Problem::InstantOutOfRange`].
    pub fn plus(self, duration: Duration) -> Result<Self, ValueError> {
        let micros = i64::try_from(duration.as_micros()).ok().and_then(|by| self.micros().checked_add(by));
        micros.ok_or(ValueError::new(Problem::InstantOutOfRange)).and_then(Self::from_micros)
    }

    /// The instant so much earlier, to the microsecond.
    ///
    /// # Errors
    /// [`Problem::InstantOutOfRange`].
    pub fn minus(self, duration: Duration) -> Result<Self, ValueError> {
        let micros = i64::try_from(duration.as_micros()).ok().and_then(|by| self.micros().checked_sub(by));
        micros.ok_or(ValueError::new(Problem::InstantOutOfRange)).and_then(Self::from_micros)
    }

    /// How long it is after `earlier`; nothing if it is before it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.micros() - earlier.micros()).unwrap_or(0))
    }

    /// The instant as chrono's.
    pub const fn get(self) -> DateTime<Utc> {
        self.0
    }

    /// The day it falls on, in UTC.
    pub fn day(self) -> NaiveDate {
        self.0.date_naive()
    }
}

impl TryFrom<DateTime<Utc>> for Timestamp {
    type Error = ValueError;

    fn try_from(instant: DateTime<Utc>) -> Result<Self, ValueError> {
        Self::from_micros(instant.timestamp_micros())
    }
}

impl FromStr for Timestamp {
    type Err = ValueError;

    /// Reads RFC 3339, with any offset.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let malformed = ValueError::new(Problem::Malformed { expected: "an RFC 3339 instant" });
        let instant = DateTime::parse_from_rfc3339(text).map_err(|_| malformed)?;
        <Self as TryFrom<DateTime<Utc>>>::try_from(instant.to_utc())
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339, with six digits of a second and `Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<Out: Serializer>(&self, serializer: Out) -> Result<Out::Ok, Out::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<In: Deserializer<'de>>(deserializer: In) -> Result<Self, In::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

// It is bound without its zone: every session is in UTC, and sqlx tells MySQL that a `DateTime<Utc>` is a `TIMESTAMP`,
// which MariaDB then turns into null when it is before 1970 or after 2038.
column_value! {
    impl[] Timestamp as ChronoDateTime {
        column_type: ColumnType::TimestampWithTimeZone,
        into: |value| value.0.naive_utc(),
        from: |inner| <Timestamp as TryFrom<DateTime<Utc>>>::try_from(inner.and_utc()),
        read: |row, index| {
            let instant = if row.try_as_sqlite_row().is_some() {
                let text = <String as sea_orm::TryGetable>::try_get_by(row, index)?;
                let parsed = NaiveDateTime::parse_from_str(&text, SQLITE_FORMAT).map(|naive| naive.and_utc());
                parsed.map_err(|_| corrupt("Timestamp", ValueError::new(Problem::Malformed { expected: "an instant" })))?
            } else {
                <DateTime<Utc> as sea_orm::TryGetable>::try_get_by(row, index)?
            };
            <Timestamp as TryFrom<DateTime<Utc>>>::try_from(instant).map_err(|error| corrupt("Timestamp", error))
        },
    }
}

/// SQLite's own form of an instant, which its functions read as well; it sorts as time.
const SQLITE_FORMAT: &str = "%F %T%.f";

impl sea_orm::TryFromU64 for Timestamp {
    /// Refuses: an instant in a key is never made by a database's counter.
    fn try_from_u64(_: u64) -> Result<Self, sea_orm::DbErr> {
        Err(sea_orm::DbErr::ConvertFromU64("Timestamp"))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    #[test]
    fn nanoseconds_are_cut_towards_the_past() {
        let after = Timestamp::try_from(Utc.timestamp_nanos(1_999)).unwrap();
        assert_eq!(after.micros(), 1);
        let before = Timestamp::try_from(Utc.timestamp_nanos(-1)).unwrap();
        assert_eq!(before.micros(), -1);
    }

    #[test]
    fn the_years_1000_and_9999_are_the_limits() {
        assert_eq!("1000-01-01T00:00:00Z".parse::<Timestamp>().unwrap().micros(), FIRST_MICROS);
        assert_eq!("9999-12-31T23:59:59.999999Z".parse::<Timestamp>().unwrap().micros(), END_MICROS - 1);
        assert!("0999-12-31T23:59:59.999999Z".parse::<Timestamp>().is_err());
        assert!(Timestamp::from_millis(i64::MAX).is_err());
        assert!(Timestamp::from_micros(END_MICROS).is_err());
    }

    #[test]
    fn durations_are_added_within_the_range() {
        let hour = Duration::from_secs(3_600);
        let later = Timestamp::EPOCH.plus(hour).unwrap();
        assert_eq!((later.since(Timestamp::EPOCH), Timestamp::EPOCH.since(later)), (hour, Duration::ZERO));
        assert_eq!(later.minus(hour), Ok(Timestamp::EPOCH));
        for duration in [Duration::MAX, Duration::from_secs(u64::from(u32::MAX) * 100)] {
            assert!(later.plus(duration).is_err() && later.minus(duration).is_err());
        }
    }
}
