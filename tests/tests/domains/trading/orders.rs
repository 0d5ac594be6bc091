//! An order is placed once, moves by the legal ways only, and has its price level to itself.

use stanchion::Error;
use stanchion::db::{CursorError, Order};
use stanchion::domain::trading::{Ending, Fill, NewOrder, OrderFilter, price_level};
use stanchion::entity::trading::trade_order::Model as TradeOrder;
use stanchion::entity::trading::{OrderStatus, OrderType, Side};
use stanchion::types::{Price, Quantity, new_id};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::{another_app, patient};

on_every_backend! {
    an_order_placed_twice_is_one,
    one_order_sent_by_many_at_once_is_placed_once,
    an_order_that_makes_no_sense_is_refused,
    an_order_goes_its_legal_ways_only,
    fills_that_repeat_or_come_late_change_nothing,
    fills_in_any_order_at_once_end_at_the_highest,
    orders_are_paged,
    a_level_has_one_live_order_however_many_try,
    a_level_is_free_again_when_its_order_ends,
}

/// An order for a price on `ETHUSDT`.
pub(super) fn draft(client_order_id: &str, price: &str) -> NewOrder {
    NewOrder {
        exchange: "binance".parse().unwrap(),
        symbol: "ETHUSDT".parse().unwrap(),
        client_order_id: client_order_id.parse().unwrap(),
        price: Some(price.parse().unwrap()),
        quantity: "2".parse().unwrap(),
        ..NewOrder::default()
    }
}

fn fill(quantity: &str, quote: &str) -> Fill {
    Fill { filled_quantity: quantity.parse().unwrap(), filled_quote: quote.parse().unwrap() }
}

/// It is refused, and says from what to what.
#[track_caller]
fn assert_conflict<T: std::fmt::Debug>(result: Result<T, Error>, states: &str) {
    let error = result.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)) && error.to_string().contains(states), "{error}");
}

async fn an_order_placed_twice_is_one(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let (placed, trips) = stage.counted(trading.place_order(draft("a", "1850.5"))).await;
    let placed = placed.unwrap();
    assert_eq!((placed.is_new, placed.order.status, trips), (true, OrderStatus::New, 3));
    let (again, trips) = stage.counted(trading.place_order(draft("a", "1850.5"))).await;
    let again = again.unwrap();
    assert_eq!((again.is_new, again.order.id, trips), (false, placed.order.id, 4));
    // The same id for something else is a mistake; on another exchange it is another order.
    let others = [
        draft("a", "1850.6"),
        NewOrder { quantity: "3".parse().unwrap(), ..draft("a", "1850.5") },
        NewOrder { side: Side::Sell, ..draft("a", "1850.5") },
        NewOrder { symbol: "BTCUSDT".parse().unwrap(), ..draft("a", "1850.5") },
    ];
    for other in others {
        assert_conflict(trading.place_order(other).await, "another order");
    }
    assert_conflict(trading.place_at_level(draft("a", "1850.5"), "1".parse().unwrap()).await, "another order");
    let elsewhere = NewOrder { exchange: "okx".parse().unwrap(), ..draft("a", "1850.5") };
    assert!(trading.place_order(elsewhere).await.unwrap().is_new);
    let (found, trips) = stage.counted(trading.order_by_client_id("binance", "a")).await;
    assert_eq!((found.unwrap().unwrap().id, trips), (placed.order.id, 1));
    assert_eq!(trading.order_by_client_id("binance", "A").await.unwrap(), None);
    let (found, trips) = stage.counted(trading.order(placed.order.id)).await;
    assert_eq!((found.unwrap(), trips), (placed.order, 1));
}

async fn one_order_sent_by_many_at_once_is_placed_once(database: TestDatabase) {
    let stage = Stage::with(database, patient).await.unwrap();
    let apps = [stage.app.clone(), another_app(&stage).await];
    let placed = (0..16).map(|caller| {
        let app = apps[caller % 2].clone();
        tokio::spawn(async move { app.trading().place_order(draft("a", "1850")).await.unwrap() })
    });
    let placed = futures::future::try_join_all(placed).await.unwrap();
    assert_eq!(placed.iter().filter(|placed| placed.is_new).count(), 1);
    assert!(placed.iter().all(|other| other.order.id == placed[0].order.id));
}

async fn an_order_that_makes_no_sense_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let bad = [
        NewOrder { price: None, ..draft("a", "1") },
        NewOrder { order_type: OrderType::Market, ..draft("a", "1") },
        draft("a", "0"),
        draft("a", "-1"),
        draft(" ", "1"),
        NewOrder { quantity: Quantity::ZERO, ..draft("a", "1") },
        NewOrder { symbol: "".parse().unwrap(), ..draft("a", "1") },
    ];
    for bad in bad {
        let error = trading.place_order(bad.clone()).await.unwrap_err();
        assert!(error.is_invalid(), "{bad:?}: {error}");
    }
    for step in ["0", "-1"] {
        assert!(trading.place_at_level(draft("a", "1"), step.parse().unwrap()).await.unwrap_err().is_invalid());
    }
    let market = NewOrder { order_type: OrderType::Market, price: None, ..draft("a", "1") };
    assert!(trading.place_at_level(market.clone(), "1".parse().unwrap()).await.unwrap_err().is_invalid());
    assert!(trading.place_order(market).await.unwrap().is_new);
    let unknown = new_id();
    assert!(trading.order(unknown).await.unwrap_err().is_not_found());
    assert!(trading.fill_order(unknown, fill("1", "1")).await.unwrap_err().is_not_found());
    assert!(trading.end_order(unknown, Ending::Expired).await.unwrap_err().is_not_found());
    assert!(trading.acknowledge_order(unknown, "1".parse().unwrap()).await.unwrap_err().is_not_found());
    assert!(trading.acknowledge_order(unknown, " ".parse().unwrap()).await.unwrap_err().is_invalid());
    let strange = "\u{1f680}\u{202e}\u{5e01}";
    let placed = trading.place_order(draft(strange, "0.000000000001")).await.unwrap();
    assert_eq!(trading.order(placed.order.id).await.unwrap().client_order_id.as_str(), strange);
}

/// Places an order and brings it into this state.
async fn order_in(stage: &Stage, status: OrderStatus) -> TradeOrder {
    let trading = stage.app.trading();
    let order = trading.place_order(draft(&new_id().to_string(), "10")).await.unwrap().order;
    match status {
        OrderStatus::New => Ok(order),
        OrderStatus::Submitted => trading.acknowledge_order(order.id, "x".parse().unwrap()).await,
        OrderStatus::PartiallyFilled => trading.fill_order(order.id, fill("1", "10")).await,
        OrderStatus::Filled => trading.fill_order(order.id, fill("2", "20")).await,
        OrderStatus::Cancelled => trading.end_order(order.id, Ending::Cancelled).await,
        OrderStatus::Rejected => trading.end_order(order.id, Ending::Rejected).await,
        OrderStatus::Expired => trading.end_order(order.id, Ending::Expired).await,
    }
    .unwrap()
}

async fn an_order_goes_its_legal_ways_only(database: TestDatabase) {
    use OrderStatus::{Cancelled, Expired, Filled, New, PartiallyFilled, Rejected, Submitted};

    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let endings = [(Ending::Cancelled, Cancelled), (Ending::Rejected, Rejected), (Ending::Expired, Expired)];
    for from in OrderStatus::ALL.iter().copied() {
        for (ending, to) in endings {
            let order = order_in(&stage, from).await;
            assert_eq!(order.status, from);
            let (ended, trips) = stage.counted(trading.end_order(order.id, ending)).await;
            let legal = matches!(from, New | Submitted) || from == PartiallyFilled && to != Rejected;
            if legal {
                let ended = ended.unwrap();
                assert_eq!((ended.status, ended.version, trips), (to, order.version + 1, 2));
                assert_eq!(trading.end_order(order.id, ending).await.unwrap(), ended);
            } else if from == to {
                assert_eq!(ended.unwrap(), order);
            } else {
                assert_conflict(ended, &format!("is {from} and cannot become {to}"));
                assert_eq!(trading.order(order.id).await.unwrap(), order);
            }
        }
        let order = order_in(&stage, from).await;
        let filled = trading.fill_order(order.id, fill("2", "20")).await;
        match from {
            New | Submitted | PartiallyFilled => assert_eq!(filled.unwrap().status, Filled),
            Filled => assert_eq!(filled.unwrap(), order),
            _ => assert_conflict(filled, &format!("is {from} and cannot become filled")),
        }
        let order = order_in(&stage, from).await;
        let submitted = trading.acknowledge_order(order.id, "77".parse().unwrap()).await;
        match from {
            New => assert_eq!(submitted.unwrap().status, Submitted),
            // The news of the fill was faster.
            PartiallyFilled | Filled => {
                let order = submitted.unwrap();
                assert_eq!((order.status, order.exchange_order_id.as_deref()), (from, Some("77")));
                assert_eq!(trading.acknowledge_order(order.id, "77".parse().unwrap()).await.unwrap(), order);
            }
            Submitted => assert_conflict(submitted, "by another id"),
            _ => assert_conflict(submitted, &format!("is {from} and cannot become submitted")),
        }
    }
}

async fn fills_that_repeat_or_come_late_change_nothing(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let order = trading.place_order(draft("a", "10")).await.unwrap().order;
    let (part, trips) = stage.counted(trading.fill_order(order.id, fill("1.5", "10"))).await;
    let part = part.unwrap();
    assert_eq!((part.status, trips), (OrderStatus::PartiallyFilled, 2));
    assert_eq!(part.avg_fill_price, Some("6.666666666667".parse().unwrap()));
    for known in [fill("1.5", "10"), fill("1.5", "11"), fill("1", "9"), fill("0.000000000001", "1")] {
        assert_eq!(trading.fill_order(order.id, known).await.unwrap(), part);
    }
    assert_conflict(trading.fill_order(order.id, fill("2.000000000001", "20")).await, "of 2.000000000000 units");
    for nonsense in [fill("0", "1"), fill("-1", "1"), fill("1.6", "0"), fill("1.6", "-1")] {
        assert!(trading.fill_order(order.id, nonsense).await.unwrap_err().is_invalid());
    }
    assert_eq!(trading.order(order.id).await.unwrap(), part);
    let all = trading.fill_order(order.id, fill("2", "13")).await.unwrap();
    assert_eq!((all.status, all.avg_fill_price), (OrderStatus::Filled, Some("6.5".parse().unwrap())));
    for late in [fill("1.5", "10"), fill("2", "13")] {
        assert_eq!(trading.fill_order(order.id, late).await.unwrap(), all);
    }
    // One that was cancelled keeps what was filled, and takes no more.
    let order = order_in(&stage, OrderStatus::PartiallyFilled).await;
    let cancelled = trading.end_order(order.id, Ending::Cancelled).await.unwrap();
    assert_eq!(cancelled.filled_quantity, "1".parse().unwrap());
    assert_eq!(trading.fill_order(order.id, fill("1", "10")).await.unwrap(), cancelled);
    let more = trading.fill_order(order.id, fill("1.5", "15")).await;
    assert_conflict(more, "is cancelled and cannot become partially_filled");
}

async fn fills_in_any_order_at_once_end_at_the_highest(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let order = stage.app.trading().place_order(draft("a", "10")).await.unwrap().order;
    let reports = (1..=20_u32).map(|part| {
        let app = stage.app.clone();
        // 7 is coprime to 20: every part once, in no order.
        let quantity = format!("{}", f64::from((part * 7 % 20) + 1) / 10.0);
        tokio::spawn(async move { app.trading().fill_order(order.id, fill(&quantity, "1")).await })
    });
    for report in futures::future::try_join_all(reports).await.unwrap() {
        report.unwrap();
    }
    let order = stage.app.trading().order(order.id).await.unwrap();
    assert_eq!((order.status, order.filled_quantity), (OrderStatus::Filled, order.quantity));
    assert_eq!(order.avg_fill_price, Some("0.5".parse().unwrap()));
}

async fn orders_are_paged(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    for (number, status) in OrderStatus::ALL.iter().enumerate() {
        stage.clock.advance(std::time::Duration::from_millis(1));
        assert_eq!(order_in(&stage, *status).await.status, *status, "{number}");
    }
    let filter = OrderFilter::symbol("ETHUSDT").exchange("binance").side(Side::Buy).order(Order::Asc).limit(4);
    let (page, trips) = stage.counted(trading.orders(&filter)).await;
    let page = page.unwrap();
    assert_eq!(trips, 1);
    let rest = trading.orders(&filter.clone().after(page.next)).await.unwrap();
    let statuses: Vec<_> = page.items.iter().chain(&rest.items).map(|order| order.status).collect();
    assert_eq!(statuses, OrderStatus::ALL);
    assert_eq!(trading.orders(&OrderFilter::new().live()).await.unwrap().items.len(), 3);
    assert_eq!(trading.orders(&OrderFilter::new().status(OrderStatus::Filled)).await.unwrap().items.len(), 1);
    assert_eq!(trading.orders(&OrderFilter::new().instance("nobody")).await.unwrap().items.len(), 0);
    let error = trading.orders(&OrderFilter::new().live().after(page.next)).await.unwrap_err();
    assert!(matches!(error, Error::Cursor(CursorError::AnotherList)), "{error}");
}

async fn a_level_has_one_live_order_however_many_try(database: TestDatabase) {
    let stage = Stage::with(database, patient).await.unwrap();
    let apps = [stage.app.clone(), another_app(&stage).await, another_app(&stage).await];
    let step: Price = "2.5".parse().unwrap();
    for round in 0..2 {
        let placing = (0..36).map(|task| {
            let app = apps[task % 3].clone();
            tokio::spawn(async move {
                // Prices of four levels, each inside of its level.
                let price = format!(
                    "{}",
                    1850.0 + 2.5 * f64::from(u32::try_from(task % 4).unwrap()) + 0.07 * (task / 4) as f64
                );
                app.trading().place_at_level(draft(&format!("{round}-{task}"), &price), step).await.unwrap()
            })
        });
        let placed = futures::future::try_join_all(placing).await.unwrap();
        assert_eq!(placed.iter().filter(|placed| placed.is_new).count(), 4);
        let live = stage.app.trading().orders(&OrderFilter::new().live()).await.unwrap().items;
        let mut levels: Vec<String> = live.iter().map(|order| order.price_level.unwrap().to_string()).collect();
        levels.sort();
        assert_eq!(
            levels,
            ["1850", "1852.5", "1855", "1857.5"].map(|level| level.parse::<Price>().unwrap().to_string())
        );
        // Everybody was told of the one that is there.
        assert!(placed.iter().all(|placed| live.iter().any(|order| order.id == placed.order.id)));
        for order in live {
            stage.app.trading().end_order(order.id, Ending::Cancelled).await.unwrap();
        }
    }
}

async fn a_level_is_free_again_when_its_order_ends(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let step: Price = "10".parse().unwrap();
    let (first, trips) = stage.counted(trading.place_at_level(draft("a", "1859.999999999999"), step)).await;
    let first = first.unwrap();
    assert_eq!((first.is_new, first.order.price_level, trips), (true, Some("1850".parse().unwrap()), 4));
    // What is there already costs one look, and is no error; the same order again is the same order.
    for (client_order_id, price) in [("b", "1850"), ("a", "1859.999999999999")] {
        let (there, trips) = stage.counted(trading.place_at_level(draft(client_order_id, price), step)).await;
        let there = there.unwrap();
        assert_eq!((there.is_new, there.order.id, trips), (false, first.order.id, 1));
    }
    assert_conflict(trading.place_at_level(draft("a", "1855"), step).await, "another order");
    // The other side, the next level, another symbol and another exchange are free; so is an order without a level.
    let sell = NewOrder { side: Side::Sell, ..draft("c", "1850") };
    let other = NewOrder { symbol: "BTCUSDT".parse().unwrap(), ..draft("d", "1850") };
    let elsewhere = NewOrder { exchange: "okx".parse().unwrap(), ..draft("e", "1850") };
    for free in [sell, other, elsewhere, draft("f", "1860"), draft("g", "1849.999999999999")] {
        assert!(trading.place_at_level(free, step).await.unwrap().is_new);
    }
    assert!(trading.place_order(draft("h", "1850")).await.unwrap().is_new);
    // Submitted and partly filled it keeps its level; each ending frees it.
    trading.acknowledge_order(first.order.id, "1".parse().unwrap()).await.unwrap();
    assert!(!trading.place_at_level(draft("i", "1850"), step).await.unwrap().is_new);
    trading.fill_order(first.order.id, fill("1", "10")).await.unwrap();
    assert!(!trading.place_at_level(draft("i", "1850"), step).await.unwrap().is_new);
    trading.fill_order(first.order.id, fill("2", "20")).await.unwrap();
    for (number, ending) in [Ending::Cancelled, Ending::Rejected, Ending::Expired].into_iter().enumerate() {
        let placed = trading.place_at_level(draft(&format!("n{number}"), "1855"), step).await.unwrap();
        assert!(placed.is_new);
        trading.end_order(placed.order.id, ending).await.unwrap();
        // Its own id does not bring it back.
        let again = trading.place_at_level(draft(&format!("n{number}"), "1855"), step).await.unwrap();
        assert!(!again.is_new && again.order.id == placed.order.id);
    }
    assert_eq!(price_level("0.5".parse().unwrap(), "1".parse().unwrap()).unwrap(), Price::ZERO);
    let (tiny, large) = ("0.000000000003".parse().unwrap(), "9999999999999999.999999999999".parse().unwrap());
    assert_eq!(price_level(large, tiny).unwrap(), large);
}
