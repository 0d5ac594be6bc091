use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use stanchion::App;
use stanchion::config::{Config, Domain, EncryptionKey};
use stanchion::domain::identity::{IdCard, KeyringError, ProfileChange};
use stanchion::entity::identity::user_profile::{Column, Entity};
use stanchion::types::{Secret, new_id};
use stanchion_tests::testbed::TestDatabase;
use stanchion_tests::{Stage, on_every_backend};
use uuid::Uuid;

use super::user;

on_every_backend! {
    an_id_card_is_stored_encrypted_and_shown_nowhere,
    without_a_key_everything_else_works,
    a_number_that_was_copied_or_damaged_is_refused,
    keys_are_rotated_in_steps,
    a_profile_and_an_id_card_leave_each_other_alone,
}

const NUMBER: &str = "31010119900101123X";

fn card(number: &str) -> IdCard {
    IdCard::try_from(number.to_owned()).unwrap()
}

/// These keys, the last of which encrypts.
fn keys(config: &mut Config, ids: &[&str]) {
    for id in ids {
        let byte = id.bytes().fold(0_u8, u8::wrapping_add);
        config.encryption.keys.insert((*id).to_owned(), EncryptionKey::from([byte; 32]));
        config.encryption.active = Some((*id).to_owned());
    }
}

async fn with_keys(database: TestDatabase, ids: &[&str]) -> Stage {
    Stage::with(database, |config| keys(config, ids)).await.unwrap()
}

/// The same service, started again with other keys.
async fn restarted(stage: &Stage, ids: &[&str]) -> App {
    let mut config = stage.app.config().clone();
    config.encryption = stanchion::config::Encryption::default();
    keys(&mut config, ids);
    App::start(config).await.unwrap()
}

async fn stored(stage: &Stage, user_id: Uuid) -> String {
    let profile = stage.app.identity().profile(user_id).await.unwrap().unwrap();
    profile.id_card.unwrap().expose().to_owned()
}

async fn overwrite(stage: &Stage, user_id: Uuid, text: &str) {
    let update = Entity::update_many()
        .col_expr(Column::IdCard, Expr::val(Secret::<512>::try_from(text.to_owned()).unwrap()))
        .filter(Column::UserId.eq(user_id));
    assert_eq!(update.exec(stage.app.db(Domain::Identity).writer()).await.unwrap().rows_affected, 1);
}

fn why(error: &stanchion::Error) -> KeyringError {
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("3101") && !shown.contains("v1."), "{shown}");
    error.downcast_ref::<KeyringError>().unwrap().clone()
}

async fn an_id_card_is_stored_encrypted_and_shown_nowhere(database: TestDatabase) {
    let stage = with_keys(database, &["2026"]).await;
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    assert_eq!(identity.id_card(ann.id).await.unwrap(), None);
    let (set, trips) = stage.counted(identity.set_id_card(ann.id, Some(&card(NUMBER)))).await;
    assert_eq!((set.is_ok(), trips), (true, 1));
    let (read, trips) = stage.counted(identity.id_card(ann.id)).await;
    assert_eq!((read.unwrap().unwrap().expose(), trips), (NUMBER, 1));
    let text = stored(&stage, ann.id).await;
    assert!(text.starts_with("v1.2026.") && !text.contains(NUMBER), "{text}");
    let profile = identity.profile(ann.id).await.unwrap().unwrap();
    for shown in [
        serde_json::to_string(&profile).unwrap(),
        format!("{profile:?} {profile:#?}"),
        format!("{:?}", profile.clone().into_active_model()),
        format!("{:?} {:?}", card(NUMBER), identity.id_card(ann.id).await.unwrap()),
        format!("{:?} {:?}", stage.app, stage.app.config()),
        serde_json::to_string(stage.app.config()).unwrap(),
    ] {
        assert!(!shown.contains(NUMBER) && !shown.contains("v1.2026"), "{shown}");
    }
    assert!(serde_json::to_string(stage.app.config()).unwrap().contains(r#""keys":{"2026":"***"}"#));
    identity.set_id_card(ann.id, Some(&card(&"🪪".repeat(64)))).await.unwrap();
    assert_eq!(identity.id_card(ann.id).await.unwrap().unwrap().expose(), "🪪".repeat(64));
    identity.set_id_card(ann.id, None).await.unwrap();
    assert_eq!(identity.id_card(ann.id).await.unwrap(), None);
    assert!(identity.set_id_card(ann.id, Some(&card(" "))).await.unwrap_err().is_invalid());
    assert!(identity.set_id_card(new_id(), Some(&card(NUMBER))).await.unwrap_err().is_not_found());
    assert!(IdCard::try_from("x".repeat(65)).is_err());
}

async fn without_a_key_everything_else_works(database: TestDatabase) {
    let stage = Stage::on(database).await.unwrap();
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    let error = identity.set_id_card(ann.id, Some(&card(NUMBER))).await.unwrap_err();
    assert_eq!(why(&error), KeyringError::NoKey);
    assert!(error.to_string().contains("encryption.active"), "{error}");
    assert_eq!(why(&identity.reencrypt_id_cards(None, 10).await.unwrap_err()), KeyringError::NoKey);
    identity.save_profile(ann.id, ProfileChange::default()).await.unwrap();
    assert_eq!(identity.id_card(ann.id).await.unwrap(), None);
    identity.set_id_card(ann.id, None).await.unwrap();
}

async fn a_number_that_was_copied_or_damaged_is_refused(database: TestDatabase) {
    let stage = with_keys(database, &["2026"]).await;
    let identity = stage.app.identity();
    let (ann, bob) = (user(&stage.app, "ann").await, user(&stage.app, "bob").await);
    for id in [ann.id, bob.id] {
        identity.set_id_card(id, Some(&card(NUMBER))).await.unwrap();
    }
    let text = stored(&stage, ann.id).await;
    overwrite(&stage, bob.id, &text).await;
    assert_eq!(why(&identity.id_card(bob.id).await.unwrap_err()), KeyringError::Damaged);
    let other_key = text.replacen("2026", "2027", 1);
    for damaged in [&text[..text.len() - 4], "", NUMBER, "v1.2026..", &text.replacen("v1", "v2", 1)] {
        overwrite(&stage, ann.id, damaged).await;
        assert_eq!(why(&identity.id_card(ann.id).await.unwrap_err()), KeyringError::Damaged, "{damaged}");
    }
    overwrite(&stage, ann.id, &other_key).await;
    let unknown = KeyringError::UnknownKey { id: "2027".to_owned() };
    assert_eq!(why(&identity.id_card(ann.id).await.unwrap_err()), unknown);
    overwrite(&stage, ann.id, &text).await;
    assert_eq!(identity.id_card(ann.id).await.unwrap().unwrap().expose(), NUMBER);
}

async fn keys_are_rotated_in_steps(database: TestDatabase) {
    let stage = with_keys(database, &["2025"]).await;
    let mut users = Vec::new();
    for number in 0..7 {
        let id = user(&stage.app, &format!("user-{number}")).await.id;
        stage.app.identity().set_id_card(id, Some(&card(&format!("card-{number}")))).await.unwrap();
        users.push(id);
    }
    // One without a number, and one that cannot be read any more.
    let bare = user(&stage.app, "bare").await.id;
    stage.app.identity().save_profile(bare, ProfileChange::default()).await.unwrap();
    overwrite(&stage, users[6], "v1.2025.damaged").await;

    let app = restarted(&stage, &["2025", "2026"]).await;
    let before = app.databases()[0].round_trips();
    let first = app.identity().reencrypt_id_cards(None, 3).await.unwrap();
    let trips = app.databases()[0].round_trips() - before;
    assert_eq!((first.seen, trips as usize), (3, 3 + first.renewed));
    // Both keys are there, whatever was done so far.
    for (number, id) in users[..6].iter().enumerate() {
        let read = app.identity().id_card(*id).await.unwrap().unwrap();
        assert_eq!(read.expose(), format!("card-{number}"));
    }
    let (mut renewed, mut failed, mut next) = (first.renewed, first.failed, first.next);
    while let Some(after) = next {
        let step = app.identity().reencrypt_id_cards(Some(after), 3).await.unwrap();
        renewed += step.renewed;
        failed.extend(step.failed);
        next = step.next;
    }
    assert_eq!((renewed, failed), (6, vec![users[6]]));
    let again = app.identity().reencrypt_id_cards(None, 100).await.unwrap();
    assert_eq!((again.seen, again.renewed, again.next), (7, 0, None));

    let app = restarted(&stage, &["2026"]).await;
    for (number, id) in users[..6].iter().enumerate() {
        assert!(stored(&stage, *id).await.starts_with("v1.2026."));
        assert_eq!(app.identity().id_card(*id).await.unwrap().unwrap().expose(), format!("card-{number}"));
    }
    // The old key is all that the first service has.
    let error = stage.app.identity().id_card(users[0]).await.unwrap_err();
    assert_eq!(why(&error), KeyringError::UnknownKey { id: "2026".to_owned() });
    let mut config = stage.app.config().clone();
    config.encryption.active = Some("2030".to_owned());
    assert!(App::start(config).await.is_err());
}

async fn a_profile_and_an_id_card_leave_each_other_alone(database: TestDatabase) {
    let stage = with_keys(database, &["2026"]).await;
    let identity = stage.app.identity();
    let ann = user(&stage.app, "ann").await;
    let told = ProfileChange { real_name: "安妮".parse().unwrap(), ..ProfileChange::default() };
    identity.save_profile(ann.id, told.clone()).await.unwrap();
    identity.set_id_card(ann.id, Some(&card(NUMBER))).await.unwrap();
    assert_eq!(identity.profile(ann.id).await.unwrap().unwrap().real_name, told.real_name);
    identity.save_profile(ann.id, ProfileChange::default()).await.unwrap();
    assert_eq!(identity.id_card(ann.id).await.unwrap().unwrap().expose(), NUMBER);
}
