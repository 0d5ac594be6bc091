//! A service on a database of its own, and answers with their JSON.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use stanchion::App;
use stanchion::config::{Config, Database, DatabaseUrl};
use tempfile::TempDir;
use tower::ServiceExt;

pub(crate) struct Client {
    pub(crate) app: App,
    _folder: TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) json: Value,
}

impl Client {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::sqlite_file(folder.path().join("test.db")).unwrap();
        let config = Config::new(Database::new(url));
        App::migrate(&config).await.unwrap();
        Self { app: App::start(config).await.unwrap(), _folder: folder }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_raw(path, "application/json", body.to_string()).await
    }

    pub(crate) async fn post_raw(&self, path: &str, content_type: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(Method::POST).uri(path).header(header::CONTENT_TYPE, content_type);
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let router = stanchion_api_examples::router(self.app.clone());
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Answer { status: head.status, headers: head.headers, text, json }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Fails unless it is a problem with that status, whose members agree with it.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.json["status"], status);
        for member in ["type", "title", "detail", "instance", "request_id"] {
            assert!(self.json[member].as_str().is_some_and(|text| !text.is_empty()), "{member} in {}", self.text);
        }
        assert_eq!(self.header("x-request-id"), self.json["request_id"]);
    }

    /// Fails unless it is a 400 about that field; gives what it says of it.
    #[track_caller]
    pub(crate) fn assert_invalid(&self, field: &str) -> &str {
        self.assert_problem(400);
        assert_eq!(self.json["errors"][0]["field"], field, "{}", self.text);
        self.json["errors"][0]["detail"].as_str().unwrap()
    }
}

/// A trade as it is sent, the `number`th second after the start of 2024.
pub(crate) fn trade(number: u32) -> Value {
    json!({
        "exchange": if number.is_multiple_of(3) { "okx" } else { "binance" },
        "symbol": if number.is_multiple_of(2) { "ETHUSDT" } else { "BTCUSDT" },
        "exchange_trade_id": number.to_string(),
        "side": if number.is_multiple_of(5) { "sell" } else { "buy" },
        "price": "1850.25",
        "quantity": "0.5",
        "traded_at": format!("2024-01-01T00:{:02}:{:02}Z", number / 60, number % 60),
    })
}
