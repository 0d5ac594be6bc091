//! Indicators need no database; what they are compared with was computed by hand or by their definitions, written out.

use stanchion::domain::market::Indicator;
use stanchion::entity::market::Period;
use stanchion::entity::market::candle::Model as Candle;
use stanchion::types::{Price, QuoteAmount, Timestamp};

fn candle(number: i64, close: &str, quantity: &str, quote: &str) -> Candle {
    let close: Price = close.parse().unwrap();
    let open_time = Timestamp::from_micros(number * Period::M1.micros()).unwrap();
    Candle {
        exchange: "binance".parse().unwrap(),
        symbol: "XRPETH".parse().unwrap(),
        period: Period::M1,
        open_time,
        open: close,
        high: close,
        low: close,
        close,
        volume: quantity.parse().unwrap(),
        quote_volume: quote.parse::<QuoteAmount>().unwrap(),
        trade_count: 1,
        closed: true,
        created_at: open_time,
        updated_at: open_time,
    }
}

fn of_closes(closes: &[f64]) -> Vec<Candle> {
    (0..).zip(closes).map(|(number, close)| candle(number, &format!("{close}"), "1", "1")).collect()
}

/// The values of one line, nothing while there is too little.
fn line(indicator: &str, candles: &[Candle], line: usize) -> Vec<Option<f64>> {
    let rows = indicator.parse::<Indicator>().unwrap().over(candles).unwrap();
    rows.iter().map(|row| row.as_ref().map(|row| row[line])).collect()
}

#[track_caller]
fn assert_close(found: &[Option<f64>], expected: &[Option<f64>]) {
    assert_eq!(found.len(), expected.len());
    for (at, pair) in found.iter().zip(expected).enumerate() {
        let is_close = match pair {
            (Some(found), Some(expected)) => (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
            (found, expected) => found == expected,
        };
        assert!(is_close, "{at}: {pair:?}");
    }
}

#[test]
fn a_simple_average_is_the_mean_of_the_last_closes() {
    let candles = of_closes(&[11.0, 12.0, 13.0, 14.0, 20.0]);
    assert_close(&line("sma:3", &candles, 0), &[None, None, Some(12.0), Some(13.0), Some(47.0 / 3.0)]);
}

#[test]
fn an_exponential_average_begins_with_the_mean_of_the_first_closes() {
    let candles = of_closes(&[11.0, 12.0, 13.0, 14.0, 20.0]);
    // With the weight 1/2: 12, then (12 + 14) / 2, then (13 + 20) / 2.
    assert_close(&line("ema:3", &candles, 0), &[None, None, Some(12.0), Some(13.0), Some(16.5)]);
}

/// The closes of Wilder's relative strength in the worked example of StockCharts, whose spreadsheet gives these values.
#[test]
fn relative_strength_is_that_of_a_published_example() {
    let closes = [
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931, 46.0328,
        45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521, 45.7137, 46.4515,
        45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314,
    ];
    let published = [
        70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38, 54.71, 50.42, 39.99, 41.46, 41.87, 45.46,
        37.30, 33.08, 37.77,
    ];
    let found = line("rsi:14", &of_closes(&closes), 0);
    assert!(found[..14].iter().all(Option::is_none));
    for (found, expected) in found[14..].iter().zip(published) {
        assert!((found.unwrap() - expected).abs() < 0.01, "{found:?} is not {expected}");
    }
    assert_eq!(found.len() - 14, published.len());
}

#[test]
fn divergence_is_by_its_definition() {
    let closes: Vec<f64> = (0..60).map(|at| 100.0 + f64::from(at * 37 % 17) + f64::from(at) / 4.0).collect();
    let candles = of_closes(&closes);
    // Averages whose first value is the mean of the first values.
    let average = |values: &[f64], period: usize| -> Vec<f64> {
        let mut last = values[..period].iter().sum::<f64>() / period as f64;
        let weight = 2.0 / (period as f64 + 1.0);
        let rest = values[period..].iter().map(|value| {
            last += weight * (value - last);
            last
        });
        std::iter::once(values[..period].iter().sum::<f64>() / period as f64).chain(rest).collect()
    };
    let slow = average(&closes, 26);
    let fast = average(&closes, 12);
    let macd: Vec<f64> = fast[14..].iter().zip(&slow).map(|(fast, slow)| fast - slow).collect();
    let signal = average(&macd, 9);
    let expected = |values: &[f64]| -> Vec<Option<f64>> {
        let shown = values[values.len() - signal.len()..].iter().copied().map(Some);
        std::iter::repeat_n(None, 60 - signal.len()).chain(shown).collect()
    };
    let histogram: Vec<f64> = macd[8..].iter().zip(&signal).map(|(macd, signal)| macd - signal).collect();
    assert_close(&line("macd", &candles, 0), &expected(&macd));
    assert_close(&line("macd", &candles, 1), &expected(&signal));
    assert_close(&line("macd:12,26,9", &candles, 2), &expected(&histogram));
    assert_eq!(line("macd", &candles, 0).iter().filter(|value| value.is_none()).count(), 33);
}

#[test]
fn the_volume_weighted_price_is_what_was_paid_by_what_was_got() {
    let candles =
        [candle(0, "9", "0", "0"), candle(1, "2", "10", "25"), candle(2, "3", "0", "0"), candle(3, "4", "30", "115")];
    assert_close(&line("vwap", &candles, 0), &[None, Some(2.5), Some(2.5), Some(3.5)]);
}

#[test]
fn the_first_value_is_there_as_soon_as_there_is_enough() {
    for (indicator, needed) in [("sma:5", 5), ("ema:5", 5), ("rsi:4", 5), ("macd:3,5,4", 8)] {
        let closes: Vec<f64> = (1..=needed).map(f64::from).collect();
        let found = line(indicator, &of_closes(&closes), 0);
        assert_eq!(found.iter().position(Option::is_some), Some(found.len() - 1), "{indicator}");
        assert!(line(indicator, &of_closes(&closes[1..]), 0).iter().all(Option::is_none), "{indicator}");
    }
}

#[test]
fn too_little_has_no_value_and_is_no_error() {
    for indicator in ["sma:5", "ema:5", "rsi:4", "macd"] {
        assert_eq!(line(indicator, &of_closes(&[1.0, 2.0, 3.0, 4.0]), 0), [None; 4], "{indicator}");
        assert!(line(indicator, &[], 0).is_empty());
    }
    assert!(line("vwap", &[], 0).is_empty());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let bad = [
        "",
        "sma",
        "sma:",
        "sma:0",
        "sma:1",
        "sma:-3",
        "sma:20,3",
        "sma:10001",
        "sma:99999999999",
        "rsi:1",
        "ema:x",
        "macd:26,12,9",
        "macd:12,26",
        "macd:0,26,9",
        "macd:12,26,0",
        "vwap:3",
        "SMA:20",
        "🚀",
    ];
    for text in bad {
        let error = text.parse::<Indicator>().unwrap_err();
        assert!(error.is_invalid(), "{text}: {error}");
    }
    for text in ["sma:20", "ema:2", "rsi:14", "macd:12,26,9", "vwap"] {
        assert_eq!(text.parse::<Indicator>().unwrap().to_string(), text);
    }
    assert!(Indicator::Sma { period: 0 }.over(&of_closes(&[1.0])).is_err());
}
