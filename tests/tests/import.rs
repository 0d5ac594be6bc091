//! The import of a real file: the same trades and the same exact sums on every back end, however often.

use std::collections::HashSet;
use std::io::Read;
use std::path::PathBuf;

use flate2::read::GzDecoder;
use rust_decimal::Decimal;
use serde_json::Value;
use stanchion::App;
use stanchion::config::{Config, Database};
use stanchion::db::Order;
use stanchion::domain::trading::TradeFilter;
use stanchion_cli::import::{self, Assumed, End, Format, ImportError, Options, ReadError, Report, Source};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;

on_every_backend! {
    a_real_file_is_imported_exactly_and_once,
    a_stopped_import_leaves_whole_batches,
    a_truncated_file_leaves_whole_batches,
}

/// Trades in the file.
const TRADES: u64 = 12_477;

fn file() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "data", "xrpeth-aggtrades-2019-10.json.gz"].iter().collect()
}

async fn start(database: &TestDatabase) -> App {
    App::start(Config::new(Database::new(database.url().parse().unwrap()))).await.unwrap()
}

fn options(app: &App, batch: usize) -> Options {
    let assumed = Assumed::new(None, None, app.clock().now()).unwrap();
    Options { format: Format::Auto, assumed, batch, skip_bad: None }
}

async fn import(app: &App) -> Report {
    let source = Source::file(&file()).unwrap();
    import::trades(app, source, options(app, 5_000), std::future::pending(), |_| {}).await.unwrap()
}

/// Count, quantity and price x quantity of the file, read in another way than the import does.
fn expected() -> (u64, Decimal, Decimal) {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(file()).unwrap()).read_to_string(&mut text).unwrap();
    let records: Vec<Value> = serde_json::from_str(&text).unwrap();
    let ids: HashSet<&str> = records.iter().map(|record| record["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), records.len());
    let number = |value: &Value| Decimal::from_str_exact(value.as_str().unwrap()).unwrap();
    let amounts = records.iter().map(|record| (number(&record["info"]["p"]), number(&record["info"]["q"])));
    amounts.fold((0, Decimal::ZERO, Decimal::ZERO), |(count, quantity, quote), (price, amount)| {
        (count + 1, quantity + amount, quote + price * amount)
    })
}

async fn a_real_file_is_imported_exactly_and_once(database: TestDatabase) {
    let app = start(&database).await;
    let first = import(&app).await;
    assert_eq!((first.end, first.format), (End::Complete, Format::Ccxt));
    assert_eq!((first.read, first.new, first.already_there, first.bad), (TRADES, TRADES, 0, 0));
    println!("{} trades in {:?}, {} a second", first.read, first.seconds, first.rows_per_second);

    let (count, quantity, quote_quantity) = expected();
    let totals = app.trading().totals(&TradeFilter::symbol("XRPETH").exchange("binance")).await.unwrap();
    assert_eq!((totals.count, totals.quantity, totals.quote_quantity), (count, quantity, quote_quantity));
    assert_eq!(first.symbols.len(), 1);
    let symbol = &first.symbols[0];
    assert_eq!(symbol.input.quantity.parse(), Ok(quantity));
    assert_eq!(symbol.input.quote_quantity.parse(), Ok(quote_quantity));
    assert_eq!(symbol.database.as_ref(), Some(&symbol.input));

    let oldest = app.trading().trades(&TradeFilter::symbol("XRPETH").order(Order::Asc).limit(1)).await.unwrap();
    let oldest = &oldest.items[0];
    assert_eq!((oldest.exchange_trade_id.as_str(), oldest.traded_at.micros()), ("13519807", 1_570_752_011_620_000));
    assert_eq!((oldest.price.to_string(), oldest.quantity.get()), ("0.001413420000".into(), Decimal::from(23)));

    let second = import(&app).await;
    assert_eq!((second.read, second.new, second.already_there), (TRADES, 0, TRADES));
    assert_eq!(second.symbols, first.symbols);
    app.close().await;
}

async fn a_stopped_import_leaves_whole_batches(database: TestDatabase) {
    let app = start(&database).await;
    let (sender, stop) = tokio::sync::oneshot::channel::<()>();
    let mut sender = Some(sender);
    // The first batch that is saved ends it.
    let after_one = |_| drop(sender.take());
    let stop = async { drop(stop.await) };
    let source = Source::file(&file()).unwrap();
    let report = import::trades(&app, source, options(&app, 1_000), stop, after_one).await.unwrap();
    assert_eq!((report.end, report.read, report.new), (End::Interrupted, 1_000, 1_000));
    assert_eq!(app.trading().totals(&TradeFilter::new()).await.unwrap().count, 1_000);
    assert_eq!(import(&app).await.new, TRADES - 1_000);
    app.close().await;
}

async fn a_truncated_file_leaves_whole_batches(database: TestDatabase) {
    let app = start(&database).await;
    let whole = std::fs::read(file()).unwrap();
    let half = std::io::Cursor::new(whole[..whole.len() / 2].to_vec());
    let source = Source::reader("half a file", half);
    let stopped = import::trades(&app, source, options(&app, 1_000), std::future::pending(), |_| {}).await.unwrap_err();
    assert!(matches!(stopped.error, ImportError::Read { source: ReadError::TruncatedGzip, .. }), "{stopped:?}");
    let saved = app.trading().totals(&TradeFilter::new()).await.unwrap().count;
    assert!(saved >= 1_000 && saved.is_multiple_of(1_000) && saved < TRADES, "{saved}");
    assert_eq!((stopped.report.end, stopped.report.new), (End::Failed, saved));
    app.close().await;
}
