//! Indicators over candles: measurements in floating point, where the candles themselves are exact.

use std::fmt;
use std::str::FromStr;

use kand::KandError;
use kand::ohlcv::{ema, rsi, sma, vwap};
use rust_decimal::prelude::ToPrimitive;

use crate::Error;
use crate::entity::market::candle::Model as Candle;
use crate::types::Price;

/// The longest period.
const LONGEST: u32 = 10_000;

/// An indicator of a series of candles.
///
/// Written `sma:20`, `ema:20`, `rsi:14`, `macd` or `macd:12,26,9` (in a list `macd:12:26:9`), `vwap`.
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
    /// Relative strength index of the closes, smoothed as Wilder did: 0 to 100, and 100 where nothing fell.
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
    /// [`Indicator::lines`]. `None` for the first candles, until there are as many as it needs, for all lines at once.
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
        let lines = match self.lines_of(&closes, candles) {
            Ok(lines) => lines,
            // Fewer candles than it needs.
            Err(KandError::InsufficientData) => return Ok(vec![None; candles.len()]),
            Err(error) => return Err(Error::Invalid(format!("{self}: {error}"))),
        };
        // All lines begin with the same candle.
        let row = |at: usize| {
            let values: Vec<f64> = lines.iter().map(|line| line[at]).collect();
            values.iter().all(|value| value.is_finite()).then_some(values)
        };
        Ok((0..candles.len()).map(row).collect())
    }

    /// Its lines, each with a value a candle: not a number while there are too few.
    fn lines_of(self, closes: &[f64], candles: &[Candle]) -> Result<Vec<Vec<f64>>, KandError> {
        let blank = || vec![f64::NAN; closes.len()];
        let mut line = blank();
        match self {
            Self::Sma { period } => sma::sma(closes, period as usize, &mut line)?,
            Self::Ema { period } => line = average(closes, period)?,
            Self::Rsi { period } => rsi::rsi(closes, period as usize, &mut line, &mut blank(), &mut blank())?,
            Self::Macd { fast, slow, signal } => {
                let (fast, slow, before) = (average(closes, fast)?, average(closes, slow)?, slow as usize - 1);
                let mut macd: Vec<f64> = fast.iter().zip(&slow).map(|(fast, slow)| fast - slow).collect();
                line[before..].copy_from_slice(&average(&macd[before..], signal)?);
                let histogram: Vec<f64> = macd.iter().zip(&line).map(|(macd, signal)| macd - signal).collect();
                macd[..before].fill(f64::NAN);
                return Ok(vec![macd, line, histogram]);
            }
            Self::Vwap => {
                // The mean price of each candle is known: no need to guess it from its high, low and close.
                let means: Vec<f64> = candles.iter().map(mean).collect();
                let volumes: Vec<f64> =
                    candles.iter().map(|candle| candle.volume.get().to_f64().unwrap_or(0.0)).collect();
                let mut volume = blank();
                vwap::vwap(&means, &means, &means, &volumes, &mut line, &mut blank(), &mut volume)?;
                // Nothing is the mean of nothing.
                line.iter_mut().zip(volume).filter(|(_, volume)| *volume == 0.0).for_each(|(mean, _)| *mean = f64::NAN);
            }
        }
        Ok(vec![line])
    }

    fn check(self) -> Result<(), Error> {
        let periods: &[u32] = match self {
            Self::Sma { period } | Self::Ema { period } | Self::Rsi { period } => &[period],
            Self::Macd { fast, slow, signal } if fast < slow => &[fast, slow, signal],
            Self::Macd { .. } => &[0],
            Self::Vwap => &[],
        };
        if periods.iter().all(|period| (2..=LONGEST).contains(period)) {
            return Ok(());
        }
        let rule = match self {
            Self::Macd { .. } => "takes a fast period shorter than its slow one, and one of its signal",
            _ => "takes a period of candles",
        };
        Err(Error::Invalid(format!("{self} cannot be computed: it {rule}, each from 2 to {LONGEST}")))
    }
}

/// The exponential average, whose first value is the mean of the first values.
fn average(values: &[f64], period: u32) -> Result<Vec<f64>, KandError> {
    let mut line = vec![f64::NAN; values.len()];
    ema::ema(values, period as usize, None, &mut line)?;
    Ok(line)
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
        let numbers: Result<Vec<u32>, _> =
            rest.iter().flat_map(|rest| rest.split([',', ':'])).map(str::parse).collect();
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
