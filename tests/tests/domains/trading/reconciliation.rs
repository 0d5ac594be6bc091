//! What an exchange says is compared with what we have, and risk checks are kept.

use stanchion::Error;
use stanchion::db::CursorError;
use stanchion::domain::trading::{
    NewRiskCheck, NewTrade, ReconciliationFilter, RiskFilter, Snapshot, StatisticsFilter, TradeFilter,
};
use stanchion::entity::trading::ReconciliationStatus;
use stanchion::types::{Json, TimeRange, Timestamp};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::{DAY_MILLIS, DAY_ONE, trade};

on_every_backend! {
    a_snapshot_that_is_the_same_matches,
    every_difference_is_found_and_what_is_missing_saved,
    many_trades_are_compared_in_few_round_trips,
    a_snapshot_that_makes_no_sense_is_refused,
    risk_checks_are_recorded_and_found,
}

/// Trades of one symbol on the first day.
fn of_one_symbol(numbers: std::ops::Range<u64>) -> Vec<NewTrade> {
    let day = Timestamp::from_millis(DAY_ONE).unwrap().day();
    numbers.map(trade).filter(|trade| trade.symbol == "ETHUSDT" && trade.traded_at.day() == day).collect()
}

fn snapshot(trades: Vec<NewTrade>) -> Snapshot {
    let instant = |millis| Some(Timestamp::from_millis(millis).unwrap());
    Snapshot {
        exchange: "binance".parse().unwrap(),
        symbol: "ETHUSDT".parse().unwrap(),
        range: TimeRange { from: instant(DAY_ONE), to: instant(DAY_ONE + DAY_MILLIS) },
        trades,
        instance_id: "node-1".parse().unwrap(),
    }
}

async fn a_snapshot_that_is_the_same_matches(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    // Other days and symbols are none of its business, and neither are our own profit and order.
    trading.save_trades((0..200).map(trade)).await.unwrap();
    let mut theirs = of_one_symbol(0..200);
    let count = i64::try_from(theirs.len()).unwrap();
    theirs.iter_mut().for_each(|trade| trade.pnl = None);
    theirs.extend(theirs[..3].to_vec());
    let (report, trips) = stage.counted(trading.reconcile(&snapshot(theirs), true)).await;
    let report = report.unwrap();
    assert_eq!((report.status, trips), (ReconciliationStatus::Matched, 3));
    assert_eq!((report.local_count, report.exchange_count), (count, count));
    assert_eq!((report.missing_local, report.missing_exchange, report.mismatched), (0, 0, 0));
    assert!(report.finished_at.is_some());
    let (page, trips) = stage.counted(trading.reconciliations(&ReconciliationFilter::symbol("ETHUSDT"))).await;
    assert_eq!((page.unwrap().items, trips), (vec![report], 1));
    let empty = Snapshot { symbol: "XRPETH".parse().unwrap(), ..snapshot(Vec::new()) };
    assert_eq!(trading.reconcile(&empty, false).await.unwrap().status, ReconciliationStatus::Matched);
}

async fn every_difference_is_found_and_what_is_missing_saved(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let theirs = of_one_symbol(0..100);
    let mut ours = theirs.clone();
    // Two we miss, one they do not know, one of another price, one of another time.
    let missing: Vec<String> = ours.drain(..2).map(|trade| trade.exchange_trade_id.to_string()).collect();
    ours[0].price = "0.5".parse().unwrap();
    ours[1].traded_at = Timestamp::from_micros(DAY_ONE * 1_000 + 1).unwrap();
    ours.push(NewTrade { exchange_trade_id: "unheard-of".parse().unwrap(), ..ours[2].clone() });
    trading.save_trades(ours.clone()).await.unwrap();
    let found = trading.reconcile(&snapshot(theirs.clone()), false).await.unwrap();
    assert_eq!(found.status, ReconciliationStatus::Mismatched);
    assert_eq!((found.missing_local, found.missing_exchange, found.mismatched), (2, 1, 2));
    let mut named: Vec<&str> =
        found.details["missing_local"].as_array().unwrap().iter().filter_map(|id| id.as_str()).collect();
    named.sort_unstable();
    let mut expected: Vec<&str> = missing.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(named, expected);
    assert_eq!(found.details["missing_exchange"], serde_json::json!(["unheard-of"]));
    assert_eq!(found.details["repaired"], 0);
    let by_id = |id: &str| {
        let all = found.details["mismatched"].as_array().unwrap();
        all.iter().find(|trade| trade["id"] == id).unwrap()["fields"].clone()
    };
    let price = by_id(&ours[0].exchange_trade_id);
    assert_eq!(price["price"]["local"], "0.500000000000");
    assert_eq!(price["price"]["exchange"], theirs[2].price.to_string());
    assert!(by_id(&ours[1].exchange_trade_id)["traded_at"].is_object());

    // Repairing saves what was missing, statistics included, and leaves the rest.
    let repaired = trading.reconcile(&snapshot(theirs.clone()), true).await.unwrap();
    assert_eq!((repaired.missing_local, repaired.details["repaired"].as_u64()), (2, Some(2)));
    let after = trading.reconcile(&snapshot(theirs.clone()), true).await.unwrap();
    assert_eq!((after.missing_local, after.missing_exchange, after.mismatched), (0, 1, 2));
    assert_eq!(after.status, ReconciliationStatus::Mismatched);
    let count = trading.totals(&TradeFilter::symbol("ETHUSDT")).await.unwrap().count;
    assert_eq!(count, theirs.len() as u64 + 1);
    let statistics = trading.statistics(&StatisticsFilter::symbol("ETHUSDT")).await.unwrap().items;
    assert_eq!(statistics[0].trade_count as u64, count);
    let filter = ReconciliationFilter::new().exchange("binance").status(ReconciliationStatus::Mismatched).limit(2);
    let page = trading.reconciliations(&filter).await.unwrap();
    assert_eq!(page.items.len(), 2);
    let error = trading.reconciliations(&ReconciliationFilter::new().after(page.next)).await.unwrap_err();
    assert!(matches!(error, Error::Cursor(CursorError::AnotherList)), "{error}");
}

async fn many_trades_are_compared_in_few_round_trips(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let theirs: Vec<NewTrade> = (0..12_000)
        .map(|number| NewTrade {
            symbol: "ETHUSDT".parse().unwrap(),
            traded_at: Timestamp::from_millis(DAY_ONE + i64::try_from(number).unwrap() * 7).unwrap(),
            ..trade(number)
        })
        .collect();
    trading.save_trades(theirs[..11_000].to_vec()).await.unwrap();
    let (found, trips) = stage.counted(trading.reconcile(&snapshot(theirs), false)).await;
    let found = found.unwrap();
    assert_eq!((found.local_count, found.exchange_count, found.missing_local), (11_000, 12_000, 1_000));
    // What is named is bounded, and what is counted is not.
    assert_eq!(found.details["missing_local"].as_array().unwrap().len(), 100);
    assert_eq!(trips, 4);
}

async fn a_snapshot_that_makes_no_sense_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let one = of_one_symbol(0..100).remove(0);
    let bad = [
        snapshot(vec![NewTrade { symbol: "BTCUSDT".parse().unwrap(), ..one.clone() }]),
        snapshot(vec![NewTrade { exchange: "okx".parse().unwrap(), ..one.clone() }]),
        snapshot(vec![NewTrade { traded_at: Timestamp::from_millis(DAY_ONE - 1).unwrap(), ..one.clone() }]),
        snapshot(vec![one.clone(), NewTrade { quantity: "77".parse().unwrap(), ..one.clone() }]),
        snapshot(vec![NewTrade { quantity: "-1".parse().unwrap(), ..one }]),
        Snapshot { symbol: " ".parse().unwrap(), ..snapshot(Vec::new()) },
    ];
    for bad in bad {
        let error = trading.reconcile(&bad, true).await.unwrap_err();
        assert!(error.is_invalid(), "{error}");
    }
    assert_eq!(trading.reconciliations(&ReconciliationFilter::new()).await.unwrap().items.len(), 0);
}

async fn risk_checks_are_recorded_and_found(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let check = |check_type: &str, passed| NewRiskCheck {
        exchange: "binance".parse().unwrap(),
        symbol: "ETHUSDT".parse().unwrap(),
        check_type: check_type.parse().unwrap(),
        passed,
        limit_value: "-1000".parse().unwrap(),
        observed_value: "-1000.000000000001".parse().unwrap(),
        details: Json::of(&serde_json::json!({"\u{1f680}": ["\u{202e}", 1.5]})).unwrap(),
        instance_id: "node-1".parse().unwrap(),
    };
    let (failed, trips) = stage.counted(trading.record_risk_check(check("daily_loss", false))).await;
    let failed = failed.unwrap();
    assert_eq!(trips, 1);
    stage.clock.advance(std::time::Duration::from_millis(1));
    let now = stanchion::Clock::now(&*stage.clock);
    trading.record_risk_check(check("daily_loss", true)).await.unwrap();
    trading.record_risk_check(check("max_position", true)).await.unwrap();
    let filter = RiskFilter::symbol("ETHUSDT").exchange("binance").instance("node-1").check_type("daily_loss");
    let (page, trips) = stage.counted(trading.risk_checks(&filter.clone().passed(false))).await;
    assert_eq!((page.unwrap().items, trips), (vec![failed], 1));
    let since = TimeRange { from: Some(now), to: None };
    assert_eq!(trading.risk_checks(&RiskFilter::new().checked(since)).await.unwrap().items.len(), 2);
    let page = trading.risk_checks(&filter.clone().limit(1)).await.unwrap();
    let rest = trading.risk_checks(&filter.after(page.next)).await.unwrap();
    assert!(page.items[0].passed && !rest.items[0].passed && rest.next.is_none());
    let error = trading.risk_checks(&RiskFilter::new().after(page.next)).await.unwrap_err();
    assert!(matches!(error, Error::Cursor(CursorError::AnotherList)), "{error}");
    let blank = NewRiskCheck { check_type: " ".parse().unwrap(), ..check("x", true) };
    assert!(trading.record_risk_check(blank).await.unwrap_err().is_invalid());
}
