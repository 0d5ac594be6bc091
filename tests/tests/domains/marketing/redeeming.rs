//! What a coupon takes off, and for which order.

use stanchion::Error;
use stanchion::config::Domain;
use stanchion::domain::marketing::{self, Discount, NewCoupon};
use stanchion::entity::marketing::{CouponKind, UserCouponStatus};
use stanchion::types::{Money, new_id};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::{DAY, held, held_with, instant, money, status};

on_every_backend! {
    a_discount_is_exact,
    a_basket_is_priced_without_changing_anything,
    a_coupon_is_redeemed_for_one_order,
    an_order_has_one_coupon,
    a_coupon_comes_back_once,
    an_order_that_gave_its_coupon_back_cannot_redeem_any_more,
    a_refused_redemption_leaves_the_coupon_to_the_user,
    a_coupon_that_cannot_be_used_is_refused,
    somebody_elses_coupon_is_not_there,
}

async fn a_discount_is_exact(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let amount = |value: &str| (CouponKind::Amount, money(value), None);
    let percent = |value: &str, most: Option<&str>| (CouponKind::Percent, money(value), most.map(money));
    let cases = [
        (amount("10"), "25.5000", "10.0000"),
        (amount("10"), "9.9999", "9.9999"),
        (amount("0.0001"), "10", "0.0001"),
        (amount("10"), "0", "0.0000"),
        ((CouponKind::Amount, money("10"), Some(money("4.5"))), "100", "4.5000"),
        (percent("15", None), "33.33", "4.9900"),
        (percent("33.3333", None), "100", "33.3300"),
        (percent("50", None), "0.01", "0.0000"),
        (percent("50", None), "0.03", "0.0100"),
        (percent("100", None), "0.0399", "0.0300"),
        (percent("100", None), "12.34", "12.3400"),
        (percent("10", Some("5")), "49.99", "4.9900"),
        (percent("10", Some("5")), "50.10", "5.0000"),
        (percent("99.9999", None), "999999999999999.9999", "999998999999999.9900"),
        (percent("0.0001", None), "999999999999999.9999", "999999999.9900"),
    ];
    for ((kind, face_value, max_discount), total, expected) in cases {
        let change =
            |new: &mut NewCoupon| (new.kind, new.face_value, new.max_discount) = (kind, face_value, max_discount);
        let (user, coupon) = held_with(&stage, change).await;
        let total = money(total);
        let priced = stage.app.marketing().price(total, coupon, user).await.unwrap();
        assert_eq!(priced.discount.to_string(), expected, "{kind} {face_value} off {total}");
        assert_eq!(priced.discount.get() + priced.payable.get(), total.get());
        assert!(priced.payable >= Money::ZERO);
        let redeemed = stage.app.marketing().redeem(new_id(), coupon, user, total).await.unwrap();
        assert_eq!(redeemed, priced.discount);
    }
}

async fn a_basket_is_priced_without_changing_anything(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let (user, coupon) = held_with(&stage, |new| new.min_spend = money("20")).await;
    let (priced, trips) = stage.counted(marketing.price(money("20"), coupon, user)).await;
    let expected = Discount { user_coupon_id: coupon, discount: money("10"), payable: money("10") };
    assert_eq!((priced.unwrap(), trips), (expected, 1));
    let error = marketing.price(money("19.9999"), coupon, user).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("is for 20.0000 and more"), "{error}");
    assert!(marketing.price(money("-0.0001"), coupon, user).await.unwrap_err().is_invalid());
    assert_eq!(status(&stage, coupon).await, (UserCouponStatus::Unused, None));
}

async fn a_coupon_is_redeemed_for_one_order(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let (user, coupon) = held(&stage).await;
    let (order, other) = (new_id(), new_id());
    let (discount, trips) = stage.counted(marketing.redeem(order, coupon, user, money("25"))).await;
    assert_eq!((discount.unwrap(), trips), (money("10"), 5));
    assert_eq!(status(&stage, coupon).await, (UserCouponStatus::Used, Some(order)));
    // The same order again gets the same answer, also when the coupon's time is over by then.
    let (again, trips) = stage.counted(marketing.redeem(order, coupon, user, money("25"))).await;
    assert_eq!((again.unwrap(), trips), (money("10"), 4));
    stage.clock.advance(2 * DAY);
    assert_eq!(marketing.redeem(order, coupon, user, money("25")).await.unwrap(), money("10"));
    let error = marketing.redeem(other, coupon, user, money("25")).await.unwrap_err();
    assert!(matches!(&error, Error::Conflict(said) if said.contains("was used")), "{error:?}");
    assert!(marketing.price(money("25"), coupon, user).await.unwrap_err().is_conflict());
}

async fn an_order_has_one_coupon(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let ((user, one), order) = (held_with(&stage, |new| new.per_user_limit = 2).await, new_id());
    let coupon = marketing.user_coupon(one).await.unwrap().coupon_id;
    let other = marketing.issue(coupon, user).await.unwrap().id;
    marketing.redeem(order, one, user, money("25")).await.unwrap();
    let error = marketing.redeem(order, other, user, money("25")).await.unwrap_err();
    assert!(error.to_string().contains("has another coupon"), "{error}");
    assert!(marketing.give_back(order, other).await.unwrap_err().is_conflict());
    assert_eq!(status(&stage, one).await, (UserCouponStatus::Used, Some(order)));
    assert_eq!(status(&stage, other).await, (UserCouponStatus::Unused, None));
}

async fn a_coupon_comes_back_once(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let ((user, coupon), order, next) = (held(&stage).await, new_id(), new_id());
    marketing.redeem(order, coupon, user, money("25")).await.unwrap();
    let (done, trips) = stage.counted(marketing.give_back(order, coupon)).await;
    done.unwrap();
    assert_eq!(trips, 6);
    assert_eq!(status(&stage, coupon).await, (UserCouponStatus::Unused, None));
    // The next order has it, and keeps it however often the first one gives it back.
    marketing.redeem(next, coupon, user, money("25")).await.unwrap();
    for _ in 0..2 {
        marketing.give_back(order, coupon).await.unwrap();
    }
    assert_eq!(status(&stage, coupon).await, (UserCouponStatus::Used, Some(next)));
    assert!(marketing.give_back(order, new_id()).await.unwrap_err().is_not_found());
}

async fn an_order_that_gave_its_coupon_back_cannot_redeem_any_more(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let ((user, coupon), early, late) = (held(&stage).await, new_id(), new_id());
    let (done, trips) = stage.counted(marketing.give_back(early, coupon)).await;
    done.unwrap();
    assert_eq!(trips, 5);
    marketing.redeem(late, coupon, user, money("25")).await.unwrap();
    marketing.give_back(late, coupon).await.unwrap();
    for order in [early, late] {
        let error = marketing.redeem(order, coupon, user, money("25")).await.unwrap_err();
        assert!(matches!(&error, Error::Conflict(said) if said.contains("gave its coupon back")), "{error:?}");
        assert_eq!(status(&stage, coupon).await, (UserCouponStatus::Unused, None));
    }
}

async fn a_refused_redemption_leaves_the_coupon_to_the_user(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let ((user, coupon), order) = (held(&stage).await, new_id());
    stage.app.marketing().give_back(order, coupon).await.unwrap();
    let now = stage.app.clock().now();
    // Even when the caller commits all the same.
    let refused = stage.app.transaction(Domain::Marketing, async |tx| {
        Ok(marketing::redeem(tx, order, coupon, user, money("25"), now).await.is_err())
    });
    assert!(refused.await.unwrap());
    assert_eq!(status(&stage, coupon).await, (UserCouponStatus::Unused, None));
    // And what a rolled back transaction redeemed was never redeemed.
    let rolled_back = stage.app.transaction(Domain::Marketing, async |tx| {
        marketing::redeem(tx, new_id(), coupon, user, money("25"), now).await?;
        Err::<(), _>(Error::Invalid("changed my mind".into()))
    });
    assert!(rolled_back.await.is_err());
    assert_eq!(status(&stage, coupon).await, (UserCouponStatus::Unused, None));
}

async fn a_coupon_that_cannot_be_used_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let (user, coupon) = held_with(&stage, |new| new.ends_at = instant("2300-01-01T00:00:00Z")).await;
    let id = marketing.user_coupon(coupon).await.unwrap().coupon_id;
    let refused = async |why: &str| {
        let priced = marketing.price(money("25"), coupon, user).await.unwrap_err();
        let redeemed = marketing.redeem(new_id(), coupon, user, money("25")).await.unwrap_err();
        for error in [priced, redeemed] {
            assert!(matches!(&error, Error::Conflict(said) if said.contains(why)), "{error:?}");
        }
    };
    marketing.pause_coupon(id).await.unwrap();
    refused("is paused").await;
    marketing.resume_coupon(id).await.unwrap();
    stage.clock.set(instant("1969-12-31T23:59:59Z"));
    refused("cannot be redeemed before").await;
    stage.clock.set(instant("2300-01-01T00:00:00Z"));
    refused("could be redeemed until").await;
    stage.clock.set(instant("2299-12-31T23:59:59.999999Z"));
    marketing.redeem(new_id(), coupon, user, money("25")).await.unwrap();
}

async fn somebody_elses_coupon_is_not_there(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let (user, coupon) = held(&stage).await;
    for (coupon, user) in [(coupon, new_id()), (new_id(), user)] {
        assert!(marketing.price(money("25"), coupon, user).await.unwrap_err().is_not_found());
        assert!(marketing.redeem(new_id(), coupon, user, money("25")).await.unwrap_err().is_not_found());
    }
}
