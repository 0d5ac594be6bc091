use std::time::Duration;

use futures::future::join_all;
use stanchion::Error;
use stanchion::db::{CursorError, Order};
use stanchion::domain::identity::{NewUser, ProfileChange, TelegramUser, UserChange, UserFilter};
use stanchion::entity::identity::{Gender, UserLevel};
use stanchion::types::{Text, Timestamp, new_id};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::user;

on_every_backend! {
    a_user_is_found_by_whatever_they_are_known_by,
    a_user_who_cannot_be_is_refused,
    two_requests_of_telegram_at_once_make_one_user,
    telegram_changes_what_it_says_and_nothing_else,
    an_update_changes_what_it_names_of_the_version_it_names,
    of_two_updates_at_once_one_is_made,
    a_user_is_deactivated_and_activated,
    a_profile_is_written_once_and_over,
    users_are_listed_by_what_they_are,
}

async fn a_user_is_found_by_whatever_they_are_known_by(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let new = NewUser {
        username: Some("Ann".parse().unwrap()),
        email: Some("Ann@Example.org".parse().unwrap()),
        telegram_id: Some(i64::MAX),
        first_name: "安 👩‍🚀 آن".parse().unwrap(),
        ..NewUser::default()
    };
    let (ann, trips) = stage.counted(identity.register(new)).await;
    let ann = ann.unwrap();
    assert_eq!((trips, ann.language_code.as_str(), ann.level), (1, "en", UserLevel::Normal));
    let (found, trips) = stage.counted(identity.user(ann.id)).await;
    assert_eq!((found.unwrap(), trips), (ann.clone(), 1));
    let (found, trips) = stage.counted(identity.user_by_email(&"aNN@eXAMPLE.ORG".parse().unwrap())).await;
    assert_eq!((found.unwrap(), trips), (ann.clone(), 1));
    let (found, trips) = stage.counted(identity.user_by_username("Ann")).await;
    assert_eq!((found.unwrap(), trips), (ann.clone(), 1));
    let (found, trips) = stage.counted(identity.user_by_telegram_id(i64::MAX)).await;
    assert_eq!((found.unwrap(), trips), (ann, 1));

    for unknown in ["ann", "Ann ", "", "A%", "nul\0", "x".repeat(10_000).as_str(), "' OR '1'='1"] {
        assert!(identity.user_by_username(unknown).await.unwrap_err().is_not_found(), "{unknown:?}");
    }
    assert!(identity.user(new_id()).await.unwrap_err().is_not_found());
    assert!(identity.user_by_email(&"bob@example.org".parse().unwrap()).await.unwrap_err().is_not_found());
    assert!(identity.user_by_telegram_id(-1).await.unwrap_err().is_not_found());
}

async fn a_user_who_cannot_be_is_refused(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let named = |name: &str| NewUser { username: Some(name.parse().unwrap()), ..NewUser::default() };
    for refused in [NewUser::default(), named(""), named(" \t"), named("bob@example.org"), named("@")] {
        let error = identity.register(refused).await.unwrap_err();
        assert!(matches!(error, Error::Value(_)), "{error}");
    }
    assert!("x".repeat(51).parse::<Text<50>>().is_err());
    assert!("nul\0".parse::<Text<50>>().is_err());
    identity.register(named(&"🧑".repeat(50))).await.unwrap();
    user(&stage.app, "ann").await;
    for taken in [named("ann"), NewUser { email: Some("ANN@example.org".parse().unwrap()), ..NewUser::default() }] {
        assert!(identity.register(taken).await.unwrap_err().is_conflict());
    }
    stage.clock.set("1969-12-31T23:59:59Z".parse().unwrap());
    assert!(matches!(identity.register(named("early")).await, Err(Error::Value(_))));
    let distant: Timestamp = "3000-01-02T03:04:05.678901Z".parse().unwrap();
    stage.clock.set(distant);
    let late = identity.register(named("late")).await.unwrap();
    assert_eq!(identity.user(late.id).await.unwrap().created_at, distant);
}

fn telegram(telegram_id: i64, first_name: &str) -> TelegramUser {
    let (first_name, last_name) = (first_name.parse().unwrap(), Text::default());
    TelegramUser { telegram_id, first_name, last_name, language_code: None }
}

async fn two_requests_of_telegram_at_once_make_one_user(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    for telegram_id in 1..=3 {
        let calls = (0..8).map(|_| {
            let app = stage.app.clone();
            tokio::spawn(
                async move { app.identity().upsert_from_telegram(telegram(telegram_id, "Ann")).await.unwrap() },
            )
        });
        let made: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        assert!(made.iter().all(|one| one.id == made[0].id), "{made:?}");
    }
    assert_eq!(stage.app.identity().users(&UserFilter::new()).await.unwrap().items.len(), 3);
}

async fn telegram_changes_what_it_says_and_nothing_else(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let said = TelegramUser { language_code: Some("zh-hans".parse().unwrap()), ..telegram(7, "安") };
    let (first, trips) = stage.counted(identity.upsert_from_telegram(said.clone())).await;
    let first = first.unwrap();
    assert_eq!((trips, first.version, first.language_code.as_str()), (3, 1, "zh-hans"));
    stage.clock.advance(Duration::from_secs(60));
    let (again, trips) = stage.counted(identity.upsert_from_telegram(said)).await;
    assert_eq!((again.unwrap(), trips), (first.clone(), 1));
    let (renamed, trips) = stage.counted(identity.upsert_from_telegram(telegram(7, "🦀"))).await;
    let renamed = renamed.unwrap();
    assert_eq!((trips, renamed.id, renamed.version, renamed.first_name.as_str()), (3, first.id, 2, "🦀"));
    assert_eq!((renamed.language_code.as_str(), renamed.created_at), ("zh-hans", first.created_at));
    assert_eq!(renamed.updated_at, stage.app.clock().now());
    for nobody in [0, -1, i64::MIN] {
        assert!(matches!(identity.upsert_from_telegram(telegram(nobody, "x")).await, Err(Error::Invalid(_))));
    }
}

async fn an_update_changes_what_it_names_of_the_version_it_names(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let (ann, bob) = (user(&stage.app, "ann").await, user(&stage.app, "bob").await);
    let change = UserChange {
        username: Some("anna".parse().unwrap()),
        phone: Some(Some("+86 10".parse().unwrap())),
        first_name: Some("آنا".parse().unwrap()),
        ..UserChange::default()
    };
    let (updated, trips) = stage.counted(identity.update_user(ann.id, 1, change.clone())).await;
    let updated = updated.unwrap();
    assert_eq!((trips, updated.version, updated.username.as_deref()), (2, 2, Some("anna")));
    assert_eq!((updated.email.clone(), updated.first_name.as_str()), (ann.email, "آنا"));
    let stale = identity.update_user(ann.id, 1, change.clone()).await.unwrap_err();
    assert!(stale.is_stale(), "{stale}");
    let no_phone = UserChange { phone: Some(None), ..UserChange::default() };
    assert_eq!(identity.update_user(ann.id, 2, no_phone).await.unwrap().phone, None);
    assert!(identity.update_user(new_id(), 1, change.clone()).await.unwrap_err().is_not_found());
    assert!(identity.update_user(bob.id, 1, change).await.unwrap_err().is_conflict());
    let named_like_an_address =
        UserChange { username: Some("anna@example.org".parse().unwrap()), ..UserChange::default() };
    assert!(identity.update_user(bob.id, 1, named_like_an_address).await.unwrap_err().is_invalid());
    assert_eq!(identity.user(bob.id).await.unwrap(), bob);
}

async fn of_two_updates_at_once_one_is_made(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let ann = user(&stage.app, "ann").await;
    let calls = (0..8).map(|number| {
        let app = stage.app.clone();
        let change = UserChange { last_name: Some(format!("{number}").parse().unwrap()), ..UserChange::default() };
        tokio::spawn(async move { app.identity().update_user(ann.id, 1, change).await })
    });
    let results: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    let made: Vec<_> = results.iter().flatten().collect();
    assert_eq!(made.len(), 1, "{results:?}");
    assert!(results.iter().filter_map(|result| result.as_ref().err()).all(Error::is_stale));
    assert_eq!(stage.app.identity().user(ann.id).await.unwrap(), *made[0]);
}

async fn a_user_is_deactivated_and_activated(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    let (done, trips) = stage.counted(identity.deactivate(ann.id)).await;
    assert_eq!((done.is_ok(), trips), (true, 1));
    let (done, trips) = stage.counted(identity.deactivate(ann.id)).await;
    assert_eq!((done.is_ok(), trips), (true, 2));
    let off = identity.user(ann.id).await.unwrap();
    assert_eq!((off.is_active, off.version), (false, 2));
    identity.activate(ann.id).await.unwrap();
    assert!(identity.user(ann.id).await.unwrap().is_active);
    assert!(identity.deactivate(new_id()).await.unwrap_err().is_not_found());
}

async fn a_profile_is_written_once_and_over(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    assert_eq!(identity.profile(ann.id).await.unwrap(), None);
    let told = ProfileChange {
        nickname: "🦊".parse().unwrap(),
        gender: Gender::Female,
        birth_date: Some("1990-02-28".parse().unwrap()),
        ..ProfileChange::default()
    };
    let calls = (0..8).map(|_| {
        let (app, told) = (stage.app.clone(), told.clone());
        tokio::spawn(async move { app.identity().save_profile(ann.id, told).await.unwrap() })
    });
    let written: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert!(written.iter().all(|one| *one == written[0]), "{written:?}");
    stage.clock.advance(Duration::from_secs(1));
    let (over, trips) = stage.counted(identity.save_profile(ann.id, ProfileChange::default())).await;
    let over = over.unwrap();
    assert_eq!((trips, over.id, over.created_at), (2, written[0].id, written[0].created_at));
    assert_eq!((over.nickname.as_str(), over.gender, over.birth_date), ("", Gender::Unknown, None));
    let (read, trips) = stage.counted(identity.profile(ann.id)).await;
    assert_eq!((read.unwrap(), trips), (Some(over), 1));
    let unborn = ProfileChange { birth_date: Some("2026-03-02".parse().unwrap()), ..ProfileChange::default() };
    assert!(matches!(identity.save_profile(ann.id, unborn).await, Err(Error::Invalid(_))));
    assert!(identity.save_profile(new_id(), told).await.unwrap_err().is_not_found());
}

async fn users_are_listed_by_what_they_are(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let first = stage.app.clock().now();
    for number in 0..10 {
        let new = NewUser {
            username: Some(format!("user-{number}").parse().unwrap()),
            language_code: (number % 2 == 0).then(|| "zh".parse().unwrap()),
            ..NewUser::default()
        };
        let id = identity.register(new).await.unwrap().id;
        if number % 5 == 0 {
            identity.deactivate(id).await.unwrap();
        }
        stage.clock.advance(Duration::from_micros(1_500));
    }
    let names = async |filter: UserFilter| {
        let page = identity.users(&filter.order(Order::Asc)).await.unwrap();
        page.items.iter().map(|user| user.username.as_ref().unwrap()[5..].to_owned()).collect::<String>()
    };
    let at = |number: u64| first.plus(Duration::from_micros(1_500 * number)).unwrap();
    assert_eq!(names(UserFilter::new()).await, "0123456789");
    assert_eq!(names(UserFilter::new().language("zh")).await, "02468");
    assert_eq!(names(UserFilter::new().active(false)).await, "05");
    assert_eq!(names(UserFilter::new().from(at(3)).to(at(6))).await, "345");
    assert_eq!(names(UserFilter::new().from(at(3)).to(at(6)).language("zh").active(true)).await, "4");
    assert_eq!(names(UserFilter::new().level(UserLevel::Vip)).await, "");
    let filter = UserFilter::new().language("zh").limit(2);
    let (page, trips) = stage.counted(identity.users(&filter)).await;
    let cursor = page.unwrap().next;
    assert_eq!(trips, 1);
    let error = identity.users(&UserFilter::new().language("en").after(cursor)).await.unwrap_err();
    assert!(matches!(error, Error::Cursor(CursorError::AnotherList)));
}
