use rust_decimal::Decimal;
use stanchion::config::{Database, Domain};
use stanchion::domain::market::{Built, CandleBuild, CandleSource};
use stanchion::domain::trading::NewTrade;
use stanchion::entity::market::Period;
use stanchion::types::Timestamp;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::model::{Numbers, Print, compared, expected, series};

on_every_backend! {
    candles_of_trades_are_those_of_the_model,
    trades_of_an_instant_are_in_the_order_of_their_ids_as_numbers,
    what_was_paid_is_the_exchanges_own_figure,
    trades_may_live_in_another_database,
}

/// 2019-10-11.
const DAY: i64 = 1_570_752_000_000_000;

fn trade(micros: i64, id: &str, price: &str, quantity: &str) -> NewTrade {
    NewTrade {
        exchange: "binance".parse().unwrap(),
        symbol: "XRPETH".parse().unwrap(),
        exchange_trade_id: id.parse().unwrap(),
        price: price.parse().unwrap(),
        quantity: quantity.parse().unwrap(),
        traded_at: Timestamp::from_micros(micros).unwrap(),
        ..NewTrade::default()
    }
}

/// Trades in bursts that share an instant, over two days, and more than are read at once.
fn random(count: i64) -> (Vec<NewTrade>, Vec<Print>) {
    let mut numbers = Numbers(2_019);
    let trades: Vec<NewTrade> = (0..count)
        .map(|number| {
            let tick = numbers.tick(DAY, number);
            let quantity = (tick.quantity.get() + Decimal::ONE).to_string();
            trade(tick.ts.micros(), &(number * 7).to_string(), &tick.price.to_string(), &quantity)
        })
        .collect();
    let print = |trade: &NewTrade| {
        let id = trade.exchange_trade_id.parse().unwrap();
        (trade.traded_at, id, trade.price.get(), trade.quantity.get())
    };
    let prints = trades.iter().map(print).collect();
    (trades, prints)
}

async fn candles_of_trades_are_those_of_the_model(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let (trades, prints) = random(7_000);
    stage.app.trading().save_trades(trades).await.unwrap();
    let other = NewTrade { exchange: "okx".parse().unwrap(), ..trade(DAY, "1", "9", "9") };
    stage.app.trading().save_trades([other]).await.unwrap();
    for period in [Period::M1, Period::M30, Period::D1] {
        let build = CandleBuild::of(series(), period);
        let source = CandleSource::Trades(stage.app.trading());
        assert_eq!(stage.app.market().build_candles(source, &build).await.unwrap().trades, 7_000);
        assert_eq!(compared(&stage.app, period).await, expected(prints.clone(), period), "{period}");
    }
}

async fn trades_of_an_instant_are_in_the_order_of_their_ids_as_numbers(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trades = [
        // Numbers as numbers, and before what is not one; but time, to the microsecond, comes first.
        trade(DAY, "10", "3", "1"),
        trade(DAY, "9", "2", "1"),
        trade(DAY, "100", "4", "1"),
        trade(DAY + 60_000_001, "1", "5", "1"),
        trade(DAY + 60_000_000, "b", "7", "1"),
        trade(DAY + 60_000_000, "a", "6", "1"),
        trade(DAY + 120_000_000, "x", "9", "1"),
        trade(DAY + 120_000_000, "99999999999999999999", "8", "1"),
    ];
    stage.app.trading().save_trades(trades).await.unwrap();
    let source = CandleSource::Trades(stage.app.trading());
    stage.app.market().build_candles(source, &CandleBuild::of(series(), Period::M1)).await.unwrap();
    let ends: Vec<String> = compared(&stage.app, Period::M1)
        .await
        .iter()
        .map(|candle| format!("{} {}", candle.prices[0].normalize(), candle.prices[3].normalize()))
        .collect();
    assert_eq!(ends, ["2 4", "6 5", "8 9"]);
}

async fn what_was_paid_is_the_exchanges_own_figure(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let paid = NewTrade { quote_quantity: Some("2.9".parse().unwrap()), ..trade(DAY, "1", "1.5", "2") };
    stage.app.trading().save_trades([paid, trade(DAY, "2", "1.5", "2")]).await.unwrap();
    let source = CandleSource::Trades(stage.app.trading());
    stage.app.market().build_candles(source, &CandleBuild::of(series(), Period::M1)).await.unwrap();
    assert_eq!(compared(&stage.app, Period::M1).await[0].quote_volume.normalize().to_string(), "5.9");
}

async fn trades_may_live_in_another_database(database: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/market.db", folder.path().display());
    let market = Database::new(url.parse().unwrap());
    stanchion::App::migrate(&stanchion::config::Config::new(market.clone())).await.unwrap();
    let stage = Stage::with(database, |config| {
        config.databases.insert(Domain::Market, market);
    });
    let stage = stage.await.unwrap();
    assert_eq!(stage.app.databases().len(), 2);
    let (trades, prints) = random(500);
    stage.app.trading().save_trades(trades).await.unwrap();
    let build = CandleBuild::of(series(), Period::H1);
    let source = CandleSource::Trades(stage.app.trading());
    let model = expected(prints, Period::H1);
    let built = stage.app.market().build_candles(source, &build).await.unwrap();
    assert_eq!(built, Built { candles: model.len() as u64, trades: 500 });
    assert_eq!(compared(&stage.app, Period::H1).await, model);
    stage.app.close().await;
}
