//! Orders are found, listed and summed, each in a fixed number of round trips.

use std::time::Duration;

use stanchion::Error;
use stanchion::db::{Cursor, CursorError, Order};
use stanchion::domain::ordering::OrderFilter;
use stanchion::entity::ordering::OrderStatus;
use stanchion::types::{TimeRange, new_id};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;

use super::shop::{Shop, basket, payment};

on_every_backend! {
    an_order_is_found_by_its_number,
    orders_are_listed_by_user_status_and_time,
    a_cursor_that_does_not_belong_is_refused,
    spending_is_exact,
}

async fn an_order_is_found_by_its_number(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("10", 10).await;
    let order = ordering.checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
    assert!(order.order_no.starts_with("ZX20260301"), "{}", order.order_no);
    let (found, trips) = shop.stage.counted(ordering.order_by_no(&order.order_no)).await;
    assert_eq!((found.unwrap(), trips), (order.clone(), 1));
    assert_eq!(ordering.order_by_no(&order.order_no.to_lowercase()).await.unwrap().id, order.id);
    for unknown in ["", "ZX", "ZX20260301", "🛒", "ZX20260301\0", &order.order_no[1..], "' OR 1=1 --"] {
        assert!(ordering.order_by_no(unknown).await.unwrap_err().is_not_found(), "{unknown:?}");
    }
    let (_, trips) = shop.stage.counted(ordering.order(order.id)).await;
    assert_eq!(trips, 1);
    let (full, trips) = shop.stage.counted(ordering.full_order(order.id)).await;
    assert_eq!((full.unwrap().items.len(), trips), (1, 2));
    let (_, trips) = shop.stage.counted(ordering.history(order.id)).await;
    assert_eq!(trips, 1);
    let (_, trips) = shop.stage.counted(ordering.payments(order.id)).await;
    assert_eq!(trips, 1);
}

async fn orders_are_listed_by_user_status_and_time(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("10", 100).await;
    let (ann, ben) = (new_id(), new_id());
    let start = shop.app().clock().now();
    let mut anns = Vec::new();
    for number in 0..12 {
        let order = ordering.checkout(basket(if number % 3 == 0 { ben } else { ann }, &[(product, 1)])).await.unwrap();
        if number % 3 != 0 {
            anns.push(order.id);
        }
        if number % 2 == 0 {
            ordering.cancel(order.id, None).await.unwrap();
        }
        shop.stage.clock.advance(Duration::from_millis(1_500));
    }
    let mut seen = Vec::new();
    let mut filter = OrderFilter::new().user(ann).order(Order::Asc).limit(3);
    loop {
        let (page, trips) = shop.stage.counted(ordering.full_orders(&filter)).await;
        let page = page.unwrap();
        assert_eq!(trips, 2);
        assert!(page.items.iter().all(|full| full.items.len() == 1));
        seen.extend(page.items.into_iter().map(|full| full.order.id));
        let Some(next) = page.next else { break };
        filter = filter.after(Some(next));
    }
    assert_eq!(seen, anns);
    let of = |filter: OrderFilter| async move { ordering.orders(&filter).await.unwrap().items.len() };
    assert_eq!(of(OrderFilter::new()).await, 12);
    assert_eq!(of(OrderFilter::new().status(OrderStatus::Cancelled)).await, 6);
    assert_eq!(of(OrderFilter::new().user(ben).status(OrderStatus::Confirmed)).await, 2);
    let third = start.plus(Duration::from_millis(4_500)).unwrap();
    assert_eq!(of(OrderFilter::new().to(third)).await, 3);
    assert_eq!(of(OrderFilter::new().from(third)).await, 9);
    assert_eq!(of(OrderFilter::new().from(third).to(third)).await, 0);
    let (before, after) = ("1000-01-01T00:00:00Z".parse().unwrap(), "9999-12-31T00:00:00Z".parse().unwrap());
    assert_eq!(of(OrderFilter::new().from(before).to(after)).await, 12);
    let (_, trips) = shop.stage.counted(ordering.orders(&OrderFilter::new().user(ann))).await;
    assert_eq!(trips, 1);
}

async fn a_cursor_that_does_not_belong_is_refused(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("10", 100).await;
    for _ in 0..3 {
        ordering.checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
    }
    let filter = OrderFilter::new().limit(1);
    let cursor = ordering.orders(&filter).await.unwrap().next;
    assert!(cursor.is_some());
    let others = [
        filter.clone().status(OrderStatus::Paid),
        filter.clone().user(new_id()),
        filter.clone().order(Order::Asc),
        filter.clone().from(shop.app().clock().now()),
    ];
    for other in others {
        let error = ordering.orders(&other.after(cursor)).await.unwrap_err();
        assert!(matches!(error, Error::Cursor(CursorError::AnotherList)), "{error}");
    }
    for forged in ["", "AAAA", "🛒", &"A".repeat(10_000)] {
        assert!(forged.parse::<Cursor>().is_err(), "{forged:?}");
    }
}

async fn spending_is_exact(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let user = new_id();
    let (cheap, dear) = (shop.product("0.0001", 100).await, shop.product("999999999999.9999", 100).await);
    let start = shop.app().clock().now();
    for number in 0..6 {
        let coupon = Some(shop.coupon(user, "0.0001").await);
        let mut request = basket(user, &[(cheap, 3), (dear, 1)]);
        request.coupon = coupon;
        let order = ordering.checkout(request).await.unwrap();
        // One stays unpaid, one is taken back, the others are in all the states that count.
        if number > 0 {
            ordering.pay(payment(&order, &format!("p-{number}"))).await.unwrap();
        }
        if number > 1 {
            ordering.ship(order.id, None).await.unwrap();
        }
        if number > 2 {
            ordering.deliver(order.id, None).await.unwrap();
        }
        if number == 5 {
            ordering.refund(order.id, None).await.unwrap();
        }
        shop.stage.clock.advance(Duration::from_secs(1));
    }
    let (spent, trips) = shop.stage.counted(ordering.spending(user, TimeRange::default())).await;
    let spent = spent.unwrap();
    assert_eq!(trips, 3);
    assert_eq!(spent.orders, 4);
    assert_eq!(spent.paid.to_string(), "4000000000026.0004");
    assert_eq!(spent.discounts.to_string(), "0.0004");
    let range = TimeRange { from: Some(start.plus(Duration::from_secs(2)).unwrap()), to: None };
    assert_eq!(ordering.spending(user, range).await.unwrap().orders, 3);
    let nobody = ordering.spending(new_id(), TimeRange::default()).await.unwrap();
    assert!(nobody.orders == 0 && nobody.paid.is_zero());
}
