//! What goes wrong has the same kind and names the same constraint everywhere.

use sea_orm::ConnectionTrait;
use stanchion::App;
use stanchion::config::Config;
use stanchion::db::Kind;
use stanchion::domain::identity::NewUser;
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::{Backend, TestDatabase};

use super::settings;

on_every_backend! {
    a_key_that_is_taken_is_a_conflict_that_names_it,
    an_unknown_id_is_not_found,
    a_reference_that_does_not_hold_is_a_conflict,
    a_rule_of_the_table_is_a_conflict_that_names_it,
    a_user_nobody_could_find_is_refused,
}

async fn start(database: &TestDatabase) -> App {
    App::start(Config::new(settings(database))).await.unwrap()
}

fn user(email: &str) -> NewUser {
    NewUser { email: Some(email.parse().unwrap()), ..NewUser::default() }
}

async fn a_key_that_is_taken_is_a_conflict_that_names_it(database: TestDatabase) {
    let app = start(&database).await;
    app.identity().register(user("ann@example.org")).await.unwrap();
    let error = app.identity().register(user("ANN@example.org")).await.unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(error.database_kind(), Some(Kind::UniqueViolation));
    assert!(error.to_string().contains("uq_users_email"), "{error}");
    assert!(!error.to_string().contains("ann@"), "{error}");
}

async fn an_unknown_id_is_not_found(database: TestDatabase) {
    let app = start(&database).await;
    let id = stanchion::types::new_id();
    let error = app.identity().user(id).await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.to_string(), format!("there is no user {id}"));
    assert!(app.trading().trade(id).await.unwrap_err().is_not_found());
}

async fn a_reference_that_does_not_hold_is_a_conflict(database: TestDatabase) {
    let app = start(&database).await;
    let uuid = |hex: &str| match database.backend() {
        Backend::Postgres => format!("'{hex}'"),
        _ => format!("x'{}'", hex.replace('-', "")),
    };
    let sql = format!(
        "INSERT INTO user_addresses (id, user_id, receiver_name, phone, province, city, district, detail_address, \
         is_default, created_at, updated_at) VALUES ({}, {}, '', '', '', '', '', '', false, '2026-01-01', '2026-01-01')",
        uuid("00000000-0000-7000-8000-000000000001"),
        uuid("00000000-0000-7000-8000-000000000002"),
    );
    let db = app.db(stanchion::config::Domain::Identity).writer();
    let error = stanchion::Error::from(db.execute_unprepared(&sql).await.unwrap_err());
    assert_eq!(error.database_kind(), Some(Kind::ForeignKeyViolation), "{error:?}");
    assert!(error.is_conflict());
}

async fn a_rule_of_the_table_is_a_conflict_that_names_it(database: TestDatabase) {
    let app = start(&database).await;
    app.identity().register(user("ann@example.org")).await.unwrap();
    let db = app.db(stanchion::config::Domain::Identity).writer();
    let error = db.execute_unprepared("UPDATE users SET level = 'emperor'").await.unwrap_err();
    let error = stanchion::Error::from(error);
    assert_eq!(error.database_kind(), Some(Kind::CheckViolation), "{error:?}");
    assert!(error.to_string().contains("ck_users_level"), "{error}");
}

async fn a_user_nobody_could_find_is_refused(database: TestDatabase) {
    let app = start(&database).await;
    let error = app.identity().register(NewUser::default()).await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
}
