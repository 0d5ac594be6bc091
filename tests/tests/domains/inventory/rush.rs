//! Many at once.

use std::sync::Arc;

use futures::future::join_all;
use stanchion::domain::inventory::{Receipt, StockFilter, Transfer};
use stanchion::entity::inventory::MovementKind;
use stanchion::types::new_id;
use stanchion::{App, Error};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use super::{assert_sound, crowded, entries, figures, line, stock, stocked, text, warehouse};

on_every_backend! {
    of_200_buyers_of_100_units_exactly_100_get_one,
    one_order_that_is_sent_often_at_once_reserves_once,
    crossing_baskets_do_not_deadlock,
    a_released_order_never_holds_anything,
    a_commit_and_a_release_at_once_do_one_of_them,
    the_first_stock_of_a_product_is_made_once,
    crossing_transfers_lose_nothing,
}

/// Another app on the same database: another instance of the service.
async fn another(stage: &Stage) -> App {
    App::start_with(stage.app.config().clone(), Arc::clone(&stage.clock) as _).await.unwrap()
}

/// Runs each of these on a task of its own, all at once.
async fn at_once<T: Send + 'static>(work: impl Iterator<Item = impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks: Vec<_> = work.map(tokio::spawn).collect();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

async fn of_200_buyers_of_100_units_exactly_100_get_one(database: TestDatabase) {
    let stage = crowded(database).await;
    let product = stocked(&stage, 100).await;
    let apps = [stage.app.clone(), another(&stage).await];
    let buyers = (0..200).map(|number| {
        let app = apps[number % 2].clone();
        async move {
            let order = new_id();
            app.inventory().reserve(order, &[line(product, 1)]).await.map(|()| order)
        }
    });
    let outcomes = at_once(buyers).await;
    let refused: Vec<&Error> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(refused.iter().all(|error| matches!(error, Error::Conflict(_))), "{refused:?}");
    let orders: Vec<Uuid> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
    assert_eq!((orders.len(), refused.len()), (100, 100));
    assert_eq!(figures(&stage, product).await, (100, 100));
    assert_sound(&stage).await;

    // They all leave, each of them told twice.
    let commits = orders.iter().chain(&orders).enumerate().map(|(number, order)| {
        let (app, order) = (apps[number % 2].clone(), *order);
        async move { app.inventory().commit(order).await }
    });
    for outcome in at_once(commits).await {
        outcome.unwrap();
    }
    assert_eq!(figures(&stage, product).await, (0, 0));
    assert_sound(&stage).await;
    apps[1].close().await;
}

async fn one_order_that_is_sent_often_at_once_reserves_once(database: TestDatabase) {
    let stage = crowded(database).await;
    let (product, order) = (stocked(&stage, 100).await, new_id());
    let requests = (0..24).map(|_| {
        let app = stage.app.clone();
        async move { app.inventory().reserve(order, &[line(product, 3)]).await }
    });
    for outcome in at_once(requests).await {
        outcome.unwrap();
    }
    assert_eq!(figures(&stage, product).await, (100, 3));
    let releases = (0..24).map(|_| {
        let app = stage.app.clone();
        async move { app.inventory().release(order).await }
    });
    for outcome in at_once(releases).await {
        outcome.unwrap();
    }
    assert_eq!(figures(&stage, product).await, (100, 0));
    assert_eq!(
        entries(&stage, &order.to_string()).await,
        [(MovementKind::Reserve, 3, 3), (MovementKind::Release, -3, 0)]
    );
    assert_sound(&stage).await;
}

async fn crossing_baskets_do_not_deadlock(database: TestDatabase) {
    let stage = crowded(database).await;
    let mut products = Vec::new();
    for _ in 0..4 {
        products.push(stocked(&stage, 1_000).await);
    }
    let baskets = (0..48).map(|number| {
        let (app, mut products) = (stage.app.clone(), products.clone());
        async move {
            products.rotate_left(number % 4);
            if number % 2 == 0 {
                products.reverse();
            }
            let lines: Vec<_> = products.iter().map(|product| line(*product, 1)).collect();
            let order = new_id();
            app.inventory().reserve(order, &lines).await?;
            match number % 3 {
                0 => app.inventory().release(order).await,
                1 => app.inventory().commit(order).await,
                _ => Ok(()),
            }
        }
    });
    for outcome in at_once(baskets).await {
        outcome.unwrap();
    }
    for product in products {
        assert_eq!(figures(&stage, product).await, (984, 16));
    }
    assert_sound(&stage).await;
}

async fn a_released_order_never_holds_anything(database: TestDatabase) {
    let stage = crowded(database).await;
    let apps = [stage.app.clone(), another(&stage).await];
    let (one, other) = (stocked(&stage, 100_000).await, stocked(&stage, 100_000).await);
    for _ in 0..8 {
        let order = new_id();
        // Before, while and after the order is reserved, it is released, by several at once.
        let tasks = (0..12_usize).map(|number| {
            let app = apps[number % 2].clone();
            async move {
                if number % 3 == 0 {
                    app.inventory().release(order).await
                } else {
                    match app.inventory().reserve(order, &[line(one, 2), line(other, 1)]).await {
                        Err(Error::Conflict(_)) => Ok(()),
                        done => done,
                    }
                }
            }
        });
        for outcome in at_once(tasks).await {
            outcome.unwrap();
        }
        assert_eq!((figures(&stage, one).await.1, figures(&stage, other).await.1), (0, 0));
        assert!(stage.app.inventory().reserve(order, &[line(one, 2), line(other, 1)]).await.is_err());
    }
    assert_sound(&stage).await;
    apps[1].close().await;
}

async fn a_commit_and_a_release_at_once_do_one_of_them(database: TestDatabase) {
    let stage = crowded(database).await;
    let product = stocked(&stage, 1_000).await;
    let mut left = 0;
    for _ in 0..12 {
        let order = new_id();
        stage.app.inventory().reserve(order, &[line(product, 2)]).await.unwrap();
        let (one, other) = (stage.app.clone(), stage.app.clone());
        let commit = tokio::spawn(async move { one.inventory().commit(order).await });
        let release = tokio::spawn(async move { other.inventory().release(order).await });
        let (commit, release) = (commit.await.unwrap(), release.await.unwrap());
        assert_ne!(commit.is_ok(), release.is_ok(), "{commit:?} {release:?}");
        left += if commit.is_ok() { 2 } else { 0 };
        assert_eq!(figures(&stage, product).await, (1_000 - left, 0));
    }
    assert_sound(&stage).await;
}

async fn the_first_stock_of_a_product_is_made_once(database: TestDatabase) {
    let stage = crowded(database).await;
    let apps = [stage.app.clone(), another(&stage).await];
    let (product_id, warehouse_id) = (new_id(), warehouse(&stage, "north").await);
    let receipts = (0..32).map(|number| {
        let app = apps[number % 2].clone();
        // Every delivery twice.
        let reference = text(&format!("delivery {}", number / 2));
        async move { app.inventory().receive(&Receipt { product_id, warehouse_id, quantity: 3, reference }).await }
    });
    for outcome in at_once(receipts).await {
        outcome.unwrap();
    }
    assert_eq!(figures(&stage, product_id).await, (48, 0));
    let rows = stage.app.inventory().stocks(&StockFilter::new().product(product_id)).await.unwrap();
    assert_eq!(rows.items.len(), 1);
    assert_sound(&stage).await;
    apps[1].close().await;
}

async fn crossing_transfers_lose_nothing(database: TestDatabase) {
    let stage = crowded(database).await;
    let product_id = new_id();
    let (north, south) = (warehouse(&stage, "north").await, warehouse(&stage, "south").await);
    stock(&stage, product_id, north, 50).await;
    stock(&stage, product_id, south, 50).await;
    let transfers = (0..60).map(|number| {
        let app = stage.app.clone();
        let (from, to) = if number % 2 == 0 { (north, south) } else { (south, north) };
        async move {
            let quantity = 1 + number % 7;
            let reference = text(&format!("transfer {number}"));
            let done = app.inventory().transfer(&Transfer { product_id, from, to, quantity, reference }).await;
            let order = new_id();
            let reserved = app.inventory().reserve(order, &[line(product_id, 40)]).await;
            if reserved.is_ok() {
                app.inventory().release(order).await.unwrap();
            }
            (done, reserved)
        }
    });
    for (done, reserved) in at_once(transfers).await {
        for outcome in [done, reserved] {
            assert!(matches!(outcome, Ok(()) | Err(Error::Conflict(_))), "{outcome:?}");
        }
    }
    assert_eq!(figures(&stage, product_id).await, (100, 0));
    assert_sound(&stage).await;
}
