//! A batch happens whole; what is there already is counted and left alone.

use futures::future::join_all;
use stanchion::App;
use stanchion::config::Config;
use stanchion::db::bulk::{self, Rows, Saved};
use stanchion::domain::trading::{NewTrade, TradeFilter};
use stanchion::entity::trading::{OrderStatus, OrderType, Side, trade_order};
use stanchion::types::{Price, Quantity, Timestamp, new_id};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;

use super::settings;

on_every_backend! {
    a_trade_is_saved_once_however_often_it_is_sent,
    several_savers_of_the_same_trades_save_each_once,
    a_batch_with_another_key_taken_is_refused_whole,
    trades_of_any_month_find_their_place,
    a_trade_that_cannot_be_stored_is_refused_with_its_batch,
    an_empty_batch_is_no_work,
}

pub(crate) async fn start(database: &TestDatabase) -> App {
    App::start(Config::new(settings(database))).await.unwrap()
}

/// Trade number `number`, one a second.
pub(crate) fn trade(number: u32) -> NewTrade {
    NewTrade {
        exchange: "binance".parse().unwrap(),
        symbol: "XRPETH".parse().unwrap(),
        exchange_trade_id: number.to_string().parse().unwrap(),
        side: if number.is_multiple_of(3) { Side::Buy } else { Side::Sell },
        price: format!("0.0014{:04}", number % 10_000).parse().unwrap(),
        quantity: format!("{}.25", 1 + number).parse().unwrap(),
        traded_at: Timestamp::from_millis(1_570_752_000_000 + i64::from(number) * 1_000).unwrap(),
        ..NewTrade::default()
    }
}

async fn a_trade_is_saved_once_however_often_it_is_sent(database: TestDatabase) {
    let app = start(&database).await;
    let saved = app.trading().save_trades((0..3_000).map(trade)).await.unwrap();
    assert_eq!(saved, Saved { inserted: 3_000, duplicates: 0 });
    // Some known, some new, some twice in the batch itself.
    let saved = app.trading().save_trades((2_500..3_500).chain(3_400..3_600).map(trade)).await.unwrap();
    assert_eq!(saved, Saved { inserted: 600, duplicates: 600 });
    let again = app.trading().save_trades((0..3_600).map(trade)).await.unwrap();
    assert_eq!(again, Saved { inserted: 0, duplicates: 3_600 });
    let totals = app.trading().totals(&TradeFilter::symbol("XRPETH")).await.unwrap();
    assert_eq!(totals.count, 3_600);
    let expected: rust_decimal::Decimal = (0..3_600).map(|number| trade(number).quantity.get()).sum();
    assert_eq!(totals.quantity, expected);
}

async fn several_savers_of_the_same_trades_save_each_once(database: TestDatabase) {
    let app = start(&database).await;
    let savers = (0..6_u32).map(|saver| {
        let app = app.clone();
        tokio::spawn(async move { app.trading().save_trades((saver * 100..saver * 100 + 1_500).map(trade)).await })
    });
    let mut total = Saved::default();
    for saved in join_all(savers).await {
        total += saved.unwrap().unwrap();
    }
    assert_eq!(total, Saved { inserted: 2_000, duplicates: 7_000 });
    assert_eq!(app.trading().totals(&TradeFilter::new()).await.unwrap().count, 2_000);
}

async fn a_batch_with_another_key_taken_is_refused_whole(database: TestDatabase) {
    let app = start(&database).await;
    let db = app.db(stanchion::config::Domain::Trading);
    let at = Timestamp::from_millis(1_570_752_000_000).unwrap();
    let order = |client_order_id: &str| trade_order::Model {
        id: new_id(),
        exchange: "binance".parse().unwrap(),
        symbol: "XRPETH".parse().unwrap(),
        client_order_id: client_order_id.parse().unwrap(),
        exchange_order_id: None,
        side: Side::Buy,
        order_type: OrderType::Limit,
        price: Some("0.0014".parse::<Price>().unwrap()),
        quantity: "5".parse::<Quantity>().unwrap(),
        filled_quantity: Quantity::ZERO,
        avg_fill_price: None,
        status: OrderStatus::New,
        instance_id: "node-1".parse().unwrap(),
        fence: 0,
        price_level: None,
        version: 1,
        created_at: at,
        updated_at: at,
    };
    let first = Rows::of::<trade_order::Entity>([order("a"), order("b")]);
    db.transaction(async |tx| bulk::insert(tx, &first).await).await.unwrap();
    let second = Rows::of::<trade_order::Entity>([order("c"), order("b")]);
    let error = db.transaction(async |tx| bulk::insert(tx, &second).await).await.unwrap_err();
    assert!(error.is_conflict(), "{error:?}");
    assert!(error.to_string().contains("uq_trade_orders_exchange_client_order_id"), "{error}");
    // Nothing of it was kept, so `c` is still free.
    let third = Rows::of::<trade_order::Entity>([order("c")]);
    let saved = db.transaction(async |tx| bulk::insert(tx, &third).await).await.unwrap();
    assert_eq!(saved.inserted, 1);
}

async fn trades_of_any_month_find_their_place(database: TestDatabase) {
    let app = start(&database).await;
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let instants = [
        "1970-01-01T00:00:00Z",
        "1999-12-31T23:59:59.999999Z",
        "2000-01-01T00:00:00Z",
        "2019-10-31T23:59:59.999Z",
        "2019-11-01T00:00:00Z",
        "2262-04-12T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ];
    let trades = instants.iter().zip(0..).map(|(instant, number)| NewTrade { traded_at: at(instant), ..trade(number) });
    assert_eq!(app.trading().save_trades(trades).await.unwrap().inserted, instants.len() as u64);
    let october = TradeFilter::new().from(at("2019-10-01T00:00:00Z")).to(at("2019-11-01T00:00:00Z"));
    let page = app.trading().trades(&october).await.unwrap();
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0].traded_at, at("2019-10-31T23:59:59.999Z"));
}

async fn a_trade_that_cannot_be_stored_is_refused_with_its_batch(database: TestDatabase) {
    let app = start(&database).await;
    let bad = [
        (NewTrade { price: Price::ZERO, ..trade(1) }, "trades.price"),
        (NewTrade { quantity: "-1".parse().unwrap(), ..trade(1) }, "trades.quantity"),
        (NewTrade { symbol: " ".parse().unwrap(), ..trade(1) }, "trades.symbol"),
        (NewTrade { traded_at: Timestamp::from_millis(-1).unwrap(), ..trade(1) }, "trades.traded_at"),
        (
            NewTrade {
                price: "9999999999999999".parse().unwrap(),
                quantity: "9999999999999999".parse().unwrap(),
                ..trade(1)
            },
            "trades.quote_quantity",
        ),
    ];
    for (bad, column) in bad {
        let error = app.trading().save_trades([trade(0), bad]).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().starts_with(column), "{error}");
    }
    assert_eq!(app.trading().totals(&TradeFilter::new()).await.unwrap().count, 0);
}

async fn an_empty_batch_is_no_work(database: TestDatabase) {
    let app = start(&database).await;
    assert_eq!(app.trading().save_trades([]).await.unwrap(), Saved::default());
}
