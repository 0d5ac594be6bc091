//! A checkout happens once, whole or not at all.

use std::time::Duration;

use futures::future::join_all;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use stanchion::Error;
use stanchion::config::Domain;
use stanchion::domain::ordering::{
    ABANDONED_AFTER, KEY_LIFETIME, NewLine, NewOrder, OrderFilter, ShippingAddress, Step, Swept,
};
use stanchion::entity::catalog::{ProductStatus, product};
use stanchion::entity::ordering::{OrderStatus, idempotency_key};
use stanchion::types::{Money, Text, new_id};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;

use super::shop::{Shop, address, basket, money};

on_every_backend! {
    a_checkout_confirms_an_order_in_few_round_trips,
    the_same_request_twice_is_one_order,
    the_same_request_at_the_same_moment_is_one_order,
    another_request_under_the_same_key_is_refused,
    an_expired_key_is_free_again,
    too_little_stock_cancels_the_order_and_holds_nothing,
    a_coupon_that_is_used_cancels_the_order_and_frees_its_stock,
    two_hundred_buyers_get_a_hundred_units,
    one_coupon_in_many_baskets_is_used_once,
    what_is_left_half_way_is_finished_by_the_sweeper,
    what_is_left_too_long_is_undone,
    a_checkout_that_was_undone_meanwhile_holds_nothing,
    sweepers_and_buyers_do_not_get_in_each_others_way,
    an_order_that_makes_no_sense_is_refused,
}

async fn a_checkout_confirms_an_order_in_few_round_trips(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let user = new_id();
    let mut lines = Vec::new();
    for _ in 0..5 {
        lines.push((shop.product("19.99", 10).await, 2));
    }
    // The first one of a month looks for the partitions of its tables, where there are any.
    ordering.checkout(basket(user, &lines[..1])).await.unwrap();
    let one = basket(user, &lines[..1]);
    let (order, trips) = shop.stage.counted(ordering.checkout(one)).await;
    let order = order.unwrap();
    assert_eq!(order.status, OrderStatus::Confirmed);
    assert_eq!((order.total_amount, order.final_amount), (money("39.98"), money("46.48")));
    assert_eq!(order, ordering.order(order.id).await.unwrap());
    let steps = ordering.history(order.id).await.unwrap();
    let steps: Vec<_> = steps.iter().map(|step| (step.old_status, step.new_status)).collect();
    assert_eq!(steps, [(None, OrderStatus::Pending), (Some(OrderStatus::Pending), OrderStatus::Confirmed)]);
    // One for the prices, six to place it, as many to reserve, four to confirm; five lines are no more than one.
    assert_eq!(trips, 17);
    let (order, trips) = shop.stage.counted(ordering.checkout(basket(user, &lines))).await;
    let full = ordering.full_order(order.unwrap().id).await.unwrap();
    assert_eq!(trips, 17);
    let items: Vec<_> = full.items.iter().map(|item| (item.product_id, item.quantity)).collect();
    assert_eq!(items, lines);
    assert_eq!(full.items[0].product_image.as_deref(), Some("https://img.example/cover.jpg"));
    assert_eq!(full.items[0].product_name, "Café ☕");

    let coupon = Some(shop.coupon(user, "5.01").await);
    let with_coupon = NewOrder { coupon, ..basket(user, &lines[..1]) };
    let (order, trips) = shop.stage.counted(ordering.checkout(with_coupon)).await;
    let order = order.unwrap();
    assert_eq!((order.discount_amount, order.final_amount), (money("5.01"), money("41.47")));
    assert_eq!(order, ordering.order(order.id).await.unwrap());
    assert_eq!(trips, 22);
    shop.adds_up().await;
}

async fn the_same_request_twice_is_one_order(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let (a, b) = (shop.product("1", 10).await, shop.product("2", 10).await);
    let request = NewOrder { remark: Some("🎁 بسرعة".parse().unwrap()), ..basket(new_id(), &[(a, 2), (b, 1)]) };
    let first = ordering.checkout(request.clone()).await.unwrap();
    assert_eq!(ordering.checkout(request.clone()).await.unwrap(), first);
    // Lines in another order, and a line in two parts, are the same basket; that a product is no longer sold does not
    // matter to an order that is placed.
    let catalog = shop.app().db(Domain::Catalog).writer();
    let off_sale = product::Entity::update_many().col_expr(product::Column::Status, Expr::val(ProductStatus::OffSale));
    off_sale.filter(product::Column::Id.eq(a)).exec(catalog).await.unwrap();
    let line = |product_id| NewLine { product_id, quantity: 1 };
    let again = NewOrder { lines: vec![line(b), line(a), line(a)], ..request.clone() };
    assert_eq!(ordering.checkout(again).await.unwrap(), first);
    // Whatever has become of it.
    ordering.cancel(first.id, None).await.unwrap();
    assert_eq!(ordering.checkout(request.clone()).await.unwrap().status, OrderStatus::Cancelled);
    // The key is the user's own.
    let other = NewOrder { user_id: new_id(), lines: vec![line(b)], ..request };
    assert_ne!(ordering.checkout(other).await.unwrap().id, first.id);
    assert_eq!(shop.all_orders().await.len(), 2);
    shop.adds_up().await;
}

async fn the_same_request_at_the_same_moment_is_one_order(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let user = new_id();
    let product = shop.product("3.33", 100).await;
    for _ in 0..3 {
        let coupon = Some(shop.coupon(user, "1").await);
        let request = NewOrder { coupon, ..basket(user, &[(product, 3)]) };
        let buyers = (0..8).map(|_| {
            let (app, request) = (shop.app().clone(), request.clone());
            tokio::spawn(async move { app.ordering().checkout(request).await.unwrap() })
        });
        let orders = join_all(buyers).await;
        let first = orders[0].as_ref().unwrap();
        for order in &orders {
            let order = order.as_ref().unwrap();
            assert_eq!(
                (order.id, order.status, order.final_amount),
                (first.id, OrderStatus::Confirmed, money("15.49"))
            );
        }
    }
    assert_eq!(shop.all_orders().await.len(), 3);
    assert_eq!(shop.stock(product).await, (100, 9));
    shop.adds_up().await;
}

async fn another_request_under_the_same_key_is_refused(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("1", 10).await;
    let request = basket(new_id(), &[(product, 1)]);
    ordering.checkout(request.clone()).await.unwrap();
    let others = [
        NewOrder { lines: vec![NewLine { product_id: product, quantity: 2 }], ..request.clone() },
        NewOrder { shipping_fee: money("6.51"), ..request.clone() },
        NewOrder { coupon: Some(new_id()), ..request.clone() },
        NewOrder { remark: Some(Text::default()), ..request.clone() },
        NewOrder { shipping_address: ShippingAddress { city: "Lyon".parse().unwrap(), ..address() }, ..request },
    ];
    for other in others {
        let error = ordering.checkout(other).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
    }
    assert_eq!(shop.all_orders().await.len(), 1);
}

async fn an_expired_key_is_free_again(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("1", 10).await;
    let request = basket(new_id(), &[(product, 1)]);
    let first = ordering.checkout(request.clone()).await.unwrap();
    shop.stage.clock.advance(KEY_LIFETIME - Duration::from_secs(1));
    assert_eq!(ordering.checkout(request.clone()).await.unwrap().id, first.id);
    shop.stage.clock.advance(Duration::from_secs(1));
    // Not swept yet; many come at once, with another basket.
    let anew = NewOrder { lines: vec![NewLine { product_id: product, quantity: 2 }], ..request.clone() };
    let buyers = (0..6).map(|_| {
        let (app, request) = (shop.app().clone(), anew.clone());
        tokio::spawn(async move { app.ordering().checkout(request).await.unwrap().id })
    });
    let ids = join_all(buyers).await;
    assert_ne!(*ids[0].as_ref().unwrap(), first.id);
    assert!(ids.iter().all(|id| id.as_ref().unwrap() == ids[0].as_ref().unwrap()));
    assert_eq!(shop.all_orders().await.len(), 2);
    // A service that remembers for a minute, and the sweeper.
    let briefly = ordering.key_lifetime(Duration::from_secs(60));
    briefly.checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
    shop.stage.clock.advance(Duration::from_secs(60));
    assert_eq!(ordering.sweep(Duration::from_secs(60), 100).await.unwrap().deleted, 1);
    let keys = idempotency_key::Entity::find().all(shop.app().db(Domain::Ordering).writer()).await.unwrap();
    assert_eq!(keys.len(), 1);
    shop.adds_up().await;
}

async fn too_little_stock_cancels_the_order_and_holds_nothing(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let (plenty, few, none) = (shop.product("1", 10).await, shop.product("1", 2).await, shop.product("1", 0).await);
    for lacking in [(few, 3), (none, 1)] {
        let request = basket(new_id(), &[(plenty, 1), lacking]);
        let error = ordering.checkout(request.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
        assert!(error.to_string().contains(&lacking.0.to_string()), "{error}");
        let order = ordering.checkout(request).await.unwrap();
        assert_eq!(order.status, OrderStatus::Cancelled);
        let last = ordering.history(order.id).await.unwrap().pop().unwrap();
        assert_eq!((last.old_status, last.new_status), (Some(OrderStatus::Pending), OrderStatus::Cancelled));
        assert_eq!(last.remark.unwrap().as_str(), error.to_string());
    }
    assert_eq!(shop.stock(plenty).await, (10, 0));
    shop.adds_up().await;
}

async fn a_coupon_that_is_used_cancels_the_order_and_frees_its_stock(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let user = new_id();
    let product = shop.product("10", 10).await;
    let coupon = shop.coupon(user, "3").await;
    let with = |coupon| NewOrder { coupon: Some(coupon), ..basket(user, &[(product, 1)]) };
    let first = ordering.checkout(with(coupon)).await.unwrap();
    let error = ordering.checkout(with(coupon)).await.unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
    // Somebody else's, and one that nobody has.
    let strangers = shop.coupon(new_id(), "3").await;
    assert!(ordering.checkout(with(strangers)).await.is_err());
    assert!(ordering.checkout(with(new_id())).await.is_err());
    assert_eq!(shop.stock(product).await, (10, 1));
    assert_eq!(shop.held_coupon(coupon).await.order_id, Some(first.id));
    // It comes back with its order, once.
    ordering.cancel(first.id, None).await.unwrap();
    let second = ordering.checkout(with(coupon)).await.unwrap();
    assert!(ordering.cancel(first.id, None).await.unwrap_err().is_conflict());
    assert_eq!(shop.held_coupon(coupon).await.order_id, Some(second.id));
    // A coupon worth more than the basket takes off the basket, never the shipping.
    let generous = shop.coupon(user, "1000").await;
    let free = ordering.checkout(with(generous)).await.unwrap();
    assert_eq!((free.discount_amount, free.final_amount), (money("10"), money("6.5")));
    let orders = ordering.orders(&OrderFilter::new().status(OrderStatus::Confirmed)).await.unwrap();
    assert_eq!(orders.items.len(), 2);
    shop.adds_up().await;
}

async fn two_hundred_buyers_get_a_hundred_units(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let product = shop.product("9.99", 100).await;
    let buyers = (0..200).map(|_| {
        let app = shop.app().clone();
        let request = basket(new_id(), &[(product, 1)]);
        tokio::spawn(async move { app.ordering().checkout(request).await })
    });
    let outcomes = join_all(buyers).await;
    let confirmed = outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count();
    for refused in outcomes.iter().filter_map(|outcome| outcome.as_ref().unwrap().as_ref().err()) {
        assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    }
    assert_eq!(confirmed, 100);
    let orders = shop.all_orders().await;
    let count = |status| orders.iter().filter(|order| order.status == status).count();
    assert_eq!((count(OrderStatus::Confirmed), count(OrderStatus::Cancelled)), (100, 100));
    assert_eq!(shop.stock(product).await, (100, 100));
    shop.adds_up().await;
}

async fn one_coupon_in_many_baskets_is_used_once(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let user = new_id();
    let product = shop.product("20", 100).await;
    let coupon = Some(shop.coupon(user, "5").await);
    let buyers = (0..16).map(|_| {
        let app = shop.app().clone();
        let request = NewOrder { coupon, ..basket(user, &[(product, 1)]) };
        tokio::spawn(async move { app.ordering().checkout(request).await })
    });
    let outcomes = join_all(buyers).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count(), 1);
    assert_eq!(shop.stock(product).await, (100, 1));
    shop.adds_up().await;
}

async fn what_is_left_half_way_is_finished_by_the_sweeper(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let user = new_id();
    let product = shop.product("20", 10).await;
    let minute = Duration::from_secs(60);
    for steps in 1..4 {
        let coupon = Some(shop.coupon(user, "5").await);
        let request = NewOrder { coupon, ..basket(user, &[(product, 1)]) };
        let mut checkout = ordering.begin_checkout(request.clone()).unwrap();
        for _ in 0..steps {
            checkout.advance().await.unwrap();
        }
        // Not yet: it may still be on its way.
        assert_eq!(ordering.sweep(minute, 100).await.unwrap(), Swept::default());
        shop.stage.clock.advance(minute * 2);
        assert_eq!(ordering.sweep(minute, 100).await.unwrap(), Swept { finished: 1, ..Swept::default() });
        let order = ordering.checkout(request).await.unwrap();
        assert_eq!((order.status, order.final_amount), (OrderStatus::Confirmed, money("21.5")));
        // The one that was left goes on late, and finds it done.
        while checkout.next() != Step::Done {
            checkout.advance().await.unwrap();
        }
        assert_eq!(checkout.outcome().unwrap(), order);
    }
    shop.adds_up().await;
}

async fn what_is_left_too_long_is_undone(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let user = new_id();
    let product = shop.product("20", 10).await;
    let mut left = Vec::new();
    for steps in 1..4 {
        let coupon = Some(shop.coupon(user, "5").await);
        let mut checkout = ordering.begin_checkout(NewOrder { coupon, ..basket(user, &[(product, 1)]) }).unwrap();
        for _ in 0..steps {
            checkout.advance().await.unwrap();
        }
        left.push(checkout);
    }
    shop.stage.clock.advance(ABANDONED_AFTER + Duration::from_secs(1));
    assert_eq!(ordering.sweep(Duration::from_secs(60), 2).await.unwrap().undone, 2);
    assert_eq!(ordering.sweep(Duration::from_secs(60), 2).await.unwrap().undone, 1);
    shop.adds_up().await;
    // They wake up: whatever step comes next is refused, and nothing is held.
    for checkout in left {
        let error = checkout.finish().await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{error}");
    }
    assert_eq!(shop.stock(product).await, (10, 0));
    shop.adds_up().await;
}

async fn a_checkout_that_was_undone_meanwhile_holds_nothing(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let user = new_id();
    let product = shop.product("20", 100).await;
    // Cancelled by its user before, between and while the steps are done.
    for round in 0..12 {
        let coupon = Some(shop.coupon(user, "5").await);
        let mut checkout = ordering.begin_checkout(NewOrder { coupon, ..basket(user, &[(product, 1)]) }).unwrap();
        checkout.advance().await.unwrap();
        for _ in 0..round % 3 {
            checkout.advance().await.unwrap();
        }
        let id = checkout.order().unwrap().id;
        let (finished, cancelled) = tokio::join!(checkout.finish(), ordering.cancel(id, None));
        cancelled.unwrap();
        if let Ok(order) = finished {
            assert_eq!(order.id, id);
        }
        assert_eq!(ordering.order(id).await.unwrap().status, OrderStatus::Cancelled);
    }
    assert_eq!(shop.stock(product).await, (100, 0));
    shop.adds_up().await;
}

async fn sweepers_and_buyers_do_not_get_in_each_others_way(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let product = shop.product("20", 30).await;
    let user = new_id();
    let mut requests = Vec::new();
    for number in 0..40 {
        let coupon = if number % 2 == 0 { Some(shop.coupon(user, "5").await) } else { None };
        requests.push(NewOrder { coupon, ..basket(user, &[(product, 1)]) });
    }
    let buyers = requests.into_iter().map(|request| {
        let app = shop.app().clone();
        tokio::spawn(async move { app.ordering().checkout(request).await.is_ok() })
    });
    let sweepers = (0..3).map(|_| {
        let app = shop.app().clone();
        tokio::spawn(async move {
            for _ in 0..5 {
                // Everything is old enough: it takes up what is on its way.
                app.ordering().sweep(Duration::ZERO, 100).await.unwrap();
            }
            true
        })
    });
    for done in join_all(buyers.chain(sweepers)).await {
        done.unwrap();
    }
    // What a relay has claimed beside another one that was faster is looked at once its lease is over.
    shop.stage.clock.advance(Duration::from_secs(120));
    shop.app().ordering().sweep(Duration::ZERO, 100).await.unwrap();
    let orders = shop.all_orders().await;
    assert_eq!(orders.len(), 40);
    assert_eq!(orders.iter().filter(|order| order.status == OrderStatus::Confirmed).count(), 30);
    shop.adds_up().await;
}

async fn an_order_that_makes_no_sense_is_refused(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("999999999999999.9999", 10).await;
    let lines = |count: i64| (0..count).map(|_| NewLine { product_id: product, quantity: 1 }).collect::<Vec<_>>();
    let good = || basket(new_id(), &[(product, 1)]);
    let nonsense = [
        NewOrder { lines: Vec::new(), ..good() },
        NewOrder { lines: lines(501), ..good() },
        NewOrder { lines: lines(10_000), ..good() },
        NewOrder { shipping_fee: money("-0.0001"), ..good() },
        NewOrder { idempotency_key: " ".parse().unwrap(), ..good() },
        NewOrder { shipping_address: ShippingAddress::default(), ..good() },
        // More than the column holds: of one, of several, and with the shipping.
        basket(new_id(), &[(product, 2)]),
        basket(new_id(), &[(product, i64::MAX)]),
        NewOrder { shipping_fee: Money::new("0.0001".parse().unwrap()).unwrap(), ..good() },
        basket(new_id(), &[(product, 0)]),
        basket(new_id(), &[(product, i64::MIN)]),
        basket(new_id(), &[(product, i64::MAX), (product, 1)]),
    ];
    for nonsense in nonsense {
        let error = ordering.checkout(nonsense).await.unwrap_err();
        assert!(error.is_invalid(), "{error}");
    }
    let error = ordering.checkout(basket(new_id(), &[(new_id(), 1)])).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(serde_json::from_str::<NewOrder>(r#"{"shipping_address": []}"#).is_err());
    for text in ["a".repeat(101), "\0".to_owned()] {
        assert!(Text::<100>::try_from(text).is_err());
    }
    assert!(shop.all_orders().await.is_empty());
    // A thousand lines of one product are too many, five hundred are not.
    let cheap = shop.product("0.0001", 1_000).await;
    let many = NewOrder { lines: vec![NewLine { product_id: cheap, quantity: 2 }; 500], ..good() };
    let order = ordering.checkout(many).await.unwrap();
    assert_eq!(order.total_amount, money("0.1"));
    shop.stage.clock.set("1969-12-31T23:59:59Z".parse().unwrap());
    assert!(ordering.checkout(basket(new_id(), &[(cheap, 1)])).await.unwrap_err().is_invalid());
    shop.stage.clock.set("2262-04-12T00:00:00Z".parse().unwrap());
    let late = ordering.checkout(basket(new_id(), &[(cheap, 0)])).await.unwrap_err();
    assert!(late.is_invalid());
}
