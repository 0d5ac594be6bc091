//! A symbol has one holder; who was taken over is refused in the transaction of its write.

use std::time::Duration;

use stanchion::config::Domain;
use stanchion::domain::trading::{NewInstance, NewOrder, OrderFilter, check_fence, share_of};
use stanchion::entity::trading::InstanceRole;
use stanchion::types::Text;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::orders::draft;
use super::{another_app, patient};

on_every_backend! {
    an_instance_makes_itself_known,
    a_symbol_is_held_until_its_lease_is_over,
    a_stale_instance_cannot_place_an_order,
    a_takeover_waits_for_a_write_that_has_checked_its_fence,
    crossing_takeovers_leave_one_holder_with_the_highest_fence,
    an_assignment_that_makes_no_sense_is_refused,
}

const LEASE: Duration = Duration::from_secs(30);

fn text<const N: usize>(text: &str) -> Text<N> {
    text.parse().unwrap()
}

fn symbols(names: &[&str]) -> Vec<Text<32>> {
    names.iter().map(|name| text(name)).collect()
}

async fn an_instance_makes_itself_known(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let instance = |id: &str, slot| NewInstance {
        id: text(id),
        exchange: text("binance"),
        slot,
        slots: 3,
        role: InstanceRole::Active,
        address: text("10.0.0.1:9000"),
    };
    let ((), trips) = stage.counted(async { trading.register_instance(instance("node-2", 2)).await.unwrap() }).await;
    assert_eq!(trips, 1);
    trading.register_instance(instance("node-1", 1)).await.unwrap();
    let started = trading.instance("node-1").await.unwrap();
    stage.clock.advance(LEASE);
    let ((), trips) = stage.counted(async { trading.heartbeat("node-1", InstanceRole::Standby).await.unwrap() }).await;
    assert_eq!(trips, 1);
    let beaten = trading.instance("node-1").await.unwrap();
    assert_eq!((beaten.heartbeat_at.since(started.heartbeat_at), beaten.version), (LEASE, 2));
    assert_eq!((beaten.started_at, beaten.role), (started.started_at, InstanceRole::Standby));
    // A clock that was put back does not take the sign of life back.
    let now = stanchion::Clock::now(&*stage.clock);
    stage.clock.set(now.minus(LEASE).unwrap());
    trading.heartbeat("node-1", InstanceRole::Active).await.unwrap();
    assert_eq!(trading.instance("node-1").await.unwrap(), beaten);
    stage.clock.set(now);
    let alive = trading.instances(Some(now)).await.unwrap();
    assert_eq!(alive.iter().map(|instance| instance.id.as_str()).collect::<Vec<_>>(), ["node-1"]);
    // It starts again, on another slot.
    trading.register_instance(instance("node-1", 0)).await.unwrap();
    let (all, trips) = stage.counted(trading.instances(None)).await;
    let all: Vec<_> =
        all.unwrap().into_iter().map(|instance| (instance.id.to_string(), instance.slot, instance.version)).collect();
    assert_eq!((all, trips), (vec![("node-1".to_owned(), 0, 3), ("node-2".to_owned(), 2, 1)], 1));
    assert!(trading.heartbeat("node-9", InstanceRole::Active).await.unwrap_err().is_not_found());
    assert!(trading.register_instance(instance("node-3", 3)).await.unwrap_err().is_invalid());
    assert!(trading.register_instance(instance(" ", 0)).await.unwrap_err().is_invalid());
    let names = ["A", "B", "C", "D", "E", "A"];
    let shares: Vec<Vec<&str>> = (0..3).map(|slot| share_of(names, slot, 3)).collect();
    assert_eq!(shares, [vec!["A", "D"], vec!["B", "E"], vec!["C"]]);
}

async fn a_symbol_is_held_until_its_lease_is_over(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let (exchange, one, two) = (text("binance"), text("node-1"), text("node-2"));
    let (held, trips) = stage.counted(trading.assign(&exchange, &symbols(&["ETHUSDT", "BTCUSDT"]), &one, LEASE)).await;
    let held = held.unwrap();
    assert_eq!(
        held.iter().map(|row| (row.symbol.as_str(), row.fence)).collect::<Vec<_>>(),
        [("BTCUSDT", 1), ("ETHUSDT", 1)]
    );
    assert_eq!(trips, 6);
    // Another one gets what is free.
    let asked = symbols(&["BTCUSDT", "ETHUSDT", "XRPETH"]);
    let others = trading.assign(&exchange, &asked, &two, LEASE).await.unwrap();
    assert_eq!(others.iter().map(|row| row.symbol.as_str()).collect::<Vec<_>>(), ["XRPETH"]);
    // Renewing keeps the fence, and the symbol.
    stage.clock.advance(LEASE - Duration::from_micros(1));
    let (renewed, trips) = stage.counted(trading.renew(&held[..1], LEASE)).await;
    let renewed = renewed.unwrap();
    assert_eq!((renewed.len(), renewed[0].fence, trips), (1, 1, 2));
    stage.clock.advance(Duration::from_micros(1));
    let (taken, trips) = stage.counted(trading.assign(&exchange, &asked, &two, LEASE)).await;
    let taken = taken.unwrap();
    let summary: Vec<_> = taken.iter().map(|row| (row.symbol.as_str(), row.fence)).collect();
    assert_eq!((summary, trips), (vec![("ETHUSDT", 2), ("XRPETH", 2)], 4));
    // What was lost cannot be renewed or given back; what is over and was not taken can be renewed.
    assert_eq!(trading.renew(&held, LEASE).await.unwrap().len(), 1);
    assert_eq!(trading.release(&held[1..]).await.unwrap(), 0);
    stage.clock.advance(LEASE * 10);
    assert_eq!(trading.renew(&held, LEASE).await.unwrap()[0].symbol.as_str(), "BTCUSDT");
    // What was given back is free at once, with a higher fence.
    let (released, trips) = stage.counted(trading.release(&held[..1])).await;
    assert_eq!((released.unwrap(), trips), (1, 1));
    assert_eq!(trading.assign(&exchange, &asked[..1], &two, LEASE).await.unwrap()[0].fence, 2);
    // Its own symbols again, after a restart: the earlier life is stale.
    assert_eq!(trading.assign(&exchange, &asked[..1], &two, LEASE).await.unwrap()[0].fence, 3);
    let (none, trips) = stage.counted(trading.assign(&exchange, &asked[..1], &one, LEASE)).await;
    assert_eq!((none.unwrap().len(), trips), (0, 3));
    let (all, trips) = stage.counted(trading.assignments("binance", &asked)).await;
    assert_eq!((all.unwrap().len(), trips), (3, 1));
}

async fn a_stale_instance_cannot_place_an_order(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let (exchange, one, two) = (text("binance"), text::<64>("node-1"), text::<64>("node-2"));
    let fenced = |id: &str, price: &str, instance: &Text<64>, fence| NewOrder {
        instance_id: instance.clone(),
        fence: Some(fence),
        ..draft(id, price)
    };
    let refused = trading.place_order(fenced("0", "5", &one, 0)).await.unwrap_err();
    assert!(refused.is_conflict(), "{refused}");
    let wanted = symbols(&["ETHUSDT"]);
    let held = trading.assign(&exchange, &wanted, &one, LEASE).await.unwrap()[0].clone();
    let (placed, trips) = stage.counted(trading.place_order(fenced("1", "10", &one, held.fence))).await;
    let placed = placed.unwrap();
    assert_eq!((placed.is_new, trips, placed.order.fence), (true, 4, 1));
    // Its lease is over, but nobody has taken the symbol: it still writes.
    stage.clock.advance(LEASE * 2);
    let step = "10".parse().unwrap();
    let (placed, trips) = stage.counted(trading.place_at_level(fenced("2", "20", &one, held.fence), step)).await;
    assert_eq!((placed.unwrap().is_new, trips), (true, 5));
    let taken = trading.assign(&exchange, &wanted, &two, LEASE).await.unwrap()[0].clone();
    assert_eq!(taken.fence, 2);
    let refused = [
        trading.place_order(fenced("3", "30", &one, held.fence)).await,
        trading.place_at_level(fenced("3", "30", &one, held.fence), step).await,
        // Not even what it has placed before, and not under the new holder's fence.
        trading.place_order(fenced("1", "10", &one, held.fence)).await,
        trading.place_order(fenced("4", "40", &one, taken.fence)).await,
    ];
    for refused in refused {
        let error = refused.unwrap_err();
        assert!(error.is_conflict() && error.to_string().contains("held by node-2 under fence 2"), "{error}");
    }
    // The new holder may send again what the old one had sent.
    let again = trading.place_order(fenced("1", "10", &two, taken.fence)).await.unwrap();
    assert!(!again.is_new && again.order.fence == 1);
    assert!(trading.place_at_level(fenced("5", "50", &two, taken.fence), step).await.unwrap().is_new);
    assert_eq!(trading.orders(&OrderFilter::new()).await.unwrap().items.len(), 3);
}

async fn a_takeover_waits_for_a_write_that_has_checked_its_fence(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let other = another_app(&stage).await;
    let (exchange, one, two) = (text("binance"), text("node-1"), text("node-2"));
    let wanted = symbols(&["ETHUSDT"]);
    let held = stage.app.trading().assign(&exchange, &wanted, &one, LEASE).await.unwrap()[0].clone();
    stage.clock.advance(LEASE);
    let started = tokio::sync::Notify::new();
    let takeover = async {
        started.notified().await;
        let taken = other.trading().assign(&exchange, &wanted, &two, LEASE).await.unwrap();
        // Whoever takes over sees what was written before.
        let orders = other.trading().orders(&OrderFilter::new()).await.unwrap().items.len();
        (taken[0].fence, orders)
    };
    let write = stage.app.transaction(Domain::Trading, async |tx| {
        check_fence(tx, "binance", "ETHUSDT", "node-1", held.fence).await?;
        started.notify_one();
        // Time for a takeover that does not wait.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let now = stanchion::Clock::now(&*stage.clock);
        stanchion::domain::trading::place(tx, draft("a", "10"), now).await
    });
    let (taken, written) = futures::future::join(takeover, write).await;
    assert!(written.unwrap().is_new);
    assert_eq!(taken, (2, 1));
}

async fn crossing_takeovers_leave_one_holder_with_the_highest_fence(database: TestDatabase) {
    let stage = Stage::with(database, patient).await.unwrap();
    let apps = [stage.app.clone(), another_app(&stage).await, another_app(&stage).await];
    let names = ["A", "B", "C", "D", "E", "F"];
    let exchange: Text<32> = text("binance");
    let mut fences = std::collections::BTreeMap::new();
    for round in 0..4 {
        let takers = (0..12).map(|taker| {
            let (app, exchange) = (apps[taker % 3].clone(), exchange.clone());
            tokio::spawn(async move {
                // Each asks in another order, and not all for the same.
                let mut wanted = symbols(&names);
                wanted.rotate_left(taker % names.len());
                wanted.truncate(4);
                let instance = text(&format!("node-{round}-{taker}"));
                app.trading().assign(&exchange, &wanted, &instance, LEASE).await.unwrap()
            })
        });
        let taken: Vec<_> = futures::future::try_join_all(takers).await.unwrap().into_iter().flatten().collect();
        // Every symbol went to exactly one, which is the one that the table names.
        assert_eq!(taken.len(), names.len());
        let rows = stage.app.trading().assignments("binance", &symbols(&names)).await.unwrap();
        for row in &rows {
            let owner = taken.iter().find(|taken| taken.symbol == row.symbol).unwrap();
            assert_eq!((&row.instance_id, row.fence), (&owner.instance_id, owner.fence));
            let before = fences.insert(row.symbol.clone(), row.fence).unwrap_or(0);
            assert_eq!(row.fence, before + 1);
        }
        stage.clock.advance(LEASE);
    }
}

async fn an_assignment_that_makes_no_sense_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let trading = stage.app.trading();
    let (exchange, one) = (text("binance"), text("node-1"));
    let wanted = symbols(&["ETHUSDT"]);
    assert!(trading.assign(&exchange, &wanted, &one, Duration::ZERO).await.unwrap_err().is_invalid());
    assert!(trading.assign(&exchange, &wanted, &one, Duration::MAX).await.unwrap_err().is_invalid());
    assert!(trading.assign(&text(" "), &wanted, &one, LEASE).await.unwrap_err().is_invalid());
    assert!(trading.assign(&exchange, &wanted, &text(""), LEASE).await.unwrap_err().is_invalid());
    assert!(trading.assign(&exchange, &symbols(&[" "]), &one, LEASE).await.unwrap_err().is_invalid());
    let many: Vec<Text<32>> = (0..501).map(|number| text(&number.to_string())).collect();
    assert!(trading.assign(&exchange, &many, &one, LEASE).await.unwrap_err().is_invalid());
    assert_eq!(trading.assign(&exchange, &many[..500], &one, LEASE).await.unwrap().len(), 500);
    assert_eq!(trading.assign(&exchange, &[], &one, LEASE).await.unwrap().len(), 0);
    let strange = symbols(&["\u{1f680}\u{202e}\u{5e01}", "ethusdt"]);
    assert_eq!(trading.assign(&exchange, &strange, &one, LEASE).await.unwrap().len(), 2);
    let held = trading.assignments("binance", &strange).await.unwrap();
    assert_eq!(trading.renew(&held, LEASE).await.unwrap(), held);
    assert_eq!(trading.renew(&[], LEASE).await.unwrap().len(), 0);
}
