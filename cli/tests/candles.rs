//! `stanchion candles`, run as it is on SQLite: what is printed, what is refused, what is said.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod command;

use command::{Place, Run};
use serde_json::{Value, json};

/// With six trades in three minutes of 2019-10-11, the second minute without one.
fn traded() -> Place {
    let place = Place::migrated();
    let trades = [
        (1, "0.0015", "2", 0),
        (2, "0.0017", "1", 20_000),
        (10, "0.0016", "3", 59_999),
        (9, "0.0014", "0.5", 59_999),
        (11, "0.0019", "1", 120_000),
        (12, "0.0018", "1", 120_001),
    ];
    let records = trades.map(|(id, price, quantity, time)| {
        let time = 1_570_752_000_000_u64 + time;
        format!(r#"{{"a":{id},"p":"{price}","q":"{quantity}","f":1,"l":1,"T":{time},"m":true,"M":true}}"#)
    });
    place.write("trades.json", format!("[{}]", records.join(",")));
    assert_eq!(place.run(&["import", "trades", "trades.json", "--symbol", "XRPETH"]).status, Some(0));
    place
}

fn error(run: &Run) -> Value {
    let last = run.err.lines().last().unwrap_or_default();
    serde_json::from_str::<Value>(last).unwrap_or_else(|_| panic!("{run:?}"))["error"].clone()
}

#[test]
fn candles_are_printed_exactly_and_the_same_again() {
    let place = traded();
    let args = ["candles", "--symbol", "xrp/eth", "--interval", "1m", "--indicators", "sma:2,vwap", "--json"];
    let first = place.run(&args);
    assert_eq!((first.status, first.err.as_str()), (Some(0), ""));
    let report = first.json();
    assert_eq!((&report["symbol"], &report["trades"], &report["more"]), (&json!("XRPETH"), &json!(6), &json!(false)));
    let mut candles = report["candles"].as_array().unwrap().clone();
    assert_eq!(candles.len(), 2);
    let indicators = candles[0].as_object_mut().unwrap().remove("indicators").unwrap();
    assert_eq!(indicators["sma:2"], Value::Null);
    assert!((indicators["vwap"].as_f64().unwrap() - 0.0102 / 6.5).abs() < 1e-12);
    assert_eq!(
        candles[0],
        json!({
            "open_time": "2019-10-11T00:00:00.000000Z",
            "open": "0.0015", "high": "0.0017", "low": "0.0014", "close": "0.0016",
            "volume": "6.5", "quote_volume": "0.0102", "trade_count": 4, "closed": true,
        })
    );
    assert_eq!((&candles[1]["open"], &candles[1]["close"]), (&json!("0.0019"), &json!("0.0018")));
    assert!((candles[1]["indicators"]["sma:2"].as_f64().unwrap() - 0.0017).abs() < 1e-12);
    assert_eq!(place.run(&args).json(), report);
}

#[test]
fn a_table_and_a_drawing_are_for_eyes() {
    let place = traded();
    let table = place.run(&["candles", "--symbol", "XRPETH", "--interval", "1m", "--indicators", "rsi:2,macd:2:3:2"]);
    assert_eq!((table.status, table.out.lines().count()), (Some(0), 3), "{table:?}");
    for part in ["TIME (UTC)", "QUOTE VOLUME", "RSI:2", "SIGNAL", "2019-10-11 00:02", "0.0102", "6.5"] {
        assert!(table.out.contains(part), "{part} is not in {}", table.out);
    }
    let drawing = place.run(&["candles", "--symbol", "XRPETH", "--interval", "5m", "--plot"]);
    assert_eq!(drawing.status, Some(0));
    assert!(drawing.out.contains('█') && drawing.out.contains("0.0019"), "{}", drawing.out);
    assert!(drawing.out.lines().all(|line| line.chars().count() <= 80), "{}", drawing.out);
    let newest = place.run(&["candles", "--symbol", "XRPETH", "--interval", "1m", "--limit", "1"]);
    assert_eq!((newest.status, newest.out.lines().count()), (Some(0), 2));
    assert!(newest.err.contains("--to 2019-10-11T00:02:00.000000Z"), "{}", newest.err);
}

#[test]
fn where_there_is_nothing_it_says_what_to_do() {
    let place = traded();
    let base = ["candles", "--interval", "1m", "--json", "--symbol"];
    let none = place.run(&[&base[..], &["ETHUSDT", "--exchange", "okx"]].concat());
    assert_eq!((none.status, none.out.as_str()), (Some(1), ""));
    assert_eq!(error(&none)["message"], "there are no trades of ETHUSDT on okx");
    let hint = "import some: stanchion import trades FILE --symbol ETHUSDT --exchange okx";
    assert_eq!(error(&none)["hint"], hint);
    let outside = place.run(&[&base[..], &["XRPETH", "--from", "2020-01-01"]].concat());
    assert_eq!(outside.status, Some(1));
    assert!(error(&outside)["hint"].as_str().unwrap().contains("2019-10-11T00:00:00.000000Z"), "{outside:?}");
    let inside = place.run(&[&base[..], &["XRPETH", "--from", "2019-10-11", "--to", "2019-10-11T00:01:00Z"]].concat());
    assert_eq!(inside.json()["candles"].as_array().unwrap().len(), 1);
}

#[test]
fn a_command_line_that_cannot_be_meant_has_status_2() {
    let place = Place::new();
    let base = ["candles", "--symbol", "XRPETH", "--interval", "1m"];
    for bad in [
        &["--indicators", "sma:1"][..],
        &["--indicators", "🚀"],
        &["--from", "yesterday"],
        &["--from", "2019-10-12", "--to", "2019-10-11"],
        &["--limit", "0"],
        &["--limit", "10001"],
        &["--exchange", " "],
        &["--plot", "--indicators", "vwap"],
    ] {
        let run = place.run(&[&base[..], bad].concat());
        assert_eq!((run.status, run.out.as_str()), (Some(2), ""), "{bad:?} {run:?}");
    }
    let period = place.run(&["candles", "--symbol", "XRPETH", "--interval", "2m"]);
    assert_eq!(period.status, Some(2));
    assert!(period.err.contains("1m, 5m, 15m, 30m, 1h, 4h, 1d"), "{}", period.err);
}
