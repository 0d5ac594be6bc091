use std::time::Duration;

use futures::future::join_all;
use stanchion::Error;
use stanchion::db::CursorError;
use stanchion::domain::mall::{NewPurchase, PurchaseFilter};
use stanchion::entity::mall::PointsKind;
use stanchion::entity::mall::PurchaseStatus::{Approved, Completed, Pending, Rejected};
use stanchion::types::new_id;
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use super::{balance, money, nothing_is_lost, patient, users_with};

on_every_backend! {
    a_purchase_costs_exactly_price_times_quantity,
    a_purchase_takes_only_the_steps_that_are_allowed,
    of_two_decisions_at_once_one_holds,
    a_purchase_is_paid_in_points_once_and_whole,
    a_purchase_that_cannot_be_paid_stays_approved,
    points_of_a_purchase_are_given_back_once,
    purchases_are_listed_by_buyer_seller_and_status,
}

fn new(buyer_id: Uuid, seller_id: Uuid, quantity: i64, unit_price: &str) -> NewPurchase {
    NewPurchase { buyer_id, seller_id, product_id: new_id(), quantity, unit_price: money(unit_price) }
}

async fn a_purchase_costs_exactly_price_times_quantity(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let mall = stage.app.mall();
    let (ann, bob) = (new_id(), new_id());
    for (quantity, price, amount) in [
        (3, "0.3333", "0.9999"),
        (999_999_999_999_999, "1", "999999999999999.0000"),
        (7, "142857142857.1428", "999999999999.9996"),
    ] {
        let (order, trips) = stage.counted(mall.create_purchase(new(ann, bob, quantity, price))).await;
        let order = order.unwrap();
        assert_eq!((trips, order.amount.to_string().as_str(), order.status), (1, amount, Pending));
        let (read, trips) = stage.counted(mall.purchase(order.id)).await;
        assert_eq!((read.unwrap(), trips), (order, 1));
    }
    for refused in [
        new(ann, ann, 1, "1"),
        new(ann, bob, 0, "1"),
        new(ann, bob, -1, "1"),
        new(ann, bob, i64::MIN, "1"),
        new(ann, bob, 1, "0"),
        new(ann, bob, 1, "-1"),
        new(ann, bob, 2, "999999999999999.9999"),
        new(ann, bob, i64::MAX, "999999999999999.9999"),
    ] {
        let error = mall.create_purchase(refused).await.unwrap_err();
        assert!(error.is_invalid(), "{refused:?}: {error}");
    }
}

async fn a_purchase_takes_only_the_steps_that_are_allowed(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let mall = stage.app.mall();
    let order = mall.create_purchase(new(new_id(), new_id(), 1, "1")).await.unwrap();
    let error = mall.complete_purchase(order.id).await.unwrap_err();
    assert!(error.to_string().ends_with("is pending and cannot become completed"), "{error}");
    stage.clock.advance(Duration::from_millis(1_500));
    let (approved, trips) = stage.counted(mall.approve_purchase(order.id)).await;
    assert_eq!((approved.is_ok(), trips), (true, 1));
    assert_eq!(mall.purchase(order.id).await.unwrap().processing_ms, None);
    assert!(matches!(mall.approve_purchase(order.id).await, Err(Error::Conflict(_))));
    stage.clock.advance(Duration::from_millis(2_500));
    let (completed, trips) = stage.counted(mall.complete_purchase(order.id)).await;
    assert_eq!((completed.is_ok(), trips), (true, 2));
    let done = mall.purchase(order.id).await.unwrap();
    assert_eq!((done.status, done.processing_ms), (Completed, Some(4_000)));
    for refused in [mall.approve_purchase(order.id).await, mall.reject_purchase(order.id).await] {
        assert!(matches!(refused, Err(Error::Conflict(_))));
    }
    assert_eq!(mall.purchase(order.id).await.unwrap(), done);

    let order = mall.create_purchase(new(new_id(), new_id(), 1, "1")).await.unwrap();
    // A clock that was put back makes no negative time.
    stage.clock.set("2026-01-01T00:00:00Z".parse().unwrap());
    let (rejected, trips) = stage.counted(mall.reject_purchase(order.id)).await;
    assert_eq!((rejected.is_ok(), trips), (true, 2));
    let done = mall.purchase(order.id).await.unwrap();
    assert_eq!((done.status, done.processing_ms), (Rejected, Some(0)));

    let nowhere = new_id();
    assert!(mall.approve_purchase(nowhere).await.unwrap_err().is_not_found());
    assert!(mall.complete_purchase(nowhere).await.unwrap_err().is_not_found());
    assert!(mall.reject_purchase(nowhere).await.unwrap_err().is_not_found());
    assert!(mall.pay_with_points(nowhere).await.unwrap_err().is_not_found());
    assert!(mall.refund_points(nowhere).await.unwrap_err().is_not_found());
}

async fn of_two_decisions_at_once_one_holds(database: TestDatabase) {
    let stage = patient(database).await;
    for _ in 0..5 {
        let id = stage.app.mall().create_purchase(new(new_id(), new_id(), 1, "1")).await.unwrap().id;
        stage.app.mall().approve_purchase(id).await.unwrap();
        let decisions = (0..8).map(|number| {
            let app = stage.app.clone();
            tokio::spawn(async move {
                if number % 2 == 0 {
                    app.mall().complete_purchase(id).await
                } else {
                    app.mall().reject_purchase(id).await
                }
            })
        });
        let results: Vec<_> = join_all(decisions).await.into_iter().map(Result::unwrap).collect();
        let held: Vec<usize> = (0..8).filter(|number| results[*number].is_ok()).collect();
        assert_eq!(held.len(), 1, "{results:?}");
        let expected = if held[0].is_multiple_of(2) { Completed } else { Rejected };
        assert_eq!(stage.app.mall().purchase(id).await.unwrap().status, expected);
    }
}

async fn a_purchase_is_paid_in_points_once_and_whole(database: TestDatabase) {
    let stage = patient(database).await;
    let mall = stage.app.mall();
    let users = users_with(&stage.app, 2, "100").await;
    let order = mall.create_purchase(new(users[0], users[1], 3, "10.5")).await.unwrap();
    mall.approve_purchase(order.id).await.unwrap();
    stage.clock.advance(Duration::from_secs(3));
    let calls = (0..8).map(|_| {
        let app = stage.app.clone();
        tokio::spawn(async move { app.mall().pay_with_points(order.id).await.unwrap() })
    });
    let paid: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert!(paid.iter().all(|one| *one == paid[0]));
    assert_eq!((paid[0].kind, paid[0].amount), (PointsKind::Purchase, order.amount));
    assert_eq!(balance(&stage.app, users[0]).await, "68.5000");
    assert_eq!(balance(&stage.app, users[1]).await, "131.5000");
    let done = mall.purchase(order.id).await.unwrap();
    assert_eq!((done.status, done.processing_ms), (Completed, Some(3_000)));
    nothing_is_lost(&stage, "200").await;

    let order = mall.create_purchase(new(users[0], users[1], 1, "1")).await.unwrap();
    mall.approve_purchase(order.id).await.unwrap();
    let (paid, trips) = stage.counted(mall.pay_with_points(order.id)).await;
    assert_eq!((paid.is_ok(), trips), (true, 10));
    // One that was completed by other means is not paid a second time.
    let order = mall.create_purchase(new(users[0], users[1], 1, "1")).await.unwrap();
    mall.approve_purchase(order.id).await.unwrap();
    mall.complete_purchase(order.id).await.unwrap();
    assert!(matches!(mall.pay_with_points(order.id).await, Err(Error::Conflict(_))));
    assert_eq!(balance(&stage.app, users[0]).await, "67.5000");
}

async fn a_purchase_that_cannot_be_paid_stays_approved(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let mall = stage.app.mall();
    let users = users_with(&stage.app, 2, "100").await;
    let order = mall.create_purchase(new(users[0], users[1], 2, "50.0001")).await.unwrap();
    assert!(matches!(mall.pay_with_points(order.id).await, Err(Error::Conflict(_))), "it is not approved");
    mall.approve_purchase(order.id).await.unwrap();
    let error = mall.pay_with_points(order.id).await.unwrap_err();
    assert!(matches!(&error, Error::Conflict(what) if what.contains("100.0002")), "{error}");
    let order = mall.purchase(order.id).await.unwrap();
    assert_eq!((order.status, order.processing_ms), (Approved, None));
    assert_eq!(balance(&stage.app, users[0]).await, "100.0000");
    nothing_is_lost(&stage, "200").await;
}

async fn points_of_a_purchase_are_given_back_once(database: TestDatabase) {
    let stage = patient(database).await;
    let mall = stage.app.mall();
    let users = users_with(&stage.app, 2, "100").await;
    let order = mall.create_purchase(new(users[0], users[1], 1, "40")).await.unwrap();
    assert!(matches!(mall.refund_points(order.id).await, Err(Error::Conflict(_))), "it was not paid");
    mall.approve_purchase(order.id).await.unwrap();
    mall.pay_with_points(order.id).await.unwrap();
    let (refund, trips) = stage.counted(mall.refund_points(order.id)).await;
    assert_eq!((refund.as_ref().unwrap().kind, trips), (PointsKind::Refund, 10));
    let calls = (0..4).map(|_| {
        let app = stage.app.clone();
        tokio::spawn(async move { app.mall().refund_points(order.id).await.unwrap() })
    });
    for again in join_all(calls).await {
        assert_eq!(again.unwrap(), *refund.as_ref().unwrap());
    }
    assert_eq!(balance(&stage.app, users[0]).await, "100.0000");
    nothing_is_lost(&stage, "200").await;
}

async fn purchases_are_listed_by_buyer_seller_and_status(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let mall = stage.app.mall();
    let (ann, bob, eve) = (new_id(), new_id(), new_id());
    for number in 0..6 {
        let (buyer, seller) = if number % 3 == 0 { (ann, eve) } else { (bob, eve) };
        let id = mall.create_purchase(new(buyer, seller, 1, "1")).await.unwrap().id;
        if number % 2 == 0 {
            mall.approve_purchase(id).await.unwrap();
        }
    }
    let count = async |filter: PurchaseFilter| mall.purchases(&filter).await.unwrap().items.len();
    assert_eq!(count(PurchaseFilter::new().buyer(ann)).await, 2);
    assert_eq!(count(PurchaseFilter::new().buyer(bob).seller(eve).status(Approved)).await, 2);
    assert_eq!(count(PurchaseFilter::new().seller(ann)).await, 0);
    let filter = PurchaseFilter::new().seller(eve).limit(4);
    let (page, trips) = stage.counted(mall.purchases(&filter)).await;
    let page = page.unwrap();
    assert_eq!((trips, page.items.len()), (1, 4));
    assert_eq!(count(filter.clone().after(page.next)).await, 2);
    let error = mall.purchases(&filter.status(Pending).after(page.next)).await.unwrap_err();
    assert!(matches!(error, Error::Cursor(CursorError::AnotherList)));
}
