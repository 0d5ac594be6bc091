//! The candles that the command reports of a file that was imported: on every back end those of a plain computation.

use std::fmt::Write;
use std::io::Cursor;

use rust_decimal::Decimal;
use stanchion::App;
use stanchion::config::{Config, Database};
use stanchion::entity::market::Period;
use stanchion::types::TimeRange;
use stanchion_cli::candles::{self, MOST, Report, Request};
use stanchion_cli::import::{self, Assumed, Format, Options, Source};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;

on_every_backend! {
    the_candles_of_a_file_are_those_of_a_plain_computation,
    a_range_and_a_limit_narrow_the_report,
}

/// 2019-10-11, and the hours that the trades are in.
const DAY: u64 = 1_570_752_000_000;
const HOURS: u64 = 5;
/// Trades of the file.
const TRADES: u64 = 1_000;

/// Price, quantity and time of a trade, in the file's own digits; the last of three share an instant.
fn figures(id: u64) -> (String, String, u64) {
    let mixed = id * 2_654_435_761 % 1_000_003;
    let time = DAY + (id - id % 3) * HOURS * 3_600_000 / TRADES;
    (format!("0.00{:06}", 130_000 + mixed % 20_000), format!("{}.{:02}", 1 + mixed % 500, mixed % 100), time)
}

/// Binance's aggregate trades, in no order.
fn file() -> String {
    let mut file = String::from("[");
    for number in 0..TRADES {
        let id = number * 611 % TRADES;
        let (price, quantity, time) = figures(id);
        let comma = if number == 0 { "" } else { "," };
        let (id, maker) = (9_500 + id, id.is_multiple_of(2));
        write!(
            file,
            r#"{comma}{{"a":{id},"p":"{price}","q":"{quantity}","f":1,"l":1,"T":{time},"m":{maker},"M":true}}"#
        )
        .unwrap();
    }
    file + "]"
}

/// Open, high, low, close, volume, quote volume and count of the interval that begins there, computed plainly.
fn plain(begin: u64, length: u64) -> Option<[String; 7]> {
    let number = |text: &str| text.parse::<Decimal>().unwrap();
    let trades = (0..TRADES).map(figures).filter(|(_, _, time)| (begin..begin + length).contains(time));
    let trades: Vec<(Decimal, Decimal)> =
        trades.map(|(price, quantity, _)| (number(&price), number(&quantity))).collect();
    let prices = trades.iter().map(|trade| trade.0);
    let figures = [
        prices.clone().next()?,
        prices.clone().max()?,
        prices.clone().min()?,
        prices.clone().next_back()?,
        trades.iter().map(|trade| trade.1).sum(),
        trades.iter().map(|trade| trade.0 * trade.1).sum(),
        Decimal::from(trades.len()),
    ];
    Some(figures.map(|figure| figure.normalize().to_string()))
}

async fn imported(database: &TestDatabase) -> App {
    let app = App::start(Config::new(Database::new(database.url().parse().unwrap()))).await.unwrap();
    let assumed = Assumed::new(None, Some("XRPETH"), app.clock().now()).unwrap();
    let options = Options { format: Format::Auto, assumed, batch: 300, skip_bad: None };
    let source = Source::reader("trades", Cursor::new(file().into_bytes()));
    let report = import::trades(&app, source, options, std::future::pending(), |_| {}).await.unwrap();
    assert_eq!(report.new, TRADES);
    app
}

fn request(period: Period) -> Request {
    let series = candles::series("Binance", "xrp/eth").unwrap();
    Request { series, period, range: TimeRange::default(), indicators: Vec::new(), limit: MOST }
}

fn figures_of(report: &Report) -> Vec<(u64, [String; 7])> {
    let figures = |row: &candles::Row| {
        let candles::Row { open, high, low, close, volume, quote_volume, trade_count, .. } = row.clone();
        let begin = u64::try_from(row.open_time.millis()).unwrap();
        (begin, [open, high, low, close, volume, quote_volume, trade_count.to_string()])
    };
    report.candles.iter().map(figures).collect()
}

async fn the_candles_of_a_file_are_those_of_a_plain_computation(database: TestDatabase) {
    let app = imported(&database).await;
    for period in Period::ALL {
        let length = u64::try_from(period.duration().as_millis()).unwrap();
        let expected: Vec<(u64, [String; 7])> = (DAY..DAY + 86_400_000)
            .step_by(length as usize)
            .filter_map(|begin| Some((begin, plain(begin, length)?)))
            .collect();
        // Again it is the same.
        for _ in 0..2 {
            let report = candles::report(&app, &request(*period)).await.unwrap();
            assert_eq!(figures_of(&report), expected, "{period}");
            assert_eq!((report.trades, report.more), (TRADES, false));
            assert!(report.candles.iter().all(|row| row.closed));
        }
    }
    app.close().await;
}

async fn a_range_and_a_limit_narrow_the_report(database: TestDatabase) {
    let app = imported(&database).await;
    let all = candles::report(&app, &request(Period::M5)).await.unwrap();
    let range = TimeRange {
        from: Some("2019-10-11T01:02:00Z".parse().unwrap()),
        to: Some("2019-10-11T02:00:00Z".parse().unwrap()),
    };
    let indicators = vec!["sma:3".parse().unwrap(), "macd".parse().unwrap()];
    let narrow = Request { range, indicators, limit: 11, ..request(Period::M5) };
    let report = candles::report(&app, &narrow).await.unwrap();
    assert_eq!(figures_of(&report), figures_of(&all)[13..24]);
    assert!(report.more);
    // The one that is not shown counts for the average.
    let json = serde_json::to_value(&report).unwrap();
    assert!(json["candles"][0]["indicators"]["sma:3"].is_null());
    let average: f64 = json["candles"][1]["indicators"]["sma:3"].as_f64().unwrap();
    let closes = [12, 13, 14].map(|at| all.candles[at].close.parse::<f64>().unwrap());
    assert!((average - closes.iter().sum::<f64>() / 3.0).abs() < 1e-15);
    assert!(json["candles"][10]["indicators"]["macd:12,26,9"].is_null());
    let drawing = candles::draw(&all.candles, 70);
    assert!(drawing.lines().all(|line| line.chars().count() <= 70), "{drawing}");

    let nobody = Request { series: candles::series("okx", "XRPETH").unwrap(), ..request(Period::M1) };
    assert!(candles::report(&app, &nobody).await.unwrap().candles.is_empty());
    assert_eq!(candles::first_trade(&app, &nobody.series).await.unwrap(), None);
    let first = candles::first_trade(&app, &request(Period::M1).series).await.unwrap().unwrap();
    assert_eq!(u64::try_from(first.millis()).unwrap(), DAY);
    app.close().await;
}
