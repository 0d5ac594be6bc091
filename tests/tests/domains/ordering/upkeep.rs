//! What a service does when nobody asks.

use std::time::Duration;

use stanchion::entity::ordering::OrderStatus;
use stanchion::types::new_id;
use stanchion::upkeep::{Kept, OVERDUE_AFTER};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::{TestDatabase, eventually};
use tokio::sync::oneshot;

use super::shop::{Shop, basket};

on_every_backend! {
    the_upkeep_finishes_what_a_crash_left_and_nothing_else,
    the_upkeep_goes_on_until_it_is_told_to_end,
    a_part_that_fails_does_not_keep_the_others_from_being_done,
}

/// An order that was left after its first step.
async fn leave_an_order(shop: &Shop) {
    let product = shop.product("20", 10).await;
    let mut checkout = shop.app().ordering().begin_checkout(basket(new_id(), &[(product, 1)])).unwrap();
    checkout.advance().await.unwrap();
}

async fn the_upkeep_finishes_what_a_crash_left_and_nothing_else(database: TestDatabase) {
    let shop = Shop::on(database).await;
    leave_an_order(&shop).await;
    assert_eq!(shop.app().upkeep().await, Kept::default());
    shop.stage.clock.advance(OVERDUE_AFTER * 2);
    let kept = shop.app().upkeep().await;
    assert_eq!((kept.ordering.finished, kept.failed), (1, 0), "{kept:?}");
    assert_eq!(shop.app().upkeep().await, Kept::default());
    assert_eq!(shop.all_orders().await[0].status, OrderStatus::Confirmed);
    shop.adds_up().await;
}

async fn the_upkeep_goes_on_until_it_is_told_to_end(database: TestDatabase) {
    let shop = Shop::on(database).await;
    let (tell, told) = oneshot::channel::<()>();
    let app = shop.app().clone();
    let upkeep = tokio::spawn(async move {
        app.upkeep_every(Duration::from_millis(5), async {
            let _ = told.await;
        })
        .await;
    });
    // It has gone round at least once when these are left.
    leave_an_order(&shop).await;
    shop.stage.clock.advance(OVERDUE_AFTER * 2);
    eventually("the order is finished", async || shop.all_orders().await[0].status == OrderStatus::Confirmed).await;
    tell.send(()).unwrap();
    upkeep.await.unwrap();
}

async fn a_part_that_fails_does_not_keep_the_others_from_being_done(database: TestDatabase) {
    use sea_orm::ConnectionTrait;

    let shop = Shop::on(database).await;
    leave_an_order(&shop).await;
    shop.stage.clock.advance(OVERDUE_AFTER * 2);
    // What expires coupons reads it.
    let db = shop.app().databases()[0].writer();
    for table in ["coupon_redemptions", "user_coupons", "coupons"] {
        db.execute_unprepared(&format!("DROP TABLE {table}")).await.unwrap();
    }
    let kept = shop.app().upkeep().await;
    assert_eq!((kept.ordering.finished, kept.failed), (1, 1), "{kept:?}");
}
