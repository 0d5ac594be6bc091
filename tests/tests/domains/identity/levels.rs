use futures::future::join_all;
use stanchion::Error;
use stanchion::config::Domain;
use stanchion::db::CursorError;
use stanchion::domain::identity::{LevelChangeFilter, UserChange, upgrade_level};
use stanchion::entity::identity::UserLevel::{self, Director, Normal, Star1, Star2, Vip};
use stanchion::types::{Text, new_id};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::user;

on_every_backend! {
    a_level_is_raised_and_recorded,
    a_failed_change_is_recorded_though_it_is_rolled_back,
    of_two_changes_to_one_level_one_is_made_and_both_are_recorded,
    changes_are_listed_by_user_and_outcome,
    the_distribution_counts_every_level,
}

fn reason(text: &str) -> Text<255> {
    text.parse().unwrap()
}

async fn a_level_is_raised_and_recorded(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    let (raised, trips) = stage.counted(identity.upgrade_level(ann.id, Vip, reason("a year 🎂 with us"))).await;
    let raised = raised.unwrap();
    assert_eq!((trips, raised.level, raised.version), (5, Vip, 2));
    assert_eq!(identity.user(ann.id).await.unwrap(), raised);
    identity.upgrade_level(ann.id, Director, reason("")).await.unwrap();
    let (page, trips) = stage.counted(identity.level_changes(&LevelChangeFilter::new().user(ann.id))).await;
    assert_eq!(trips, 1);
    let mut steps: Vec<_> =
        page.unwrap().items.into_iter().map(|change| (change.from_level, change.to_level, change.succeeded)).collect();
    steps.sort_unstable();
    assert_eq!(steps, [(Normal, Vip, true), (Vip, Director, true)]);
    let (stale, stage) = (UserChange::default(), &stage);
    assert!(stage.app.identity().update_user(ann.id, 2, stale).await.unwrap_err().is_stale());
}

async fn a_failed_change_is_recorded_though_it_is_rolled_back(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    identity.upgrade_level(ann.id, Star1, reason("")).await.unwrap();
    for (to, long) in [(Star1, "x".repeat(255)), (Vip, "🎂".repeat(255)), (Normal, String::new())] {
        let (refused, trips) = stage.counted(identity.upgrade_level(ann.id, to, reason(&long))).await;
        let error = refused.unwrap_err();
        assert!(
            matches!(&error, Error::Conflict(what) if what.contains("star_1") && what.contains(to.as_str())),
            "{error}"
        );
        assert_eq!(trips, 5);
    }
    identity.deactivate(ann.id).await.unwrap();
    assert!(matches!(identity.upgrade_level(ann.id, Director, reason("")).await, Err(Error::Conflict(_))));
    let failed = identity.level_changes(&LevelChangeFilter::new().succeeded(false)).await.unwrap().items;
    assert_eq!(failed.len(), 4);
    assert!(failed.iter().all(|change| change.user_id == ann.id && change.from_level == Star1));
    assert!(failed.iter().any(|change| change.to_level == Director && change.reason.contains("deactivated")));
    assert_eq!(identity.user(ann.id).await.unwrap().level, Star1);

    // Nobody to record it for.
    assert!(identity.upgrade_level(new_id(), Vip, reason("")).await.unwrap_err().is_not_found());
    assert_eq!(identity.level_changes(&LevelChangeFilter::new()).await.unwrap().items.len(), 5);

    // In somebody's transaction nothing is kept of what they roll back.
    let bob = user(&stage.app, "bob").await;
    let now = stage.app.clock().now();
    let undone = stage.app.transaction(Domain::Identity, async |tx| {
        upgrade_level(tx, bob.id, Vip, &reason(""), now, now).await?;
        upgrade_level(tx, bob.id, Vip, &reason(""), now, now).await
    });
    assert!(matches!(undone.await, Err(Error::Conflict(_))));
    assert!(identity.level_changes(&LevelChangeFilter::new().user(bob.id)).await.unwrap().items.is_empty());
    assert_eq!(identity.user(bob.id).await.unwrap(), bob);
}

async fn of_two_changes_to_one_level_one_is_made_and_both_are_recorded(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let ann = user(&stage.app, "ann").await;
    let calls = (0..8).map(|_| {
        let app = stage.app.clone();
        tokio::spawn(async move { app.identity().upgrade_level(ann.id, Star2, reason("rush")).await })
    });
    let results: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    let changes = stage.app.identity().level_changes(&LevelChangeFilter::new().user(ann.id)).await.unwrap().items;
    assert_eq!((changes.len(), changes.iter().filter(|change| change.succeeded).count()), (8, 1));
    assert_eq!(stage.app.identity().user(ann.id).await.unwrap().version, 2);
}

async fn changes_are_listed_by_user_and_outcome(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let (ann, bob) = (user(&stage.app, "ann").await, user(&stage.app, "bob").await);
    for (id, to) in [(ann.id, Vip), (ann.id, Star1), (ann.id, Star2), (bob.id, Vip), (bob.id, Vip)] {
        let _refused = identity.upgrade_level(id, to, reason("")).await;
    }
    let filter = LevelChangeFilter::new().user(ann.id).limit(2);
    let page = identity.level_changes(&filter).await.unwrap();
    assert_eq!(identity.level_changes(&filter.clone().after(page.next)).await.unwrap().items.len(), 1);
    let error = identity.level_changes(&filter.user(bob.id).after(page.next)).await.unwrap_err();
    assert!(matches!(error, Error::Cursor(CursorError::AnotherList)));
    let filter = LevelChangeFilter::new().user(bob.id).succeeded(false);
    assert_eq!(identity.level_changes(&filter).await.unwrap().items.len(), 1);
}

async fn the_distribution_counts_every_level(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    assert!(identity.level_distribution().await.unwrap().values().all(|users| *users == 0));
    for number in 0..5 {
        let id = user(&stage.app, &format!("user-{number}")).await.id;
        if number > 2 {
            identity.upgrade_level(id, Vip, reason("")).await.unwrap();
        }
    }
    let (distribution, trips) = stage.counted(identity.level_distribution()).await;
    let distribution = distribution.unwrap();
    assert_eq!((trips, distribution.len()), (1, UserLevel::ALL.len()));
    assert_eq!((distribution[&Normal], distribution[&Vip], distribution[&Director]), (3, 2, 0));
}
