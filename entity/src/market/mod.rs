//! Market data: ticks, candles and metrics, each a series of points in time.

pub mod candle;
pub mod tick;
pub mod trading_metric;

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
