//! Trades are saved once, and read by pages and as a stream.

use futures::TryStreamExt;
use stanchion::Error;
use stanchion::db::bulk::Saved;
use stanchion::db::{CursorError, Order};
use stanchion::domain::trading::{NewTrade, TradeFilter};
use stanchion::types::{Price, Timestamp};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::{another_app, patient, trade};

on_every_backend! {
    reading_is_one_round_trip,
    a_trade_saved_twice_is_one,
    one_trade_saved_by_many_at_once_is_new_once,
    a_batch_counts_what_is_there_and_what_is_twice_in_it,
    a_batch_costs_a_few_round_trips_more_than_its_rows,
    a_stream_holds_every_trade_once_in_order,
    a_trade_that_cannot_be_stored_is_refused,
}

async fn reading_is_one_round_trip(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let saved = trading.save_trades([trade(1)]).await.unwrap();
    assert_eq!(saved, Saved { inserted: 1, duplicates: 0 });
    let (page, trips) = stage.counted(trading.trades(&TradeFilter::new())).await;
    assert_eq!(trips, 1);
    let id = page.unwrap().items[0].id;
    let (trade, trips) = stage.counted(trading.trade(id)).await;
    assert_eq!((trade.unwrap().id, trips), (id, 1));
}

async fn a_trade_saved_twice_is_one(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let first = trading.save_trade(NewTrade { pnl: None, ..trade(7) }).await.unwrap();
    assert!(first.is_new);
    let (again, trips) = stage.counted(trading.save_trade(NewTrade { pnl: None, ..trade(7) })).await;
    assert_eq!((again.unwrap(), trips), (stanchion::domain::trading::SavedTrade { is_new: false, ..first }, 3));
    assert_eq!(trading.save_trades([trade(7)]).await.unwrap(), Saved { inserted: 0, duplicates: 1 });
    assert_eq!(trading.trade(first.id).await.unwrap().exchange_trade_id.as_str(), "7");
    // Of the same day: its statistics are there already.
    let other = NewTrade { exchange_trade_id: "8".parse().unwrap(), pnl: None, ..trade(7) };
    let (saved, trips) = stage.counted(trading.save_trade(other.clone())).await;
    assert_eq!((saved.unwrap().is_new, trips), (true, 5));
    // What it realized is put in its place among the day's.
    let winner = NewTrade { exchange_trade_id: "9".parse().unwrap(), pnl: Some("1".parse().unwrap()), ..other };
    let (saved, trips) = stage.counted(trading.save_trade(winner)).await;
    assert_eq!((saved.unwrap().is_new, trips), (true, 6));
}

async fn one_trade_saved_by_many_at_once_is_new_once(database: TestDatabase) {
    let stage = Stage::with(database, patient).await.unwrap();
    let apps = [stage.app.clone(), another_app(&stage).await];
    let savers = (0..16).map(|saver| {
        let app = apps[saver % 2].clone();
        tokio::spawn(async move { app.trading().save_trade(trade(3)).await.unwrap().is_new })
    });
    let new = futures::future::try_join_all(savers).await.unwrap();
    assert_eq!(new.iter().filter(|is_new| **is_new).count(), 1);
    assert_eq!(stage.app.trading().totals(&TradeFilter::new()).await.unwrap().count, 1);
}

async fn a_batch_counts_what_is_there_and_what_is_twice_in_it(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    assert_eq!(trading.save_trades([]).await.unwrap(), Saved::default());
    trading.save_trades((0..1_500).map(trade)).await.unwrap();
    // Known ones among new ones, in no order, and some of both twice.
    let batch = (0..2_500).rev().step_by(2).chain(1_400..1_600).chain(2_400..2_500).map(trade);
    let saved = trading.save_trades(batch).await.unwrap();
    let known = 750 + 100 + 50 + 50;
    assert_eq!(saved, Saved { inserted: 1_550 - known, duplicates: known });
    assert_eq!(trading.totals(&TradeFilter::new()).await.unwrap().count, 1_500 + saved.inserted);
}

async fn a_batch_costs_a_few_round_trips_more_than_its_rows(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let (saved, trips) = stage.counted(trading.save_trades((0..3_000).map(trade))).await;
    saved.unwrap();
    // The transaction, and for all six days together: looking for their rows, making them, locking and writing them.
    let around = 2 + 4;
    let rows = match stage.app.db(stanchion::config::Domain::Trading).backend() {
        // The first of them asks for the month's partition.
        sea_orm::DbBackend::Postgres => 5,
        sea_orm::DbBackend::MySql => 6,
        _ => 12,
    };
    assert_eq!(trips, around + rows);
}

async fn a_stream_holds_every_trade_once_in_order(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    trading.save_trades((0..2_300).map(trade)).await.unwrap();
    for order in [Order::Asc, Order::Desc] {
        let filter = TradeFilter::symbol("ETHUSDT").order(order).limit(3);
        let (streamed, trips) = stage.counted(trading.stream(&filter).try_collect::<Vec<_>>()).await;
        let mut expected: Vec<_> = streamed.unwrap();
        let count = expected.len();
        assert_eq!(count as u64, trading.totals(&filter).await.unwrap().count);
        assert_eq!(trips, count.div_ceil(1_000) as u64);
        let given: Vec<_> = expected.iter().map(|trade| trade.id).collect();
        expected.sort_by_key(|trade| trade.id);
        if order == Order::Desc {
            expected.reverse();
        }
        expected.dedup_by_key(|trade| trade.id);
        assert_eq!(given, expected.iter().map(|trade| trade.id).collect::<Vec<_>>());
    }
    assert!(trading.stream(&TradeFilter::symbol("nothing")).try_collect::<Vec<_>>().await.unwrap().is_empty());
    let cursor = trading.trades(&TradeFilter::new().limit(1)).await.unwrap().next;
    let other = TradeFilter::symbol("ETHUSDT").after(cursor);
    let error = trading.stream(&other).try_collect::<Vec<_>>().await.unwrap_err();
    assert!(matches!(error, Error::Cursor(CursorError::AnotherList)), "{error}");
}

async fn a_trade_that_cannot_be_stored_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let bad = [
        (NewTrade { price: Price::ZERO, ..trade(1) }, "trades.price must be greater than zero"),
        (NewTrade { exchange: "\u{3000} ".parse().unwrap(), ..trade(1) }, "trades.exchange is empty"),
        (
            NewTrade { price: "0.000000000001".parse().unwrap(), quantity: "0.00001".parse().unwrap(), ..trade(1) },
            "trades.quote_quantity is too precise",
        ),
        (NewTrade { traded_at: Timestamp::from_micros(-1).unwrap(), ..trade(1) }, "trades.traded_at is before 1970"),
    ];
    for (bad, problem) in bad {
        let error = trading.save_trade(bad).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().starts_with(problem), "{error}");
    }
    let strange = NewTrade {
        symbol: "\u{5e01}\u{1f680}\u{202e}USDT".parse().unwrap(),
        traded_at: super::at("2262-04-12T00:00:00Z"),
        ..trade(1)
    };
    let saved = trading.save_trade(strange.clone()).await.unwrap();
    assert_eq!(trading.trade(saved.id).await.unwrap().symbol, strange.symbol);
}
