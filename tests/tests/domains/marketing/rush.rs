//! Many at once.

use std::sync::Arc;

use futures::future::join_all;
use stanchion::domain::marketing::UserCouponFilter;
use stanchion::entity::marketing::UserCouponStatus;
use stanchion::types::new_id;
use stanchion::{App, Error};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use super::{coupon_with, crowded, held, held_with, money, status};

on_every_backend! {
    of_150_users_exactly_40_get_one_of_40,
    a_user_who_asks_often_at_once_gets_no_more,
    of_many_orders_at_once_one_has_the_coupon,
    one_order_that_is_sent_often_at_once_redeems_once,
    an_order_of_two_coupons_at_once_has_one,
    an_order_that_gave_its_coupon_back_never_has_it,
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

async fn of_150_users_exactly_40_get_one_of_40(database: TestDatabase) {
    let stage = crowded(database).await;
    let apps = [stage.app.clone(), another(&stage).await];
    let coupon = coupon_with(&stage, |new| new.total_quantity = 40).await;
    let users: Vec<Uuid> = (0..150).map(|_| new_id()).collect();
    // Each of them twice.
    let claims = users.iter().chain(&users).enumerate().map(|(number, user)| {
        let (app, code, user) = (apps[number % 2].clone(), coupon.code.clone(), *user);
        async move { app.marketing().claim(&code, user).await.map(|had| had.user_id) }
    });
    let outcomes = at_once(claims).await;
    let mut lucky: Vec<Uuid> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
    let refused: Vec<&Error> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert!(refused.iter().all(|error| matches!(error, Error::Conflict(_))), "{refused:?}");
    assert_eq!((lucky.len(), refused.len()), (40, 260));
    lucky.sort_unstable();
    lucky.dedup();
    assert_eq!(lucky.len(), 40);
    let issued = stage.app.marketing().coupon(coupon.id).await.unwrap().issued_quantity;
    let had = stage.app.marketing().user_coupons(&UserCouponFilter::new().coupon(coupon.id)).await.unwrap();
    assert_eq!((issued, had.items.len()), (40, 40));
    apps[1].close().await;
}

async fn a_user_who_asks_often_at_once_gets_no_more(database: TestDatabase) {
    let stage = crowded(database).await;
    let coupon = coupon_with(&stage, |new| new.per_user_limit = 3).await;
    let users: Vec<Uuid> = (0..4).map(|_| new_id()).collect();
    let claims = (0..48).map(|number| {
        let (app, user) = (stage.app.clone(), users[number % 4]);
        async move { app.marketing().issue(coupon.id, user).await }
    });
    let outcomes = at_once(claims).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Conflict(_)))), "{outcomes:?}");
    for user in users {
        let had = outcomes.iter().flatten().filter(|coupon| coupon.user_id == user).count();
        let listed = stage.app.marketing().user_coupons(&UserCouponFilter::new().user(user)).await.unwrap();
        assert_eq!((had, listed.items.len()), (3, 3));
    }
    assert_eq!(stage.app.marketing().coupon(coupon.id).await.unwrap().issued_quantity, 12);
}

async fn of_many_orders_at_once_one_has_the_coupon(database: TestDatabase) {
    let stage = crowded(database).await;
    let apps = [stage.app.clone(), another(&stage).await];
    let (user, coupon) = held(&stage).await;
    let orders = (0..40).map(|number| {
        let app = apps[number % 2].clone();
        async move {
            let order = new_id();
            app.marketing().redeem(order, coupon, user, money("25")).await.map(|_| order)
        }
    });
    let outcomes = at_once(orders).await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Conflict(_)))), "{outcomes:?}");
    let winners: Vec<Uuid> = outcomes.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(status(&stage, coupon).await, (UserCouponStatus::Used, Some(winners[0])));
    apps[1].close().await;
}

async fn one_order_that_is_sent_often_at_once_redeems_once(database: TestDatabase) {
    let stage = crowded(database).await;
    let ((user, coupon), order) = (held(&stage).await, new_id());
    let requests = (0..24).map(|_| {
        let app = stage.app.clone();
        async move { app.marketing().redeem(order, coupon, user, money("25")).await }
    });
    for outcome in at_once(requests).await {
        assert_eq!(outcome.unwrap(), money("10"));
    }
    assert_eq!(status(&stage, coupon).await, (UserCouponStatus::Used, Some(order)));
}

async fn an_order_of_two_coupons_at_once_has_one(database: TestDatabase) {
    let stage = crowded(database).await;
    for _ in 0..6 {
        let (user, one) = held_with(&stage, |new| new.per_user_limit = 2).await;
        let coupon = stage.app.marketing().user_coupon(one).await.unwrap().coupon_id;
        let other = stage.app.marketing().issue(coupon, user).await.unwrap().id;
        let order = new_id();
        let requests = (0..8).map(|number| {
            let app = stage.app.clone();
            let coupon = if number % 2 == 0 { one } else { other };
            async move { app.marketing().redeem(order, coupon, user, money("25")).await.map(|_| coupon) }
        });
        let outcomes = at_once(requests).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(Error::Conflict(_)))), "{outcomes:?}");
        let had: Vec<Uuid> = outcomes.into_iter().flatten().collect();
        assert!(had.len() == 4 && had.iter().all(|coupon| *coupon == had[0]), "{had:?}");
        let left = if had[0] == one { other } else { one };
        assert_eq!(status(&stage, left).await, (UserCouponStatus::Unused, None));
    }
}

async fn an_order_that_gave_its_coupon_back_never_has_it(database: TestDatabase) {
    let stage = crowded(database).await;
    let apps = [stage.app.clone(), another(&stage).await];
    for _ in 0..8 {
        let ((user, coupon), order) = (held(&stage).await, new_id());
        // Before, while and after the order redeems it, it is given back, by several at once.
        let tasks = (0..12_usize).map(|number| {
            let app = apps[number % 2].clone();
            async move {
                if number % 3 == 0 {
                    return app.marketing().give_back(order, coupon).await;
                }
                match app.marketing().redeem(order, coupon, user, money("25")).await {
                    Ok(_) | Err(Error::Conflict(_)) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        });
        for outcome in at_once(tasks).await {
            outcome.unwrap();
        }
        assert_eq!(status(&stage, coupon).await, (UserCouponStatus::Unused, None));
        assert!(stage.app.marketing().redeem(order, coupon, user, money("25")).await.is_err());
        stage.app.marketing().redeem(new_id(), coupon, user, money("25")).await.unwrap();
    }
    apps[1].close().await;
}
