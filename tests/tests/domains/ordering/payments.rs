//! A payment counts once, in full, and none is lost.

use std::collections::HashMap;

use futures::future::join_all;
use stanchion::domain::ordering::{Paid, Payment, RefundFilter};
use stanchion::entity::ordering::{OrderStatus, PaymentStatus};
use stanchion::types::{Json, new_id};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::TestDatabase;

use super::shop::{Shop, basket, money, payment};

on_every_backend! {
    a_second_report_changes_nothing,
    reports_at_the_same_moment_pay_once,
    an_amount_that_is_not_the_orders_is_refused,
    money_that_an_order_cannot_take_has_to_go_back,
    a_payment_fails_and_another_one_succeeds,
    a_payment_that_makes_no_sense_is_refused,
}

async fn a_second_report_changes_nothing(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("10", 10).await;
    let order = ordering.checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
    let response = Json::try_from(serde_json::json!({"trade_status": "TRADE_SUCCESS", "名": "✓"})).unwrap();
    let report = Payment {
        transaction_id: Some("2026030122001".parse().unwrap()),
        gateway_response: Some(response.clone()),
        ..payment(&order, "p-1")
    };
    assert_eq!(ordering.pay(report.clone()).await.unwrap(), Paid::Accepted);
    let paid = ordering.order(order.id).await.unwrap();
    assert_eq!(ordering.pay(report.clone()).await.unwrap(), Paid::Repeated);
    ordering.ship(order.id, None).await.unwrap();
    assert_eq!(ordering.pay(report).await.unwrap(), Paid::Repeated);
    let after = ordering.order(order.id).await.unwrap();
    assert_eq!((after.paid_at, after.version), (paid.paid_at, paid.version + 1));
    let payments = ordering.payments(order.id).await.unwrap();
    assert_eq!(payments.len(), 1);
    assert_eq!(payments[0].gateway_response, Some(response));
    assert!(ordering.refunds_due(&RefundFilter::new()).await.unwrap().items.is_empty());
}

async fn reports_at_the_same_moment_pay_once(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let product = shop.product("10", 100).await;
    for round in 0..5 {
        let order = shop.app().ordering().checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
        // Two payments of one order, each reported four times.
        let reports = (0..8).map(|report| {
            let app = shop.app().clone();
            let payment = payment(&order, &format!("p-{round}-{}", report % 2));
            tokio::spawn(async move { app.ordering().pay(payment).await.unwrap() })
        });
        let mut counts: HashMap<String, u32> = HashMap::new();
        for outcome in join_all(reports).await {
            *counts.entry(format!("{:?}", outcome.unwrap())).or_default() += 1;
        }
        let expected = [("Accepted", 1), ("RefundDue", 1), ("Repeated", 6)];
        assert_eq!(counts, expected.map(|(outcome, count)| (outcome.to_owned(), count)).into());
        let ordering = shop.app().ordering();
        assert_eq!(ordering.order(order.id).await.unwrap().status, OrderStatus::Paid);
        assert_eq!(ordering.history(order.id).await.unwrap().len(), 3);
        assert_eq!(ordering.payments(order.id).await.unwrap().len(), 2);
    }
    assert_eq!(shop.app().ordering().refunds_due(&RefundFilter::new()).await.unwrap().items.len(), 5);
}

async fn an_amount_that_is_not_the_orders_is_refused(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("10", 10).await;
    let order = ordering.checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
    for amount in ["16.4999", "16.5001", "0", "999999999999999.9999"] {
        let report = Payment { amount: money(amount), ..payment(&order, "p-1") };
        let error = ordering.pay(report).await.unwrap_err();
        assert!(error.is_conflict() && error.to_string().contains("16.5000"), "{error}");
    }
    assert!(ordering.payments(order.id).await.unwrap().is_empty());
    assert_eq!(ordering.pay(payment(&order, "p-1")).await.unwrap(), Paid::Accepted);
    let changed = Payment { amount: money("1"), ..payment(&order, "p-1") };
    assert!(ordering.pay(changed).await.unwrap_err().is_conflict());
    let other = ordering.checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
    assert!(ordering.pay(payment(&other, "p-1")).await.unwrap_err().is_conflict());
    assert_eq!(ordering.order(other.id).await.unwrap().status, OrderStatus::Confirmed);
}

async fn money_that_an_order_cannot_take_has_to_go_back(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("10", 10).await;
    let cancelled = ordering.checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
    ordering.cancel(cancelled.id, None).await.unwrap();
    assert_eq!(ordering.pay(payment(&cancelled, "late")).await.unwrap(), Paid::RefundDue);
    assert_eq!(ordering.pay(payment(&cancelled, "late")).await.unwrap(), Paid::Repeated);
    let paid = shop.paid(basket(new_id(), &[(product, 1)])).await;
    assert_eq!(ordering.pay(payment(&paid, "twice")).await.unwrap(), Paid::RefundDue);
    assert_eq!(ordering.order(cancelled.id).await.unwrap().status, OrderStatus::Cancelled);

    let mut due = Vec::new();
    let mut filter = RefundFilter::new().limit(1);
    loop {
        let page = ordering.refunds_due(&filter).await.unwrap();
        due.extend(page.items.into_iter().map(|payment| payment.payment_no.to_string()));
        let Some(next) = page.next else { break };
        filter = filter.after(Some(next));
    }
    due.sort();
    assert_eq!(due, ["late", "twice"]);
    for number in due {
        ordering.payment_refunded(&number).await.unwrap();
    }
    assert!(ordering.refunds_due(&RefundFilter::new()).await.unwrap().items.is_empty());
    // That of the order itself stays where it is.
    assert_eq!(ordering.order(paid.id).await.unwrap().payment_status, PaymentStatus::Success);
    let payments = ordering.payments(paid.id).await.unwrap();
    let own = payments.into_iter().find(|own| own.status == PaymentStatus::Success);
    let not_due = own.unwrap().payment_no;
    assert!(ordering.payment_refunded(&not_due).await.unwrap_err().is_conflict());
    assert!(ordering.payment_refunded("nobody's").await.unwrap_err().is_not_found());
}

async fn a_payment_fails_and_another_one_succeeds(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("10", 10).await;
    let order = ordering.checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
    let (begun, trips) = shop.stage.counted(ordering.payment_begun(payment(&order, "a"))).await;
    begun.unwrap();
    assert_eq!(trips, 5);
    ordering.payment_begun(payment(&order, "a")).await.unwrap();
    let (failed, trips) = shop.stage.counted(ordering.payment_failed(payment(&order, "b"))).await;
    failed.unwrap();
    assert_eq!(trips, 6);
    ordering.payment_failed(payment(&order, "a")).await.unwrap();
    ordering.payment_failed(payment(&order, "a")).await.unwrap();
    let waiting = ordering.order(order.id).await.unwrap();
    assert_eq!((waiting.status, waiting.payment_status), (OrderStatus::Confirmed, PaymentStatus::Failed));
    let back = ordering.payment_begun(payment(&order, "a")).await.unwrap_err();
    assert!(back.to_string().contains("is failed and cannot become pending"), "{back}");
    // The gateway was wrong about the first one.
    assert_eq!(ordering.pay(payment(&order, "a")).await.unwrap(), Paid::Accepted);
    let paid = ordering.order(order.id).await.unwrap();
    assert_eq!((paid.status, paid.payment_status), (OrderStatus::Paid, PaymentStatus::Success));
    let error = ordering.payment_failed(payment(&order, "a")).await.unwrap_err();
    assert!(error.to_string().contains("is success and cannot become failed"), "{error}");
    assert!(ordering.payment_begun(payment(&order, "c")).await.unwrap_err().is_conflict());
}

async fn a_payment_that_makes_no_sense_is_refused(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let ordering = shop.app().ordering();
    let product = shop.product("10", 10).await;
    let order = ordering.checkout(basket(new_id(), &[(product, 1)])).await.unwrap();
    let good = || payment(&order, "p-1");
    for nonsense in [
        Payment { amount: money("-16.5"), ..good() },
        Payment { payment_no: " ".parse().unwrap(), ..good() },
        Payment { method: "".parse().unwrap(), ..good() },
    ] {
        assert!(ordering.pay(nonsense).await.unwrap_err().is_invalid());
    }
    let unknown = Payment { order_id: new_id(), ..good() };
    assert!(ordering.pay(unknown.clone()).await.unwrap_err().is_not_found());
    assert!(ordering.payment_failed(unknown.clone()).await.unwrap_err().is_not_found());
    assert!(ordering.payment_begun(unknown).await.unwrap_err().is_not_found());
}
