use std::collections::BTreeMap;

use stanchion::App;
use stanchion::domain::market::{CandleBuild, CandleSource, MetricFilter, NewMetric, NewTick, Series, TickFilter};
use stanchion::entity::market::Period;
use stanchion::types::Timestamp;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::model::{series, stored, tick};

on_every_backend! {
    old_ticks_of_all_series_are_deleted_and_others_stay,
    a_batch_is_a_transaction_of_bounded_size,
    candles_of_one_period_and_old_metrics_are_deleted,
}

fn micros(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

const SERIES: [(&str, &str); 4] = [("binance", "ETHUSDT"), ("binance", "XRPETH"), ("kraken", "ADA"), ("okx", "XRPETH")];

async fn fill(app: &App) {
    let ticks = SERIES.iter().flat_map(|(exchange, symbol)| {
        (0..300).map(move |number| NewTick {
            exchange: exchange.parse().unwrap(),
            symbol: symbol.parse().unwrap(),
            ..tick(number / 3, number % 3, "1", "1")
        })
    });
    app.market().save_ticks(ticks).await.unwrap();
}

async fn left(app: &App) -> Vec<(usize, Option<i64>)> {
    let mut left = Vec::new();
    for (exchange, symbol) in SERIES {
        let filter = TickFilter::of(Series::new(exchange, symbol).unwrap()).limit(1_000);
        let ticks = app.market().ticks(&filter).await.unwrap().items;
        left.push((ticks.len(), ticks.last().map(|tick| tick.ts.micros())));
    }
    left
}

async fn old_ticks_of_all_series_are_deleted_and_others_stay(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    fill(&stage.app).await;
    // Of series of several batches, with a batch that ends within an instant.
    assert_eq!(market.delete_ticks_before(micros(40), 50).await.unwrap(), 4 * 120);
    assert_eq!(left(&stage.app).await, [(180, Some(40)); 4]);
    assert_eq!(market.delete_ticks_before(micros(40), 50).await.unwrap(), 0);
    assert_eq!(market.delete_ticks_before(micros(41), 0).await.unwrap(), 4 * 3);
    assert_eq!(market.delete_ticks_before("9999-01-01T00:00:00Z".parse().unwrap(), u32::MAX).await.unwrap(), 4 * 177);
    assert_eq!(left(&stage.app).await, [(0, None); 4]);
    assert_eq!(market.delete_ticks_before(micros(0), 10).await.unwrap(), 0);
}

async fn a_batch_is_a_transaction_of_bounded_size(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    fill(&stage.app).await;
    let (deleted, trips) = stage.counted(stage.app.market().delete_ticks_before(micros(100), 100)).await;
    // Of each series three batches, of which the last finds that it is, each of four round trips. Five look-ups of the
    // series: the first, and from the two exchanges that have no other symbol two.
    let series = 1 + 1 + 2 + 2 + 2;
    assert_eq!((deleted.unwrap(), trips), (1_200, 4 * 3 * 4 + series));
}

async fn candles_of_one_period_and_old_metrics_are_deleted(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let market = stage.app.market();
    market.save_ticks((0..120).map(|minute| tick(minute * 60_000_000, 0, "1", "1"))).await.unwrap();
    for period in [Period::M1, Period::H1] {
        market.build_candles(CandleSource::Ticks, &CandleBuild::of(series(), period)).await.unwrap();
    }
    let hour = micros(3_600_000_000);
    assert_eq!(market.delete_candles_before(Period::M1, hour, 7).await.unwrap(), 60);
    assert_eq!(stored(&stage.app, Period::M1).await[0].open_time, hour);
    assert_eq!(stored(&stage.app, Period::H1).await.len(), 2);
    assert_eq!(market.delete_candles_before(Period::M5, hour, 7).await.unwrap(), 0);

    let metrics = (0..100).map(|number| NewMetric {
        name: if number % 2 == 0 { "a" } else { "b" }.parse().unwrap(),
        labels: BTreeMap::from([("n".to_owned(), (number % 5).to_string())]),
        ts: Some(micros(number)),
        value: 1.0,
    });
    market.record_metrics(metrics).await.unwrap();
    assert_eq!(market.delete_metrics_before(micros(61), 2).await.unwrap(), 61);
    let counts = [MetricFilter::named("a"), MetricFilter::named("b")].map(|filter| filter.limit(100));
    let found = [market.metrics(&counts[0]).await.unwrap(), market.metrics(&counts[1]).await.unwrap()];
    assert_eq!(found.map(|page| page.items.len()), [19, 20]);
}
