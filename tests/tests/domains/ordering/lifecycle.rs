//! From payment to delivery, and back: the legal changes only, each with its history, stock and coupon once.

use futures::future::join_all;
use stanchion::Error;
use stanchion::domain::ordering::{OrderFilter, RefundFilter};
use stanchion::entity::ordering::{OrderStatus, PaymentStatus};
use stanchion::types::new_id;
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;

use super::shop::{Shop, basket, money, payment};

on_every_backend! {
    an_order_goes_all_the_way_in_few_round_trips,
    illegal_changes_name_both_states,
    cancelling_gives_back_once_whoever_cancels,
    a_refund_brings_stock_and_coupon_back_wherever_the_order_is,
    of_many_changes_at_the_same_moment_one_happens,
}

async fn an_order_goes_all_the_way_in_few_round_trips(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("10", 10).await;
    let order = ordering.checkout(basket(new_id(), &[(product, 3)])).await.unwrap();
    let (paid, trips) = shop.stage.counted(ordering.pay(payment(&order, "p-1"))).await;
    paid.unwrap();
    assert_eq!(trips, 5);
    assert_eq!(shop.stock(product).await, (10, 3));
    let (shipped, trips) = shop.stage.counted(ordering.ship(order.id, Some("SF 1234".parse().unwrap()))).await;
    shipped.unwrap();
    // Five for the order, seven for the stock, one for the message.
    assert_eq!(trips, 13);
    assert_eq!(shop.stock(product).await, (7, 0));
    let (delivered, trips) = shop.stage.counted(ordering.deliver(order.id, None)).await;
    delivered.unwrap();
    assert_eq!(trips, 4);
    let now = shop.app().clock().now();
    let order = ordering.order(order.id).await.unwrap();
    assert_eq!(order.status, OrderStatus::Delivered);
    assert_eq!(order.payment_status, PaymentStatus::Success);
    assert_eq!(order.payment_method.as_deref(), Some("alipay"));
    assert_eq!((order.paid_at, order.shipped_at, order.delivered_at), (Some(now), Some(now), Some(now)));
    assert_eq!(order.version, 5);
    let history = ordering.history(order.id).await.unwrap();
    let states: Vec<_> = history.iter().map(|step| step.new_status).collect();
    assert_eq!(states, OrderStatus::ALL[..5]);
    assert!(history.windows(2).all(|two| two[1].old_status == Some(two[0].new_status)));
    assert_eq!(history[3].remark.as_deref(), Some("SF 1234"));
    let (refunded, trips) = shop.stage.counted(ordering.refund(order.id, None)).await;
    refunded.unwrap();
    // Seven for the order, commit again (four) and restock (seven) for the stock, one for the message.
    assert!(trips <= 20, "{trips}");
    assert_eq!(shop.stock(product).await, (10, 0));

    let other = ordering.checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
    let (cancelled, trips) = shop.stage.counted(ordering.cancel(other.id, None)).await;
    cancelled.unwrap();
    // Six for the order, seven for the stock, one for the message.
    assert_eq!(trips, 14);
    assert!(shop.app().inventory().audit().await.unwrap().is_empty());
}

async fn illegal_changes_name_both_states(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("10", 10).await;
    let order = ordering.checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
    let id = order.id;
    let named = |error: Error, from: &str, to: &str| {
        let text = error.to_string();
        assert!(matches!(error, Error::Conflict(_)), "{text}");
        assert!(text.contains(&format!("is {from} and cannot become {to}")), "{text}");
    };
    named(ordering.ship(id, None).await.unwrap_err(), "confirmed", "shipped");
    named(ordering.deliver(id, None).await.unwrap_err(), "confirmed", "delivered");
    named(ordering.refund(id, None).await.unwrap_err(), "confirmed", "refunded");
    ordering.pay(payment(&order, "p-1")).await.unwrap();
    named(ordering.cancel(id, None).await.unwrap_err(), "paid", "cancelled");
    ordering.ship(id, None).await.unwrap();
    named(ordering.ship(id, None).await.unwrap_err(), "shipped", "shipped");
    ordering.refund(id, None).await.unwrap();
    named(ordering.deliver(id, None).await.unwrap_err(), "refunded", "delivered");
    named(ordering.refund(id, None).await.unwrap_err(), "refunded", "refunded");
    assert_eq!(ordering.order(id).await.unwrap().version, 5);
    assert_eq!(ordering.history(id).await.unwrap().len(), 5);

    let unknown = new_id();
    assert!(ordering.cancel(unknown, None).await.unwrap_err().is_not_found());
    assert!(ordering.ship(unknown, None).await.unwrap_err().is_not_found());
    assert!(ordering.deliver(unknown, None).await.unwrap_err().is_not_found());
    assert!(ordering.refund(unknown, None).await.unwrap_err().is_not_found());
    assert!(ordering.order(unknown).await.unwrap_err().is_not_found());
    assert!(ordering.full_order(unknown).await.unwrap_err().is_not_found());
    assert!(ordering.history(unknown).await.unwrap().is_empty());
}

async fn cancelling_gives_back_once_whoever_cancels(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let user = new_id();
    let product = shop.product("10", 10).await;
    let coupon = shop.coupon(user, "1").await;
    let mut request = basket(user, &[(product, 4)]);
    request.coupon = Some(coupon);
    let order = ordering.checkout(request).await.unwrap();
    let cancelling = (0..8).map(|_| {
        let app = shop.app().clone();
        tokio::spawn(async move { app.ordering().cancel(order.id, Some("changed my mind".parse().unwrap())).await })
    });
    let done = join_all(cancelling).await;
    assert_eq!(done.iter().filter(|done| done.as_ref().unwrap().is_ok()).count(), 1);
    assert_eq!(shop.stock(product).await, (10, 0));
    assert_eq!(shop.held_coupon(coupon).await.order_id, None);
    shop.adds_up().await;
}

async fn a_refund_brings_stock_and_coupon_back_wherever_the_order_is(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let user = new_id();
    let product = shop.product("10", 10).await;
    for shipped in 0..3 {
        let coupon = shop.coupon(user, "1.5").await;
        let mut request = basket(user, &[(product, 4)]);
        request.coupon = Some(coupon);
        let order = shop.paid(request).await;
        if shipped > 0 {
            ordering.ship(order.id, None).await.unwrap();
            assert_eq!(shop.stock(product).await, (6, 0));
        }
        if shipped > 1 {
            ordering.deliver(order.id, None).await.unwrap();
        }
        ordering.refund(order.id, Some("broken".parse().unwrap())).await.unwrap();
        assert_eq!(shop.stock(product).await, (10, 0));
        assert_eq!(shop.held_coupon(coupon).await.order_id, None);
        // The money has to go back, and then it has.
        let due = ordering.refunds_due(&RefundFilter::new()).await.unwrap().items;
        assert_eq!(due.iter().map(|due| (due.order_id, due.amount)).collect::<Vec<_>>(), [(order.id, money("45"))]);
        ordering.payment_refunded(&due[0].payment_no).await.unwrap();
        ordering.payment_refunded(&due[0].payment_no).await.unwrap();
        assert!(ordering.refunds_due(&RefundFilter::new()).await.unwrap().items.is_empty());
        assert_eq!(ordering.order(order.id).await.unwrap().payment_status, PaymentStatus::Refunded);
        assert_eq!(ordering.payments(order.id).await.unwrap()[0].status, PaymentStatus::Refunded);
    }
    assert!(shop.app().inventory().audit().await.unwrap().is_empty());
    assert_eq!(ordering.orders(&OrderFilter::new().status(OrderStatus::Refunded)).await.unwrap().items.len(), 3);
}

async fn of_many_changes_at_the_same_moment_one_happens(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let product = shop.product("10", 100).await;
    for round in 0..6 {
        let order = shop.app().ordering().checkout(basket(new_id(), &[(product, 2)])).await.unwrap();
        let racing = (0..6).map(|racer| {
            let (app, order) = (shop.app().clone(), order.clone());
            tokio::spawn(async move {
                let ordering = app.ordering();
                if racer % 2 == 0 {
                    ordering.cancel(order.id, None).await.is_ok()
                } else {
                    ordering.pay(payment(&order, &format!("p-{round}"))).await.unwrap();
                    ordering.ship(order.id, None).await.is_ok()
                }
            })
        });
        let happened = join_all(racing).await.into_iter().filter(|done| *done.as_ref().unwrap()).count();
        assert_eq!(happened, 1);
        let ordering = shop.app().ordering();
        let now = ordering.order(order.id).await.unwrap();
        let payments = ordering.payments(order.id).await.unwrap();
        assert_eq!(payments.len(), 1);
        assert_eq!(payments[0].status, PaymentStatus::Success);
        // Money that came for a cancelled order is not lost.
        assert_eq!(payments[0].refund_due_at.is_some(), now.status == OrderStatus::Cancelled);
        let history = ordering.history(order.id).await.unwrap();
        assert_eq!(history.last().unwrap().new_status, now.status);
        assert_eq!(history.len(), usize::try_from(now.version).unwrap());
    }
    let (_, reserved) = shop.stock(product).await;
    assert_eq!(reserved, 0);
    assert!(shop.app().inventory().audit().await.unwrap().is_empty());
}
