//! Campaigns and coupons: made, had, listed, and over.

use stanchion::Error;
use stanchion::db::CursorError;
use stanchion::domain::marketing::{CampaignFilter, CouponFilter, Expired, NewCampaign, NewCoupon, UserCouponFilter};
use stanchion::entity::marketing::{CampaignStatus, CouponKind, CouponStatus, UserCouponStatus};
use stanchion::types::{Json, Money, Text, new_id};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::{DAY, coupon_with, held, instant, money, status, ten_off, text};

on_every_backend! {
    a_campaign_goes_through_its_life,
    a_campaign_that_makes_no_sense_is_refused,
    a_coupon_that_makes_no_sense_is_refused,
    a_code_is_taken_once_and_case_counts,
    a_coupon_is_had_while_it_runs,
    a_coupon_of_a_campaign_is_had_while_that_runs,
    a_user_has_no_more_than_one_can,
    coupons_are_listed_by_what_they_are,
    what_is_over_expires_in_batches,
}

fn campaign(stage: &Stage, name: &str) -> NewCampaign {
    let now = stage.app.clock().now();
    NewCampaign {
        name: text(name),
        kind: text("coupon"),
        rules: Json::try_from(serde_json::json!({ "channels": ["app 📱"] })).unwrap(),
        starts_at: now,
        ends_at: now.plus(DAY).unwrap(),
    }
}

async fn a_campaign_goes_through_its_life(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let (made, trips) = stage.counted(marketing.create_campaign(campaign(&stage, "ربيع 🌷"))).await;
    let made = made.unwrap();
    assert_eq!((made.status, trips), (CampaignStatus::Draft, 1));
    assert_eq!(marketing.campaign(made.id).await.unwrap(), made);

    let refused = marketing.pause_campaign(made.id).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("the campaign {} is draft and cannot become paused", made.id));
    let (done, trips) = stage.counted(marketing.activate_campaign(made.id)).await;
    done.unwrap();
    assert_eq!(trips, 1);
    assert!(marketing.activate_campaign(made.id).await.unwrap_err().is_conflict());
    marketing.pause_campaign(made.id).await.unwrap();
    marketing.activate_campaign(made.id).await.unwrap();
    marketing.end_campaign(made.id).await.unwrap();
    for refused in [marketing.activate_campaign(made.id).await, marketing.end_campaign(made.id).await] {
        assert!(refused.unwrap_err().to_string().contains("is ended and cannot become"));
    }
    assert!(marketing.end_campaign(new_id()).await.unwrap_err().is_not_found());

    let draft = marketing.create_campaign(campaign(&stage, "autumn")).await.unwrap();
    let filter = CampaignFilter::new().status(CampaignStatus::Draft).kind(text("coupon"));
    let (page, trips) = stage.counted(marketing.campaigns(&filter)).await;
    assert_eq!((page.unwrap().items, trips), (vec![draft], 1));
    let none = CampaignFilter::new().kind(text("flash_sale"));
    assert!(marketing.campaigns(&none).await.unwrap().items.is_empty());
}

async fn a_campaign_that_makes_no_sense_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let good = campaign(&stage, "spring");
    let rules = Json::try_from(serde_json::json!([1])).unwrap();
    for bad in [
        NewCampaign { name: text("  "), ..good.clone() },
        NewCampaign { kind: text(""), ..good.clone() },
        NewCampaign { rules, ..good.clone() },
        NewCampaign { rules: Json::default(), ..good.clone() },
        NewCampaign { ends_at: good.starts_at, ..good.clone() },
        NewCampaign { ends_at: instant("1969-12-31T23:59:59Z"), ..good.clone() },
    ] {
        let error = stage.app.marketing().create_campaign(bad).await.unwrap_err();
        assert!(error.is_invalid(), "{error:?}");
    }
    // Dates of any time that a column holds.
    let long =
        NewCampaign { starts_at: instant("1000-01-01T00:00:00Z"), ends_at: instant("9999-12-31T23:59:59Z"), ..good };
    let made = stage.app.marketing().create_campaign(long).await.unwrap();
    assert_eq!(stage.app.marketing().campaign(made.id).await.unwrap(), made);
}

async fn a_coupon_that_makes_no_sense_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let good = ten_off(&stage, "GOOD");
    let percent = NewCoupon { kind: CouponKind::Percent, ..good.clone() };
    for bad in [
        NewCoupon { code: text(" "), ..good.clone() },
        NewCoupon { face_value: Money::ZERO, ..good.clone() },
        NewCoupon { face_value: money("-1"), ..good.clone() },
        NewCoupon { face_value: money("100.0001"), ..percent.clone() },
        NewCoupon { min_spend: money("-0.0001"), ..good.clone() },
        NewCoupon { max_discount: Some(Money::ZERO), ..good.clone() },
        NewCoupon { total_quantity: 0, ..good.clone() },
        NewCoupon { total_quantity: i64::MIN, ..good.clone() },
        NewCoupon { per_user_limit: 0, ..good.clone() },
        NewCoupon { ends_at: good.starts_at, ..good.clone() },
    ] {
        let error = marketing.create_coupon(bad).await.unwrap_err();
        assert!(error.is_invalid(), "{error:?}");
    }
    assert!("10.00001".parse::<Money>().is_err() && Text::<50>::try_from("x".repeat(51)).is_err());
    let orphan = NewCoupon { campaign_id: Some(new_id()), ..good.clone() };
    assert!(marketing.create_coupon(orphan).await.unwrap_err().is_not_found());
    // At the limits it is fine.
    let most = NewCoupon {
        face_value: money("999999999999999.9999"),
        total_quantity: i64::MAX,
        per_user_limit: i32::MAX,
        ends_at: instant("9999-12-31T23:59:59.999999Z"),
        ..good
    };
    let (made, trips) = stage.counted(marketing.create_coupon(most)).await;
    let made = made.unwrap();
    assert_eq!((marketing.coupon(made.id).await.unwrap(), trips), (made, 1));
    marketing.create_coupon(NewCoupon { face_value: money("100"), code: text("ALL"), ..percent }).await.unwrap();
}

async fn a_code_is_taken_once_and_case_counts(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let made = marketing.create_coupon(ten_off(&stage, "Frühling🌷")).await.unwrap();
    assert!(marketing.create_coupon(ten_off(&stage, "Frühling🌷")).await.unwrap_err().is_conflict());
    marketing.create_coupon(ten_off(&stage, "frühling🌷")).await.unwrap();
    let (found, trips) = stage.counted(marketing.coupon_by_code("Frühling🌷")).await;
    assert_eq!((found.unwrap(), trips), (made, 1));
    for unknown in ["FRÜHLING🌷", "", "Frühling🌷 ", "a\0b", &"x".repeat(51)] {
        assert!(marketing.coupon_by_code(unknown).await.unwrap_err().is_not_found(), "{unknown:?}");
        assert!(marketing.claim(unknown, new_id()).await.unwrap_err().is_not_found(), "{unknown:?}");
    }
}

async fn a_coupon_is_had_while_it_runs(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let now = stage.app.clock().now();
    let coupon = coupon_with(&stage, |new| {
        new.starts_at = now.plus(DAY).unwrap();
        new.ends_at = now.plus(2 * DAY).unwrap();
    })
    .await;
    let refused = async |why: &str| {
        let error = marketing.claim(&coupon.code, new_id()).await.unwrap_err();
        assert!(matches!(&error, Error::Conflict(said) if said.contains(why)), "{error:?}");
    };
    refused("cannot be had before 2026-03-02T12:00:00").await;
    stage.clock.advance(DAY);
    let (had, trips) = stage.counted(marketing.claim(&coupon.code, new_id())).await;
    let had = had.unwrap();
    assert_eq!((status(&stage, had.id).await, trips), ((UserCouponStatus::Unused, None), 6));
    assert_eq!(stage.counted(marketing.issue(coupon.id, new_id())).await.1, 6);

    let (done, trips) = stage.counted(marketing.pause_coupon(coupon.id)).await;
    done.unwrap();
    assert_eq!(trips, 1);
    refused("is paused").await;
    assert!(
        marketing.pause_coupon(coupon.id).await.unwrap_err().to_string().contains("paused and cannot become paused")
    );
    marketing.resume_coupon(coupon.id).await.unwrap();
    marketing.claim(&coupon.code, new_id()).await.unwrap();
    stage.clock.advance(DAY);
    refused("could be had until 2026-03-03T12:00:00").await;
    assert_eq!(marketing.coupon(coupon.id).await.unwrap().issued_quantity, 3);
    assert!(marketing.issue(new_id(), new_id()).await.unwrap_err().is_not_found());
    assert!(marketing.pause_coupon(new_id()).await.unwrap_err().is_not_found());
}

async fn a_coupon_of_a_campaign_is_had_while_that_runs(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let campaign = marketing.create_campaign(campaign(&stage, "spring")).await.unwrap();
    let coupon = coupon_with(&stage, |new| {
        new.campaign_id = Some(campaign.id);
        new.ends_at = campaign.ends_at.plus(DAY).unwrap();
    })
    .await;
    let refused = async || {
        let error = marketing.issue(coupon.id, new_id()).await.unwrap_err();
        assert!(error.is_conflict() && error.to_string().contains("a campaign that does not run"), "{error}");
    };
    refused().await;
    marketing.activate_campaign(campaign.id).await.unwrap();
    marketing.issue(coupon.id, new_id()).await.unwrap();
    marketing.pause_campaign(campaign.id).await.unwrap();
    refused().await;
    marketing.activate_campaign(campaign.id).await.unwrap();
    stage.clock.advance(DAY);
    refused().await;
    let of_it = marketing.coupons(&CouponFilter::new().campaign(campaign.id)).await.unwrap();
    assert_eq!((of_it.items.len(), of_it.items[0].issued_quantity), (1, 1));
}

async fn a_user_has_no_more_than_one_can(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let coupon = coupon_with(&stage, |new| (new.per_user_limit, new.total_quantity) = (2, 3)).await;
    let (user, other) = (new_id(), new_id());
    for _ in 0..2 {
        marketing.issue(coupon.id, user).await.unwrap();
    }
    let error = marketing.issue(coupon.id, user).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("has the 2 of the coupon"), "{error}");
    assert_eq!(marketing.coupon(coupon.id).await.unwrap().issued_quantity, 2);
    marketing.issue(coupon.id, other).await.unwrap();
    let error = marketing.issue(coupon.id, other).await.unwrap_err();
    assert!(error.is_conflict() && error.to_string().contains("is gone: all 3 were issued"), "{error}");
}

async fn coupons_are_listed_by_what_they_are(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let paused = coupon_with(&stage, |_| {}).await;
    marketing.pause_coupon(paused.id).await.unwrap();
    let active = coupon_with(&stage, |new| new.per_user_limit = 10).await;
    let (page, trips) = stage.counted(marketing.coupons(&CouponFilter::new().status(CouponStatus::Paused))).await;
    let ids: Vec<_> = page.unwrap().items.iter().map(|coupon| coupon.id).collect();
    assert_eq!((ids, trips), (vec![paused.id], 1));

    let user = new_id();
    for _ in 0..5 {
        marketing.issue(active.id, user).await.unwrap();
    }
    held(&stage).await;
    let filter = UserCouponFilter::new().user(user).coupon(active.id).status(UserCouponStatus::Unused).limit(2);
    let mut seen = std::collections::BTreeSet::new();
    let mut cursor = None;
    loop {
        let (page, trips) = stage.counted(marketing.user_coupons(&filter.clone().after(cursor))).await;
        let page = page.unwrap();
        assert_eq!(trips, 1);
        assert!(page.items.iter().all(|coupon| seen.insert(coupon.id)));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    let first = marketing.user_coupons(&filter).await.unwrap().next;
    let other = UserCouponFilter::new().user(new_id()).after(first);
    assert!(matches!(marketing.user_coupons(&other).await, Err(Error::Cursor(CursorError::AnotherList))));
}

async fn what_is_over_expires_in_batches(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let marketing = stage.app.marketing();
    let over = coupon_with(&stage, |new| new.per_user_limit = 10).await;
    let stays = coupon_with(&stage, |new| new.ends_at = new.ends_at.plus(DAY).unwrap()).await;
    let user = new_id();
    let mut had = Vec::new();
    for _ in 0..5 {
        had.push(marketing.issue(over.id, user).await.unwrap().id);
    }
    let kept = marketing.issue(stays.id, user).await.unwrap().id;
    let order = new_id();
    marketing.redeem(order, had[0], user, money("50")).await.unwrap();
    assert_eq!(marketing.expire(2).await.unwrap(), Expired::default());

    stage.clock.advance(DAY);
    let (batch, trips) = stage.counted(marketing.expire(2)).await;
    assert_eq!((batch.unwrap(), trips), (Expired { coupons: 0, user_coupons: 2, more: true }, 5));
    assert_eq!(marketing.expire(2).await.unwrap(), Expired { coupons: 0, user_coupons: 2, more: true });
    assert_eq!(marketing.expire(2).await.unwrap(), Expired { coupons: 1, user_coupons: 0, more: false });
    let (batch, trips) = stage.counted(marketing.expire(2)).await;
    assert_eq!((batch.unwrap(), trips), (Expired::default(), 3));

    assert_eq!(status(&stage, had[0]).await, (UserCouponStatus::Used, Some(order)));
    for expired in &had[1..] {
        assert_eq!(status(&stage, *expired).await, (UserCouponStatus::Expired, None));
    }
    assert_eq!(status(&stage, kept).await, (UserCouponStatus::Unused, None));
    assert_eq!(marketing.coupon(over.id).await.unwrap().status, CouponStatus::Expired);
    assert!(marketing.resume_coupon(over.id).await.unwrap_err().to_string().contains("is expired"));
    // What comes back after its time is not of use any more.
    marketing.give_back(order, had[0]).await.unwrap();
    assert_eq!(status(&stage, had[0]).await, (UserCouponStatus::Expired, None));
}
