//! Pages by key hold every row once, however the list changes meanwhile.

use stanchion::Error;
use stanchion::db::{CursorError, Order};
use stanchion::domain::trading::TradeFilter;
use stanchion::entity::trading::Side;
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;

use super::batches::{start, trade};

on_every_backend! {
    pages_hold_every_row_once_in_order,
    rows_that_come_meanwhile_neither_repeat_nor_hide_others,
    a_cursor_of_another_list_is_refused,
    a_limit_has_bounds,
}

async fn pages_hold_every_row_once_in_order(database: TestDatabase) {
    let app = start(&database).await;
    app.trading().save_trades((0..1_000).map(trade)).await.unwrap();
    for order in [Order::Asc, Order::Desc] {
        for side in [None, Some(Side::Buy)] {
            let mut filter = TradeFilter::symbol("XRPETH").exchange("binance").order(order).limit(99);
            if let Some(side) = side {
                filter = filter.side(side);
            }
            let mut seen = Vec::new();
            let mut cursor = None;
            loop {
                let page = app.trading().trades(&filter.clone().after(cursor)).await.unwrap();
                seen.extend(page.items.iter().map(|trade| trade.exchange_trade_id.parse::<u32>().unwrap()));
                match page.next {
                    Some(next) => cursor = Some(next.to_string().parse().unwrap()),
                    None => break,
                }
            }
            let mut expected: Vec<u32> = (0..1_000).filter(|number| side.is_none() || number % 3 == 0).collect();
            if order == Order::Desc {
                expected.reverse();
            }
            assert_eq!(seen, expected);
        }
    }
}

async fn rows_that_come_meanwhile_neither_repeat_nor_hide_others(database: TestDatabase) {
    let app = start(&database).await;
    app.trading().save_trades((100..200).map(trade)).await.unwrap();
    let filter = TradeFilter::new().limit(30);
    let first = app.trading().trades(&filter).await.unwrap();
    // Newer ones come before the first page, an older one after the last.
    app.trading().save_trades((0..1).chain(200..250).map(trade)).await.unwrap();
    let mut seen: Vec<u32> = Vec::new();
    let mut page = first;
    loop {
        seen.extend(page.items.iter().map(|trade| trade.exchange_trade_id.parse::<u32>().unwrap()));
        let Some(next) = page.next else { break };
        page = app.trading().trades(&filter.clone().after(Some(next))).await.unwrap();
    }
    let expected: Vec<u32> = (100..200).rev().chain([0]).collect();
    assert_eq!(seen, expected);
}

async fn a_cursor_of_another_list_is_refused(database: TestDatabase) {
    let app = start(&database).await;
    app.trading().save_trades((0..10).map(trade)).await.unwrap();
    let filter = TradeFilter::symbol("XRPETH").limit(3);
    let cursor = app.trading().trades(&filter).await.unwrap().next;
    assert!(cursor.is_some());
    let others = [
        TradeFilter::symbol("ETHUSDT").limit(3),
        filter.clone().side(Side::Sell),
        filter.clone().order(Order::Asc),
        TradeFilter::new(),
    ];
    for other in others {
        let error = app.trading().trades(&other.after(cursor)).await.unwrap_err();
        assert!(matches!(error, Error::Cursor(CursorError::AnotherList)), "{error}");
    }
    // Only how many rows a page holds may change on the way.
    assert_eq!(app.trading().trades(&filter.limit(100).after(cursor)).await.unwrap().items.len(), 7);
}

async fn a_limit_has_bounds(database: TestDatabase) {
    let app = start(&database).await;
    app.trading().save_trades((0..1_100).map(trade)).await.unwrap();
    assert_eq!(app.trading().trades(&TradeFilter::new().limit(0)).await.unwrap().items.len(), 1);
    assert_eq!(app.trading().trades(&TradeFilter::new().limit(u32::MAX)).await.unwrap().items.len(), 1_000);
}
