use serde_json::{Value, json};

use crate::client::Client;

#[tokio::test]
async fn a_user_is_registered_and_found() {
    let client = Client::new().await;
    let body = json!({"username": "ann", "email": "Ann@Example.org", "first_name": "Ann", "telegram_id": 4503599627370496_i64});
    let created = client.post("/api/v1/users", body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(created.json["email"], "ann@example.org");
    assert!(created.json.get("password_hash").is_none());
    let found = client.get(created.header("location")).await;
    assert_eq!((found.status.as_u16(), &found.json), (200, &created.json));
    client.get("/api/v1/users/0192d3c0-0000-7000-8000-000000000000").await.assert_problem(404);
}

#[tokio::test]
async fn a_name_that_is_taken_is_a_conflict_that_names_the_key() {
    let client = Client::new().await;
    let ann = json!({"username": "ann", "email": "ann@example.org", "telegram_id": 7});
    assert_eq!(client.post("/api/v1/users", ann.clone()).await.status, 201);
    client.post("/api/v1/users", ann).await.assert_problem(409);
    for (key, value, constraint) in [
        ("username", json!("ann"), "uq_users_username"),
        ("email", json!("ANN@example.org"), "uq_users_email"),
        ("telegram_id", json!(7), "uq_users_telegram_id"),
    ] {
        let taken = client.post("/api/v1/users", json!({key: value})).await;
        taken.assert_problem(409);
        assert_eq!(taken.json["constraint"], constraint);
        assert!(!taken.text.contains("example.org"), "{}", taken.text);
    }
    assert_eq!(client.get("/api/v1/users").await.json["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn pages_and_filters_walk_every_user_once() {
    let client = Client::new().await;
    for number in 0..12 {
        let created = client.post("/api/v1/users", json!({"username": format!("user-{number}")})).await;
        assert_eq!(created.status, 201);
    }
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/api/v1/users?active=true&level=normal&order=asc&limit=5{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        names.extend(page.json["items"].as_array().unwrap().iter().map(|user| user["username"].clone()));
        let Value::String(next) = &page.json["next"] else { break };
        cursor = format!("&cursor={next}");
    }
    names.sort_by_key(ToString::to_string);
    names.dedup();
    assert_eq!(names.len(), 12);
    for none in ["active=false", "level=vip"] {
        assert_eq!(client.get(&format!("/api/v1/users?{none}")).await.json["items"], json!([]));
    }
}

#[tokio::test]
async fn a_user_without_a_name_of_any_kind_is_refused() {
    let client = Client::new().await;
    let nobody = client.post("/api/v1/users", json!({"first_name": "Ann"})).await;
    nobody.assert_invalid("username, email or telegram_id");
    client.post("/api/v1/users", json!({"username": "  "})).await.assert_invalid("username");
    client.post("/api/v1/users", json!({"email": "ann"})).await.assert_invalid("email");
    client.post("/api/v1/users", json!({"username": "a".repeat(51)})).await.assert_invalid("username");
    client.post("/api/v1/users", json!({"username": "ann", "level": "director"})).await.assert_invalid("level");
    client.post("/api/v1/users", json!([{"username": "ann"}])).await.assert_problem(400);
}
