//! Ordering, inventory and marketing each in a database of its own, of whatever engine: the same code, the same promises.

use std::time::Duration;

use futures::future::join_all;
use stanchion::config::{Database, Domain};
use stanchion::domain::ordering::NewOrder;
use stanchion::entity::ordering::OrderStatus;
use stanchion::types::new_id;
use stanchion_tests::testbed::{Backend, TestDatabase};
use stanchion_tests::{Stage, on_every_backend};

use super::shop::{Shop, basket};

on_every_backend! {
    a_checkout_over_three_databases_is_all_or_nothing,
    a_checkout_over_three_engines_is_all_or_nothing,
}

async fn a_checkout_over_three_databases_is_all_or_nothing(database: TestDatabase) {
    let backend = database.backend();
    buy_over(database, [backend, backend]).await;
}

async fn a_checkout_over_three_engines_is_all_or_nothing(database: TestDatabase) {
    let backend = database.backend();
    // Each engine takes each part in turn; where a server is missing, SQLite stands in for it.
    let at = Backend::ALL.iter().position(|known| *known == backend).unwrap();
    let stand_in = |backend: Backend| if backend.available() { backend } else { Backend::Sqlite };
    buy_over(database, [1, 2].map(|step| stand_in(Backend::ALL[(at + step) % 3]))).await;
}

async fn buy_over(database: TestDatabase, [inventory, marketing]: [Backend; 2]) {
    let inventory = TestDatabase::migrated(inventory).await.unwrap();
    let marketing = TestDatabase::migrated(marketing).await.unwrap();
    let parts = [(Domain::Inventory, inventory.url()), (Domain::Marketing, marketing.url())];
    let stage = Stage::with(database, |config| {
        for (domain, url) in parts {
            let mut database = Database::new(url.parse().unwrap());
            database.max_open_conns = 8;
            config.databases.insert(domain, database);
        }
    });
    let shop = Shop::open(stage.await.unwrap()).await;
    assert_eq!(shop.app().databases().len(), 3);
    let product = shop.product("7.77", 20).await;
    let user = new_id();
    let shared = shop.coupon(user, "1").await;
    let mut requests = Vec::new();
    for number in 0..30 {
        let coupon = match number % 3 {
            0 => Some(shared),
            1 => Some(shop.coupon(user, "2").await),
            _ => None,
        };
        requests.push(NewOrder { coupon, ..basket(user, &[(product, 1)]) });
    }
    // A third of them is left half-way.
    let buyers = requests.into_iter().enumerate().map(|(number, request)| {
        let app = shop.app().clone();
        tokio::spawn(async move {
            let mut checkout = app.ordering().begin_checkout(request).unwrap();
            if number % 5 < 3 {
                let _refused = checkout.finish().await;
            } else {
                for _ in 0..number % 4 + 1 {
                    checkout.advance().await.unwrap();
                }
            }
        })
    });
    for buyer in join_all(buyers).await {
        buyer.unwrap();
    }
    shop.stage.clock.advance(Duration::from_secs(300));
    let swept = shop.app().ordering().sweep(Duration::from_secs(60), 100).await.unwrap();
    assert_eq!(swept.failed + swept.outbox.failed, 0, "{swept:?}");
    shop.adds_up().await;
    assert!(shop.stock(product).await.1 <= 20);
    // What is confirmed can be undone over all three.
    let confirmed = shop.all_orders().await.into_iter().filter(|order| order.status == OrderStatus::Confirmed);
    for order in confirmed {
        shop.app().ordering().cancel(order.id, None).await.unwrap();
    }
    assert_eq!(shop.stock(product).await, (20, 0));
    assert_eq!(shop.held_coupon(shared).await.order_id, None);
    shop.adds_up().await;
    shop.app().close().await;
}
