//! What the domains keep: whoever changes it, the next read shows the change, on every instance.

use std::sync::Arc;

use sea_orm::EntityTrait;
use stanchion::cache::Target;
use stanchion::config::{Domain, EncryptionKey};
use stanchion::domain::catalog::{self, CategoryDetails, NewReview, ProductDetails, ProductPage};
use stanchion::domain::identity::{self, IdCard, NewUser, TelegramUser, UserChange, UserSummary};
use stanchion::entity::identity::UserLevel;
use stanchion::types::new_id;
use stanchion::{App, Clock};
use stanchion_tests::testbed::{TestDatabase, eventually, redis_url};
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use crate::nodes::prefix;

on_every_backend! {
    every_change_of_a_products_page_is_seen_on_every_instance,
    every_change_of_a_user_is_seen_on_every_instance,
    what_is_kept_of_a_user_holds_no_secret,
    figures_are_loaded_once_for_all_instances,
}

/// Two instances over one database and one Redis; without a Redis, one instance twice.
async fn two(database: TestDatabase) -> (Stage, App) {
    let redis = redis_url();
    let stage = Stage::with(database, |config| {
        config.cache.redis = redis.as_ref().map(|url| url.parse().unwrap());
        config.cache.namespace = prefix();
        config.encryption.keys.insert("2026".to_owned(), EncryptionKey::from([7; 32]));
        config.encryption.active = Some("2026".to_owned());
    });
    let stage = stage.await.unwrap();
    if redis.is_none() {
        let same = stage.app.clone();
        return (stage, same);
    }
    let clock = Arc::clone(&stage.clock) as Arc<dyn Clock>;
    let other = App::start_with(stage.app.config().clone(), clock).await.unwrap();
    (stage, other)
}

/// Runs a change with the page in the caches of both instances, and sees that both show what is stored then.
async fn seen<T>(
    apps: [&App; 2],
    id: Uuid,
    what: &str,
    change: impl Future<Output = Result<T, stanchion::Error>>,
) -> T {
    let mut before = None;
    for app in apps {
        before = Some(app.catalog().page(id).await.unwrap());
        app.catalog().page(id).await.unwrap();
    }
    let changed = change.await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let stored: ProductPage = catalog::page(apps[0].db(Domain::Catalog).writer(), id).await.unwrap();
    assert_ne!(*before.unwrap(), stored, "{what} changes nothing that is shown");
    assert_eq!(*apps[0].catalog().page(id).await.unwrap(), stored, "{what}");
    eventually(what, async || *apps[1].catalog().page(id).await.unwrap() == stored).await;
    changed
}

async fn every_change_of_a_products_page_is_seen_on_every_instance(database: TestDatabase) {
    let (stage, other) = two(database).await;
    let (apps, catalog) = ([&stage.app, &other], stage.app.catalog());
    let category = |slug: &str| CategoryDetails {
        name: slug.parse().unwrap(),
        slug: slug.parse().unwrap(),
        ..CategoryDetails::default()
    };
    let root = catalog.create_category(category("kitchen"), None).await.unwrap().id;
    let tea = catalog.create_category(category("tea"), Some(root)).await.unwrap().id;
    let details = ProductDetails {
        name: "pot".parse().unwrap(),
        slug: "pot".parse().unwrap(),
        price: "19.90".parse().unwrap(),
        ..ProductDetails::in_category(tea)
    };
    let pot = catalog.create_product(details.clone()).await.unwrap().id;

    let dearer = ProductDetails { price: "29.90".parse().unwrap(), ..details };
    seen(apps, pot, "another price", catalog.update_product(pot, 1, dearer)).await;
    seen(apps, pot, "putting it on sale", catalog.put_on_sale(pot)).await;
    seen(apps, pot, "taking it off sale", catalog.take_off_sale(pot)).await;
    let front = seen(apps, pot, "a picture", catalog.add_image(pot, "front".parse().unwrap())).await.id;
    let back = seen(apps, pot, "another picture", catalog.add_image(pot, "back".parse().unwrap())).await.id;
    seen(apps, pot, "another order of the pictures", catalog.reorder_images(pot, &[back, front])).await;
    seen(apps, pot, "another cover", catalog.set_cover(pot, back)).await;
    seen(apps, pot, "a picture less", catalog.remove_image(pot, back)).await;

    let review = NewReview {
        product_id: pot,
        user_id: new_id(),
        order_id: new_id(),
        rating: 4,
        title: "good".parse().unwrap(),
        content: "tea comes out".parse().unwrap(),
        images: Vec::new(),
        is_verified: false,
    };
    let review = catalog.add_review(review).await.unwrap().id;
    seen(apps, pot, "publishing a review", catalog.publish_review(review)).await;
    seen(apps, pot, "hiding a review", catalog.hide_review(review)).await;

    seen(apps, pot, "another name of its category", catalog.update_category(tea, category("teas"))).await;
    seen(apps, pot, "another name of the root", catalog.update_category(root, category("home"))).await;
    seen(apps, pot, "another place of its category", catalog.move_category(tea, None)).await;

    let by_hand = stage.app.transaction(Domain::Catalog, async |tx| {
        catalog::add_image(tx, pot, "by hand".parse().unwrap(), stage.clock.now()).await?;
        stage.app.catalog().page_changed(tx, pot);
        Ok(())
    });
    seen(apps, pot, "a change in a caller's transaction", by_hand).await;

    catalog.delete_product(pot).await.unwrap();
    assert!(catalog.page(pot).await.unwrap_err().is_not_found());
    eventually("a product that is gone is gone everywhere", async || {
        other.catalog().page(pot).await.is_err_and(|error| error.is_not_found())
    })
    .await;
}

async fn shown<T>(apps: [&App; 2], id: Uuid, what: &str, change: impl Future<Output = Result<T, stanchion::Error>>) {
    let before = apps[1].identity().summary(id).await.unwrap();
    assert_eq!(apps[0].identity().summary(id).await.unwrap(), before);
    change.await.unwrap_or_else(|error| panic!("{what}: {error}"));
    let stored: UserSummary = identity::summary(apps[0].db(Domain::Identity).writer(), id).await.unwrap();
    assert_ne!(*before, stored, "{what} changes nothing that is shown");
    assert_eq!(*apps[0].identity().summary(id).await.unwrap(), stored, "{what}");
    eventually(what, async || *apps[1].identity().summary(id).await.unwrap() == stored).await;
}

async fn every_change_of_a_user_is_seen_on_every_instance(database: TestDatabase) {
    let (stage, other) = two(database).await;
    let (apps, identity) = ([&stage.app, &other], stage.app.identity());
    let telegram = |name: &str| TelegramUser {
        telegram_id: 77,
        first_name: name.parse().unwrap(),
        last_name: "Lee".parse().unwrap(),
        language_code: None,
    };
    let ann = identity.upsert_from_telegram(telegram("Ann")).await.unwrap();
    stage.clock.advance(std::time::Duration::from_secs(1));

    let change = UserChange { last_name: Some("Li".parse().unwrap()), ..UserChange::default() };
    shown(apps, ann.id, "another name", identity.update_user(ann.id, ann.version, change)).await;
    shown(apps, ann.id, "deactivating", identity.deactivate(ann.id)).await;
    shown(apps, ann.id, "activating", identity.activate(ann.id)).await;
    let raised = identity.upgrade_level(ann.id, UserLevel::Vip, "a year with us".parse().unwrap());
    shown(apps, ann.id, "another level", raised).await;
    shown(apps, ann.id, "another name in Telegram", identity.upsert_from_telegram(telegram("Anna"))).await;
    let now = stage.clock.now();
    let by_hand = stage.app.transaction(Domain::Identity, async |tx| {
        identity::set_user_active(tx, ann.id, false, now).await?;
        stage.app.identity().summary_changed(tx, ann.id);
        Ok(())
    });
    shown(apps, ann.id, "a change in a caller's transaction", by_hand).await;
    assert!(identity.summary(new_id()).await.unwrap_err().is_not_found());
}

async fn what_is_kept_of_a_user_holds_no_secret(database: TestDatabase) {
    let (stage, other) = two(database).await;
    let identity = stage.app.identity();
    let new = NewUser {
        username: Some("ann".parse().unwrap()),
        email: Some("ann@example.org".parse().unwrap()),
        phone: Some("+8613800138000".parse().unwrap()),
        ..NewUser::default()
    };
    let ann = identity.register(new).await.unwrap();
    let password = "correct horse battery staple".parse().unwrap();
    identity.set_password(ann.id, ann.version, &password).await.unwrap();
    let number = IdCard::try_from("31010119900101123X".to_owned()).unwrap();
    identity.set_id_card(ann.id, Some(&number)).await.unwrap();
    let sealed = identity.profile(ann.id).await.unwrap().unwrap().id_card.unwrap();
    assert_eq!(identity.summary(ann.id).await.unwrap().username.as_deref(), Some("ann"));
    let hash = stanchion::entity::identity::user::Entity::find_by_id(ann.id);
    let hash = hash.one(stage.app.db(Domain::Identity).reader()).await.unwrap().unwrap().password_hash.unwrap();

    let Some(url) = redis_url() else { return };
    // The other instance reads it from there.
    let (read, trips) = counted(&other, other.identity().summary(ann.id)).await;
    assert_eq!((read.unwrap().id, trips), (ann.id, 0));
    let stored = stored(&url, &stage.app.config().cache.namespace).await;
    assert!(stored.iter().any(|bytes| contains(bytes, "ann")), "nothing is kept in Redis");
    let secrets = [hash.expose(), number.expose(), sealed.expose(), "ann@example.org", "+8613800138000"];
    for secret in secrets {
        assert!(!stored.iter().any(|bytes| contains(bytes, secret)), "a secret is kept in Redis");
    }
}

async fn counted<T>(app: &App, work: impl Future<Output = T>) -> (T, u64) {
    let trips = || app.databases().iter().map(stanchion::db::Db::round_trips).sum::<u64>();
    let before = trips();
    let done = work.await;
    (done, trips() - before)
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Everything that is stored under a prefix, keys and texts alike.
async fn stored(url: &str, prefix: &str) -> Vec<Vec<u8>> {
    let client = redis::Client::open(url).unwrap();
    let mut link = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}:*")).query_async(&mut link).await.unwrap();
    let mut stored = Vec::new();
    for key in keys {
        stored.push(key.clone().into_bytes());
        stored.extend(redis::cmd("GET").arg(&key).query_async::<Option<Vec<u8>>>(&mut link).await.ok().flatten());
    }
    stored
}

async fn figures_are_loaded_once_for_all_instances(database: TestDatabase) {
    let (stage, other) = two(database).await;
    let (figures, trips) = stage.counted(stage.app.insights().last_days(30)).await;
    let figures = figures.unwrap();
    assert_eq!(trips, 12);
    let (same, trips) = counted(&other, other.insights().last_days(30)).await;
    assert_eq!((same.unwrap(), trips), (figures, 0));
    // They end by themselves, or when somebody says so.
    stage.app.cache().invalidate([Target::namespace("insights.business")]).await;
    assert_eq!(stage.counted(stage.app.insights().last_days(30)).await.1, 12);
}
