//! Coupons are never over-issued, never used twice, and worth exactly what they say.

mod coupons;
mod redeeming;
mod rush;

use std::time::Duration;

use stanchion::domain::marketing::NewCoupon;
use stanchion::entity::marketing::{CouponKind, UserCouponStatus, coupon};
use stanchion::types::{Money, Text, Timestamp, new_id};
use stanchion_tests::Stage;
use stanchion_tests::testbed::TestDatabase;
use uuid::Uuid;

const DAY: Duration = Duration::from_secs(86_400);

/// A stage for a rush: on a machine that is busy, the last of many waits long for a connection.
async fn crowded(database: TestDatabase) -> Stage {
    Stage::with(database, |config| config.database.acquire_timeout = Duration::from_secs(60)).await.unwrap()
}

/// A coupon of ten off, from an hour ago until tomorrow: a hundred, one a user.
fn ten_off(stage: &Stage, code: &str) -> NewCoupon {
    let now = stage.app.clock().now();
    NewCoupon {
        campaign_id: None,
        code: text(code),
        kind: CouponKind::Amount,
        face_value: money("10"),
        min_spend: Money::ZERO,
        max_discount: None,
        total_quantity: 100,
        per_user_limit: 1,
        starts_at: now.minus(Duration::from_secs(3_600)).unwrap(),
        ends_at: now.plus(DAY).unwrap(),
    }
}

/// A coupon like that, changed by `change`.
async fn coupon_with(stage: &Stage, change: impl FnOnce(&mut NewCoupon)) -> coupon::Model {
    let mut new = ten_off(stage, &new_id().to_string());
    change(&mut new);
    stage.app.marketing().create_coupon(new).await.unwrap()
}

/// A user, and the coupon of ten off that the user holds.
async fn held(stage: &Stage) -> (Uuid, Uuid) {
    held_with(stage, |_| {}).await
}

async fn held_with(stage: &Stage, change: impl FnOnce(&mut NewCoupon)) -> (Uuid, Uuid) {
    let coupon = coupon_with(stage, change).await;
    let user = new_id();
    (user, stage.app.marketing().issue(coupon.id, user).await.unwrap().id)
}

/// What became of a user's coupon.
async fn status(stage: &Stage, user_coupon: Uuid) -> (UserCouponStatus, Option<Uuid>) {
    let coupon = stage.app.marketing().user_coupon(user_coupon).await.unwrap();
    assert_eq!(coupon.used_at.is_some(), coupon.order_id.is_some());
    (coupon.status, coupon.order_id)
}

fn money(amount: &str) -> Money {
    amount.parse().unwrap()
}

fn text<const N: usize>(text: &str) -> Text<N> {
    text.parse().unwrap()
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}
