//! Indicators over candles: measurements in floating point, where the candles themselves are exact.

use std::fmt;
use std::str::FromStr;

use rust_decimal::prelude::ToPrimitive;
use ta_lib::{Core, OutRange, RetCode};

use crate::Error;
use crate::entity::market::candle::Model as Candle;
use crate::types::Price;

/// The longest period.
const LONGEST: u32 = 10_000;

/// An indicator of a series of candles, by TA-Lib's definitions.
///
/// Written `sma:20`, `ema:20`, `rsi:14`, `macd` or `macd:12,26,9`, `vwap`.
///
/// ```
/// use stanchion::domain::market::Indicator;
///
/// let rsi: Indicator = "rsi:14".parse()?;
/// assert_eq!(rsi, Indicator::Rsi { period: 14 });
/// assert!("rsi:1".parse::<Indicator>().is_err());
/// # Ok::<(), stanchion::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indicator {
    /// Simple moving average of the closes: the mean of the last `period`.
    Sma {
        /// Candles, 2 or more.
        period: u32,
    },
    /// Exponential moving average of the closes, with the weight 2 / (period + 1); the first value is the mean of the first
    /// `period` closes.
    Ema {
        /// Candles, 2 or more.
        period: u32,
    },
    /// Relative strength index of the closes, smoothed as Wilder did: 0 to 100.
    Rsi {
        /// Candles, 2 or more.
        period: u32,
    },
    /// Moving average convergence/divergence of the closes: the difference of two exponential averages, that difference's
    /// own average (the signal), and the difference of both (the histogram).
    Macd {
        /// Candles of the fast average; fewer than `slow`.
        fast: u32,
        /// Candles of the slow average.
        slow: u32,
        /// Values of the signal.
        signal: u32,
    },
    /// Volume weighted average price since the first candle given: quote volume by volume.
    Vwap,
}

impl Indicator {
    /// MACD with the periods that it is usually drawn with: 12, 26 and 9.
    pub const MACD: Self = Self::Macd { fast: 12, slow: 26, signal: 9 };

    /// The names of its values: one, or `macd`, `signal` and `histogram`.
    pub const fn lines(self) -> &'static [&'static str] {
        match self {
            Self::Macd { .. } => &["macd", "signal", "histogram"],
            _ => &["value"],
        }
    }

    /// Its values, one row a candle, in the candles' order, which has to be that of time; in a row the values of
    /// [`Indicator::lines`]. `None` for the first candles, until there are as many as it needs, and for all lines at once.
    ///
    /// Candles that are absent because nothing was traded are not made up: a period counts candles, not minutes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for periods that make no sense.
    pub fn over(self, candles: &[Candle]) -> Result<Vec<Option<Vec<f64>>>, Error> {
        self.check()?;
        if candles.is_empty() {
            return Ok(Vec::new());
        }
        let closes: Vec<f64> = candles.iter().map(|candle| float(candle.close)).collect();
        let (core, last) = (Core::new(), candles.len() - 1);
        let mut lines = vec![vec![0.0; candles.len()]; self.lines().len()];
        let computed = match (self, lines.as_mut_slice()) {
            (Self::Sma { period }, [line]) => core.sma(0, last, &closes, whole(period), line),
            (Self::Ema { period }, [line]) => core.ema(0, last, &closes, whole(period), line),
            (Self::Rsi { period }, [line]) => core.rsi(0, last, &closes, whole(period), line),
            (Self::Macd { fast, slow, signal }, [macd, average, histogram]) => {
                let [fast, slow, signal] = [fast, slow, signal].map(whole);
                core.macd(0, last, &closes, fast, slow, signal, macd, average, histogram)
            }
            (Self::Vwap, [line]) => {
                // The mean price of each candle is known: no need to guess it from its high, low and close.
                let means: Vec<f64> = candles.iter().map(mean).collect();
                let volumes: Vec<f64> =
                    candles.iter().map(|candle| candle.volume.get().to_f64().unwrap_or(0.0)).collect();
                core.vwap(0, last, &means, &means, &means, &volumes, line)
            }
            _ => Err(RetCode::InternalError),
        };
        let OutRange { beg_idx, count } = computed.map_err(|code| Error::Invalid(format!("{self}: {code}")))?;
        let row = |at: usize| lines.iter().map(|line| line[at]).collect();
        let values = (0..candles.len()).map(|at| at.checked_sub(beg_idx).filter(|at| *at < count).map(row));
        Ok(values.collect())
    }

    fn check(self) -> Result<(), Error> {
        let periods: &[u32] = match self {
            Self::Sma { period } | Self::Ema { period } | Self::Rsi { period } => &[period],
            Self::Macd { fast, slow, signal } if fast < slow && signal > 0 => &[fast, slow],
            Self::Macd { .. } => &[0],
            Self::Vwap => &[],
        };
        if periods.iter().all(|period| (2..=LONGEST).contains(period)) {
            return Ok(());
        }
        let rule = match self {
            Self::Macd { .. } => "takes a fast period shorter than its slow one, and a signal",
            _ => "takes a period of candles",
        };
        Err(Error::Invalid(format!("{self} cannot be computed: it {rule}, each from 2 to {LONGEST}")))
    }
}

fn whole(period: u32) -> i32 {
    // Periods have been checked to be small.
    i32::try_from(period).unwrap_or(i32::MAX)
}

fn float(price: Price) -> f64 {
    // Every decimal has a nearest float.
    price.get().to_f64().unwrap_or(f64::NAN)
}

fn mean(candle: &Candle) -> f64 {
    let mean = candle.quote_volume.get().checked_div(candle.volume.get());
    mean.and_then(|mean| mean.to_f64()).unwrap_or_else(|| float(candle.close))
}

impl fmt::Display for Indicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sma { period } => write!(f, "sma:{period}"),
            Self::Ema { period } => write!(f, "ema:{period}"),
            Self::Rsi { period } => write!(f, "rsi:{period}"),
            Self::Macd { fast, slow, signal } => write!(f, "macd:{fast},{slow},{signal}"),
            Self::Vwap => f.write_str("vwap"),
        }
    }
}

impl FromStr for Indicator {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || {
            Error::Invalid(format!(
                "no indicator `{}`: known are sma:20, ema:20, rsi:14, macd, macd:12,26,9 and vwap",
                text.chars().take(32).collect::<String>()
            ))
        };
        let (name, rest) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let numbers: Result<Vec<u32>, _> = rest.iter().flat_map(|rest| rest.split(',')).map(str::parse).collect();
        let indicator = match (name, numbers.map_err(|_| unknown())?.as_slice()) {
            ("sma", [period]) => Self::Sma { period: *period },
            ("ema", [period]) => Self::Ema { period: *period },
            ("rsi", [period]) => Self::Rsi { period: *period },
            ("macd", []) => Self::MACD,
            ("macd", [fast, slow, signal]) => Self::Macd { fast: *fast, slow: *slow, signal: *signal },
            ("vwap", []) => Self::Vwap,
            _ => return Err(unknown()),
        };
        indicator.check().map(|()| indicator)
    }
}
