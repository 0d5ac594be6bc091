use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::client::{Client, trade};

async fn with_trades(count: u32) -> Client {
    let client = Client::new().await;
    let saved = client.post("/api/v1/trades", (0..count).map(trade).collect()).await;
    assert_eq!((saved.status, &saved.json["inserted"]), (StatusCode::OK, &json!(count)), "{}", saved.text);
    client
}

/// The exchange's ids of the trades on all pages of a query.
async fn walk(client: &Client, query: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = client.get(&format!("/api/v1/trades?{query}{cursor}")).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let items = page.json["items"].as_array().unwrap();
        ids.extend(items.iter().map(|item| item["exchange_trade_id"].as_str().unwrap().parse::<u32>().unwrap()));
        match &page.json["next"] {
            Value::String(next) => cursor = format!("&cursor={next}"),
            next => {
                assert!(next.is_null());
                return ids;
            }
        }
    }
}

#[tokio::test]
async fn what_is_posted_comes_back_exactly() {
    let client = Client::new().await;
    let mut body = trade(7);
    body["price"] = json!("0.00141342");
    body["quantity"] = json!("23");
    body["pnl"] = json!("-1.5");
    body["traded_at"] = json!("2019-10-11T02:00:11.62+02:00");
    let saved = client.post("/api/v1/trades", body).await;
    assert_eq!(saved.status, 200, "{}", saved.text);
    assert_eq!((&saved.json["inserted"], &saved.json["duplicates"]), (&json!(1), &json!(0)));

    let found = client.get(&format!("/api/v1/trades/{}", saved.json["ids"][0].as_str().unwrap())).await;
    assert_eq!(found.status, 200);
    assert_eq!(found.json["id"], saved.json["ids"][0]);
    assert_eq!(found.json["price"], "0.001413420000");
    assert_eq!(found.json["quote_quantity"], "0.0325086600000000");
    assert_eq!(found.json["pnl"], "-1.500000000000");
    assert_eq!(found.json["traded_at"], "2019-10-11T00:00:11.620000Z");
    assert_eq!(found.header("cache-control"), "no-store");
    assert_eq!(found.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn the_same_trade_again_is_a_duplicate() {
    let client = with_trades(3).await;
    let again = client.post("/api/v1/trades", json!([trade(1), trade(3), trade(3), trade(2)])).await;
    assert_eq!((&again.json["inserted"], &again.json["duplicates"]), (&json!(1), &json!(3)));
    let ids = again.json["ids"].as_array().unwrap();
    assert_eq!((ids.len(), &ids[1]), (4, &ids[2]));
    let nothing = client.post("/api/v1/trades", json!([])).await;
    assert_eq!((nothing.status.as_u16(), &nothing.json["ids"]), (200, &json!([])));
}

#[tokio::test]
async fn pages_walk_every_row_once_in_either_order() {
    let client = with_trades(53).await;
    let ascending: Vec<u32> = (0..53).collect();
    let descending: Vec<u32> = ascending.iter().rev().copied().collect();
    for limit in [1, 10, 53, 54, 1000] {
        assert_eq!(walk(&client, &format!("limit={limit}&order=asc")).await, ascending);
        assert_eq!(walk(&client, &format!("limit={limit}")).await, descending);
    }
}

#[tokio::test]
async fn filters_narrow_down_and_combine() {
    let client = with_trades(60).await;
    let matching = |rule: fn(u32) -> bool| (0..60).filter(|number| rule(*number)).collect::<Vec<_>>();
    for (query, rule) in [
        ("symbol=ETHUSDT", (|n| n % 2 == 0) as fn(u32) -> bool),
        ("exchange=okx", |n| n % 3 == 0),
        ("side=sell", |n| n % 5 == 0),
        ("exchange=okx&symbol=BTCUSDT&side=sell", |n| n % 3 == 0 && n % 2 == 1 && n % 5 == 0),
        ("from=2024-01-01T00:00:10Z&to=2024-01-01T00:00:20Z", |n| (10..20).contains(&n)),
        ("from=2024-01-01T01:00:10%2B01:00", |n| n >= 10),
        ("symbol=ethusdt", |_| false),
        ("symbol=%27%20OR%201=1", |_| false),
        ("order_id=0192d3c0-0000-7000-8000-000000000000", |_| false),
        ("from=1000-01-01T00:00:00Z&to=9999-12-31T23:59:59Z", |_| true),
    ] {
        assert_eq!(walk(&client, &format!("{query}&order=asc&limit=7")).await, matching(rule), "{query}");
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_only() {
    let client = with_trades(10).await;
    let page = client.get("/api/v1/trades?symbol=ETHUSDT&limit=2").await;
    let cursor = page.json["next"].as_str().unwrap();
    let same = client.get(&format!("/api/v1/trades?symbol=ETHUSDT&limit=3&cursor={cursor}")).await;
    assert_eq!(same.status, 200, "a page may be of another size: {}", same.text);
    for other in ["symbol=BTCUSDT", "symbol=ETHUSDT&order=asc", "limit=2"] {
        let detail = client.get(&format!("/api/v1/trades?{other}&cursor={cursor}")).await;
        assert!(detail.assert_invalid("cursor").contains("another list"));
    }
    client.get(&format!("/api/v1/users?cursor={cursor}")).await.assert_invalid("cursor");
    for forged in ["", "x", "AAAA", "%00", "../../etc/passwd", &format!("{cursor}A"), &cursor[1..]] {
        let answer = client.get(&format!("/api/v1/trades?symbol=ETHUSDT&cursor={forged}")).await;
        assert!(answer.assert_invalid("cursor").contains("begin again"), "{forged}");
    }
}

#[tokio::test]
async fn a_trade_that_is_not_there_is_a_404_and_what_is_no_id_a_400() {
    let client = Client::new().await;
    client.get("/api/v1/trades/0192d3c0-0000-7000-8000-000000000000").await.assert_problem(404);
    for id in ["1", "nonsense", "%00", "%ff", "0192d3c0"] {
        client.get(&format!("/api/v1/trades/{id}")).await.assert_invalid("id");
    }
}
