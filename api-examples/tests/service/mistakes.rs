use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::client::{Client, trade};

const TRADES: &str = "/api/v1/trades";

#[tokio::test]
async fn a_parameter_that_cannot_be_meant_is_named() {
    let client = Client::new().await;
    for (query, field) in [
        ("nonsense=1", "nonsense"),
        ("Symbol=ETHUSDT", "Symbol"),
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=1001", "limit"),
        ("limit=999999999", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("order=up", "order"),
        ("side=BUY", "side"),
        ("order_id=7", "order_id"),
        ("symbol=a%00b", "symbol"),
        ("from=yesterday", "from"),
        ("from=2024-01-01", "from"),
        ("to=0999-12-31T23:59:59Z", "to"),
        ("to=%2B10000-01-01T00:00:00Z", "to"),
    ] {
        client.get(&format!("{TRADES}?{query}")).await.assert_invalid(field);
    }
    let long = "A".repeat(33);
    let answer = client.get(&format!("{TRADES}?symbol={long}")).await;
    assert!(answer.assert_invalid("symbol").contains("too long"), "{}", answer.text);
    for (query, field) in [("active=yes", "active"), ("level=king", "level"), ("limit=0", "limit"), ("x", "x")] {
        client.get(&format!("/api/v1/users?{query}")).await.assert_invalid(field);
    }
}

#[tokio::test]
async fn a_field_that_cannot_be_stored_is_named_and_nothing_is_saved() {
    let client = Client::new().await;
    for (field, value) in [
        ("price", json!("-1")),
        ("price", json!("0")),
        ("price", json!("1".repeat(40))),
        ("price", json!("0.0000000000001")),
        ("price", json!("1e400")),
        ("price", json!("NaN")),
        ("price", json!("")),
        ("price", json!(1850.25)),
        ("price", json!(1)),
        ("price", json!(null)),
        ("quantity", json!("-0.5")),
        ("quote_quantity", json!("1".repeat(13))),
        ("symbol", json!("a\u{0}b")),
        ("symbol", json!("A".repeat(33))),
        ("symbol", json!("  ")),
        ("exchange", json!("")),
        ("exchange_trade_id", json!(["1"])),
        ("exchange_trade_id", json!("")),
        ("side", json!("hold")),
        ("order_id", json!("7")),
        ("is_maker", json!("yes")),
        ("fee_asset", json!("A".repeat(17))),
        ("traded_at", json!("1969-12-31T23:59:59Z")),
        ("traded_at", json!("9998-01-01T00:00:00Z")),
        ("traded_at", json!("+10000-01-01T00:00:00Z")),
        ("traded_at", json!("0999-01-01T00:00:00Z")),
        ("traded_at", json!(1_704_067_200)),
        ("nonsense", json!(1)),
    ] {
        let mut bad = trade(1);
        bad[field] = value.clone();
        client.post(TRADES, bad.clone()).await.assert_invalid(field);
        let answer = client.post(TRADES, json!([trade(2), bad])).await;
        answer.assert_invalid(&format!("[1].{field}"));
    }
    assert_eq!(client.get(TRADES).await.json["items"], json!([]));
}

#[tokio::test]
async fn a_field_that_is_missing_is_named() {
    let client = Client::new().await;
    for field in ["exchange", "symbol", "exchange_trade_id", "side", "price", "quantity", "traded_at"] {
        let mut bad = trade(1);
        bad.as_object_mut().unwrap().remove(field);
        client.post(TRADES, bad.clone()).await.assert_invalid(field);
        client.post(TRADES, json!([bad])).await.assert_invalid(&format!("[0].{field}"));
    }
}

#[tokio::test]
async fn a_product_that_cannot_be_exact_is_refused_by_the_column() {
    let client = Client::new().await;
    let mut bad = trade(1);
    bad["price"] = json!("1234567.123456789012");
    bad["quantity"] = json!("0.123456789012");
    client.post(TRADES, bad).await.assert_invalid("quote_quantity");
}

#[tokio::test]
async fn a_body_that_is_no_json_is_a_400() {
    let client = Client::new().await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let twice = r#"{"username": "a", "username": "b"}"#;
    for body in ["", "{", "[{]", "nonsense", "{} {}", "\u{feff}{}", "null", "7", "\"x\"", &deep, twice] {
        client.post_raw(TRADES, "application/json", body.to_owned()).await.assert_problem(400);
        client.post_raw("/api/v1/users", "application/json", body.to_owned()).await.assert_problem(400);
    }
    client.post_raw("/api/v1/users", "application/json", twice).await.assert_invalid("username");
    client.post_raw(TRADES, "application/json", vec![0xff, 0xfe]).await.assert_problem(400);
}

#[tokio::test]
async fn a_body_of_another_type_is_a_415() {
    let client = Client::new().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "", "json", "application/jsonx"] {
        client.post_raw(TRADES, content_type, trade(1).to_string()).await.assert_problem(415);
    }
    let bare = Request::post(TRADES).body(Body::from(trade(1).to_string())).unwrap();
    client.send(bare).await.assert_problem(415);
    let with_charset = client.post_raw(TRADES, "Application/JSON; charset=utf-8", trade(1).to_string()).await;
    assert_eq!(with_charset.status, 200, "{}", with_charset.text);
}

#[tokio::test]
async fn a_huge_body_is_a_413() {
    let client = Client::new().await;
    let huge: Value = json!([{"exchange": "x".repeat(3 * 1024 * 1024)}]);
    client.post(TRADES, huge.clone()).await.assert_problem(413);
    // Without a length, in pieces: it is counted as it comes.
    let pieces = huge.to_string().into_bytes().chunks(64 * 1024).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let stream = futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    client.post_raw(TRADES, "application/json", Body::from_stream(stream)).await.assert_problem(413);
}

#[tokio::test]
async fn an_address_that_does_not_exist_is_a_404_and_a_wrong_method_a_405() {
    let client = Client::new().await;
    for path in ["/nonsense", "/api/v1", "/api/v1/trades/", "/api/v2/trades", "/api/v1/trades/1/2"] {
        let answer = client.get(path).await;
        answer.assert_problem(404);
        assert_eq!(answer.json["instance"], path);
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v1/trades", "GET,HEAD,POST"),
        (Method::PUT, "/api/v1/users/1", "GET,HEAD"),
        (Method::POST, "/health", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let answer = client.send(request).await;
        answer.assert_problem(405);
        assert_eq!(answer.header("allow"), allowed, "{path}");
    }
}

#[tokio::test]
async fn a_database_that_is_gone_is_a_503_to_be_tried_again() {
    let client = Client::new().await;
    client.app.close().await;
    for answer in [
        client.get(TRADES).await,
        client.get("/api/v1/users").await,
        client.post(TRADES, trade(1)).await,
        client.post("/api/v1/users", json!({"username": "ann"})).await,
    ] {
        answer.assert_problem(503);
        assert_eq!(answer.header("retry-after"), "1");
        assert!(!answer.text.contains("pool"), "{}", answer.text);
    }
    let health = client.get("/health").await;
    assert_eq!((health.status.as_u16(), &health.json["status"]), (503, &json!("down")));
    assert_eq!(health.json["databases"][0]["writer"]["status"], "down");
    assert_eq!(health.header("content-type"), "application/json");
}
