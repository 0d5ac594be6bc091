//! Market data: ticks, candles and metrics, each a series of points in time.

pub mod candle;
pub mod tick;
pub mod trading_metric;

use std::time::Duration;

use crate::types::{Timestamp, ValueError};
use crate::words;

words! {
    /// The length of a candle.
    pub enum Period {
        /// A minute.
        M1 = "1m",
        /// Five minutes.
        M5 = "5m",
        /// A quarter of an hour.
        M15 = "15m",
        /// Half an hour.
        M30 = "30m",
        /// An hour.
        H1 = "1h",
        /// Four hours.
        H4 = "4h",
        /// A day, in UTC.
        D1 = "1d",
    }
}

impl Period {
    /// How long it is. Every longer period is a whole number of each shorter one.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::M1 => 60,
            Self::M5 => 5 * 60,
            Self::M15 => 15 * 60,
            Self::M30 => 30 * 60,
            Self::H1 => 3_600,
            Self::H4 => 4 * 3_600,
            Self::D1 => 24 * 3_600,
        })
    }

    /// How long it is, in microseconds.
    pub const fn micros(self) -> i64 {
        // The longest is a day.
        self.duration().as_micros() as i64
    }

    /// The beginning of the interval that an instant falls into: a multiple of the period since the epoch, in UTC.
    ///
    /// # Errors
    /// None: the first instant that can be stored begins an interval of every period.
    pub fn interval_of(self, at: Timestamp) -> Result<Timestamp, ValueError> {
        Timestamp::from_micros(at.micros() - at.micros().rem_euclid(self.micros()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_begin_at_multiples_of_their_length_before_1970_too() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let begin = |period: Period, text| period.interval_of(at(text)).unwrap();
        assert_eq!(begin(Period::M1, "2019-10-11T00:00:59.999999Z"), at("2019-10-11T00:00:00Z"));
        assert_eq!(begin(Period::H4, "2019-10-11T00:00:00Z"), at("2019-10-11T00:00:00Z"));
        assert_eq!(begin(Period::M30, "1969-12-31T23:59:59.999999Z"), at("1969-12-31T23:30:00Z"));
        for period in Period::ALL {
            assert_eq!(begin(*period, "1000-01-01T00:00:00.000001Z"), at("1000-01-01T00:00:00Z"));
        }
    }
}
