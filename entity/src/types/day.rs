use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};
use sea_orm::ColumnType;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::column::{column_value, corrupt};
use super::{Problem, ValueError};

/// A day of the calendar, from the year 1000 to the year 9999: what every engine stores. Written `2019-10-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(NaiveDate);

impl Day {
    /// The day as chrono's.
    pub const fn get(self) -> NaiveDate {
        self.0
    }
}

impl TryFrom<NaiveDate> for Day {
    type Error = ValueError;

    fn try_from(day: NaiveDate) -> Result<Self, ValueError> {
        if (1000..=9999).contains(&day.year()) {
            Ok(Self(day))
        } else {
            Err(ValueError::new(Problem::InstantOutOfRange))
        }
    }
}

impl FromStr for Day {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let malformed = ValueError::new(Problem::Malformed { expected: "a day as in 2019-10-11" });
        let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| malformed)?;
        <Self as TryFrom<NaiveDate>>::try_from(day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Day {
    fn serialize<Out: Serializer>(&self, serializer: Out) -> Result<Out::Ok, Out::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<In: Deserializer<'de>>(deserializer: In) -> Result<Self, In::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

column_value! {
    impl[] Day as ChronoDate {
        column_type: ColumnType::Date,
        into: |value| value.0,
        from: |inner| <Day as TryFrom<NaiveDate>>::try_from(inner),
        read: |row, index| {
            let day = <NaiveDate as sea_orm::TryGetable>::try_get_by(row, index)?;
            <Day as TryFrom<NaiveDate>>::try_from(day).map_err(|error| corrupt("Day", error))
        },
    }
}
