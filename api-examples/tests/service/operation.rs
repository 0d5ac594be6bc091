use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use stanchion::config::Domain;
use stanchion::sea_orm::TransactionTrait;

use crate::client::Client;

#[tokio::test]
async fn health_says_how_each_database_is() {
    let health = Client::new().await.get("/health").await;
    assert_eq!((health.status.as_u16(), &health.json["status"]), (200, &json!("up")));
    let database = &health.json["databases"][0];
    assert_eq!((&database["name"], &database["engine"]), (&json!("default"), &json!("sqlite")));
    for handle in ["writer", "reader"] {
        assert_eq!(database[handle]["status"], "up");
        assert!(database[handle]["latency_ms"].as_f64().unwrap() >= 0.0);
    }
}

#[tokio::test]
async fn metrics_count_the_connections_of_every_pool() {
    let client = Client::new().await;
    let tx = client.app.db(Domain::Trading).writer().begin().await.unwrap();
    let metrics = client.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").starts_with("text/plain; version=0.0.4"));
    let version = env!("CARGO_PKG_VERSION");
    for line in [
        "stanchion_up 1\n",
        &format!("stanchion_build_info{{version=\"{version}\"}} 1\n"),
        "# TYPE db_client_connection_count gauge\n",
        "db_client_connection_count{database=\"default\",handle=\"writer\",state=\"used\"} 1\n",
        "db_client_connection_count{database=\"default\",handle=\"writer\",state=\"idle\"} 0\n",
        "db_client_connection_count{database=\"default\",handle=\"reader\",state=\"used\"} 0\n",
    ] {
        assert!(metrics.text.contains(line), "{line} is not in {}", metrics.text);
    }
    drop(tx);
}

#[tokio::test]
async fn every_path_that_is_described_is_there() {
    let client = Client::new().await;
    let description = client.get("/openapi.json").await;
    assert_eq!(description.status, 200);
    assert!(description.json["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = description.json["paths"].as_object().unwrap();
    let described: Vec<&str> = paths.keys().map(String::as_str).collect();
    let routes =
        ["/api/v1/trades", "/api/v1/trades/{id}", "/api/v1/users", "/api/v1/users/{id}", "/health", "/metrics"];
    assert_eq!(described, routes);
    for path in described {
        let answer = client.get(&path.replace("{id}", "0192d3c0-0000-7000-8000-000000000000")).await;
        assert!(answer.status == 200 || answer.json["detail"].as_str().unwrap().starts_with("there is no "), "{path}");
    }
    let schemas = &description.json["components"]["schemas"];
    assert_eq!(schemas["Trade"]["properties"]["price"]["type"], "string");
    assert_eq!(schemas["TradeToSave"]["additionalProperties"], false);
    assert!(schemas["Problem"]["properties"]["errors"].is_object(), "{schemas}");
    let limit = &paths["/api/v1/trades"]["get"]["parameters"];
    assert!(limit.as_array().unwrap().iter().any(|parameter| parameter["name"] == "cursor"), "{limit}");
}

#[tokio::test]
async fn the_console_runs_its_own_script_and_loads_nothing_else() {
    let client = Client::new().await;
    let page = client.get("/").await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(page.text.contains(&format!("<script nonce=\"{nonce}\">")));
    assert_eq!(page.text.matches("<script").count(), 1);
    for outside in ["http://", "https://", "innerHTML", "style=\"", " onclick="] {
        assert!(!page.text.contains(outside), "{outside}");
    }
    assert_ne!(client.get("/").await.header("content-security-policy"), policy, "a nonce is used once");
}

#[tokio::test]
async fn a_request_keeps_its_id_or_gets_one() {
    let client = Client::new().await;
    let request = |id: &str| Request::get("/nonsense").header("x-request-id", id).body(Body::empty()).unwrap();
    assert_eq!(client.send(request("call-7")).await.header("x-request-id"), "call-7");
    let answer = client.send(request("<script>")).await;
    assert_eq!(answer.header("x-request-id").len(), 36);
    answer.assert_problem(404);
}
