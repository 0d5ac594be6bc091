//! Trades are saved once, and their totals are exact.

use stanchion::db::bulk::Saved;
use stanchion::domain::trading::{NewTrade, TradeFilter};
use stanchion::types::Timestamp;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

on_every_backend! {
    reading_is_one_round_trip,
}

async fn reading_is_one_round_trip(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trade = NewTrade {
        exchange: "binance".parse().unwrap(),
        symbol: "XRPETH".parse().unwrap(),
        exchange_trade_id: "1".parse().unwrap(),
        price: "0.0014".parse().unwrap(),
        quantity: "1".parse().unwrap(),
        traded_at: Timestamp::from_millis(1_570_752_000_000).unwrap(),
        ..NewTrade::default()
    };
    let saved = stage.app.trading().save_trades([trade]).await.unwrap();
    assert_eq!(saved, Saved { inserted: 1, duplicates: 0 });
    let trading = stage.app.trading();
    let (page, trips) = stage.counted(trading.trades(&TradeFilter::symbol("XRPETH"))).await;
    assert_eq!(trips, 1);
    let id = page.unwrap().items[0].id;
    let (trade, trips) = stage.counted(trading.trade(id)).await;
    assert_eq!((trade.unwrap().id, trips), (id, 1));
}
