use futures::future::join_all;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use stanchion::Error;
use stanchion::config::Domain;
use stanchion::domain::identity::{Password, UserChange};
use stanchion::entity::identity::user::{Column, Entity};
use stanchion::types::{Secret, new_id};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};

use super::user;

on_every_backend! {
    who_knows_the_password_is_let_in_and_nobody_else,
    a_password_is_changed_by_who_knows_the_old_one,
    of_two_changes_at_once_one_is_made,
    a_hash_of_less_work_is_made_anew_at_the_next_login,
    a_password_hash_is_shown_nowhere,
}

fn password(text: &str) -> Password {
    text.parse().unwrap()
}

async fn who_knows_the_password_is_let_in_and_nobody_else(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    let right = password("mot de passé 🔑");
    assert_eq!(identity.authenticate("ann", &right).await.unwrap(), None, "she has none yet");
    let (set, trips) = stage.counted(identity.set_password(ann.id, 1, &right)).await;
    assert_eq!((set.is_ok(), trips), (true, 2));
    for login in ["ann", "ann@example.org", "ANN@Example.ORG"] {
        // Also typed on a keyboard that puts é together from two.
        let (found, trips) = stage.counted(identity.authenticate(login, &password("mot de passe\u{301} 🔑"))).await;
        assert_eq!((found.unwrap().map(|user| user.id), trips), (Some(ann.id), 1), "{login}");
    }
    for (login, text) in [
        ("ann", "mot de passe 🔑"),
        ("ann", ""),
        ("Ann", "mot de passé 🔑"),
        ("bob", "mot de passé 🔑"),
        ("", "mot de passé 🔑"),
        ("nul\0", "nul\0"),
    ] {
        let (found, trips) = stage.counted(identity.authenticate(login, &password(text))).await;
        assert_eq!(found.unwrap(), None, "{login} {text}");
        assert!(trips <= 1);
    }
    identity.deactivate(ann.id).await.unwrap();
    assert_eq!(identity.authenticate("ann", &right).await.unwrap(), None);
    identity.activate(ann.id).await.unwrap();
    assert!(identity.authenticate("ann", &right).await.unwrap().is_some());
}

async fn a_password_is_changed_by_who_knows_the_old_one(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    let (old, new) = (password("old password"), password("new password"));
    assert!(matches!(identity.change_password(ann.id, &old, &new).await, Err(Error::Conflict(_))), "there is none");
    assert!(matches!(identity.set_password(ann.id, 1, &password("1234567")).await, Err(Error::Invalid(_))));
    assert!(identity.set_password(ann.id, 2, &old).await.unwrap_err().is_stale());
    identity.set_password(ann.id, 1, &old).await.unwrap();
    assert!(matches!(identity.change_password(ann.id, &new, &new).await, Err(Error::Conflict(_))));
    assert!(matches!(identity.change_password(ann.id, &old, &password("short")).await, Err(Error::Invalid(_))));
    let (changed, trips) = stage.counted(identity.change_password(ann.id, &old, &new)).await;
    assert_eq!((changed.is_ok(), trips), (true, 2));
    assert_eq!(identity.authenticate("ann", &old).await.unwrap(), None);
    assert_eq!(identity.authenticate("ann", &new).await.unwrap().unwrap().version, 3);
    assert!(identity.change_password(new_id(), &old, &new).await.unwrap_err().is_not_found());
    assert!(identity.set_password(new_id(), 1, &new).await.unwrap_err().is_not_found());
    assert!("x".repeat(129).parse::<Password>().is_err());
}

async fn of_two_changes_at_once_one_is_made(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let ann = user(&stage.app, "ann").await;
    stage.app.identity().set_password(ann.id, 1, &password("old password")).await.unwrap();
    let calls = (0..3).map(|number| {
        let app = stage.app.clone();
        let new = password(&format!("password {number}"));
        tokio::spawn(async move { app.identity().change_password(ann.id, &password("old password"), &new).await })
    });
    let results: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    for (number, result) in results.iter().enumerate() {
        let found = stage.app.identity().authenticate("ann", &password(&format!("password {number}"))).await.unwrap();
        assert_eq!(found.is_some(), result.is_ok());
    }
}

async fn a_hash_of_less_work_is_made_anew_at_the_next_login(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    // Of "password": 256 KiB and two passes, as the reference implementation tests itself.
    let weak = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    let stored = Entity::update_many()
        .col_expr(Column::PasswordHash, Expr::val(Secret::<255>::try_from(weak.to_owned()).unwrap()))
        .filter(Column::Id.eq(ann.id))
        .exec(stage.app.db(Domain::Identity).writer())
        .await
        .unwrap();
    assert_eq!(stored.rows_affected, 1);
    let hash = async || identity.user(ann.id).await.unwrap().password_hash.unwrap().expose().to_owned();
    assert_eq!(identity.authenticate("ann", &password("another one")).await.unwrap(), None);
    assert_eq!(hash().await, weak);
    let (found, trips) = stage.counted(identity.authenticate("ann", &password("password"))).await;
    let found = found.unwrap().unwrap();
    assert_eq!((found.version, trips), (2, 2));
    assert_eq!(found, identity.user(ann.id).await.unwrap());
    assert!(hash().await.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash().await);
    let (found, trips) = stage.counted(identity.authenticate("ann", &password("password"))).await;
    assert_eq!((found.unwrap().unwrap().version, trips), (2, 1));
}

async fn a_password_hash_is_shown_nowhere(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    identity.set_password(ann.id, 1, &password("hunter2hunter2")).await.unwrap();
    let ann = identity.authenticate("ann", &password("hunter2hunter2")).await.unwrap().unwrap();
    let hash = ann.password_hash.as_ref().unwrap().expose().to_owned();
    assert!(hash.starts_with("$argon2id$"));
    let taken = user(&stage.app, "bob").await;
    let change = UserChange { username: Some("ann".parse().unwrap()), ..UserChange::default() };
    let error = identity.update_user(taken.id, 1, change).await.unwrap_err();
    for shown in [
        serde_json::to_string(&ann).unwrap(),
        format!("{ann:?} {ann:#?}"),
        format!("{:?}", ann.clone().into_active_model()),
        format!("{:?}", password("hunter2hunter2")),
        format!("{error} {error:?}"),
        format!("{:?}", stage.app),
    ] {
        assert!(!shown.contains("argon2") && !shown.contains("hunter2") && !shown.contains(&hash), "{shown}");
    }
}
