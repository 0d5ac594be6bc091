//! The HTTP service on every back end, as a client sees it: a real server, real requests, the same answers.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use stanchion::App;
use stanchion::config::{Config, Database};
use stanchion_tests::on_every_backend;
use stanchion_tests::testbed::{Backend, Proxy, TestDatabase, eventually};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

on_every_backend! {
    trades_are_saved_once_and_paged_through_exactly,
    users_are_registered_once,
    mistakes_are_answered_alike,
    a_lost_database_is_a_503,
}

/// A service at a port of its own.
struct Service {
    url: String,
    http: Client,
    app: App,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    _database: TestDatabase,
}

impl Service {
    async fn start(database: TestDatabase) -> Self {
        let url = database.url().to_owned();
        Self::start_at(&url, database).await
    }

    async fn start_at(database_url: &str, database: TestDatabase) -> Self {
        let mut config = Config::new(Database::new(database_url.parse().unwrap()));
        config.database.max_open_conns = 8;
        let app = App::start(config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let served = stanchion_api_examples::serve(app.clone(), listener, async {
            let _ = stopped.await;
        });
        // Nothing here is encrypted, and yet the client asks for a provider; another test may have named it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A proxy of the machine has no part in this.
        let http = Client::builder().no_proxy().build().unwrap();
        Self { url, http, app, stop, server: tokio::spawn(served), _database: database }
    }

    async fn get(&self, path: &str) -> (StatusCode, Value) {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let answer = self.http.post(format!("{}{path}", self.url)).json(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// Ends it, as the command does.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.server.await.unwrap().unwrap();
    }
}

/// The `number`th of a list of trades over two months, several of them in the same millisecond.
fn trade(number: u32) -> Value {
    json!({
        "exchange": "binance",
        "symbol": if number.is_multiple_of(2) { "ETHUSDT" } else { "BTCUSDT" },
        "exchange_trade_id": number.to_string(),
        "side": if number.is_multiple_of(3) { "sell" } else { "buy" },
        "price": format!("{}.00141342", 1_000 + number),
        "quantity": "23",
        "traded_at": format!("2024-0{}-01T00:00:{:02}.123456Z", 1 + number % 2, number / 4),
    })
}

async fn trades_are_saved_once_and_paged_through_exactly(database: TestDatabase) {
    let service = Service::start(database).await;
    let all: Value = (0..100).map(trade).collect();
    let (status, saved) = service.post("/api/v1/trades", &all).await;
    assert_eq!((status, &saved["inserted"], &saved["duplicates"]), (StatusCode::OK, &json!(100), &json!(0)), "{saved}");
    let (_, again) = service.post("/api/v1/trades", &all).await;
    assert_eq!((&again["inserted"], &again["duplicates"]), (&json!(0), &json!(100)));
    assert_eq!(again["ids"], saved["ids"]);

    let (status, one) = service.get(&format!("/api/v1/trades/{}", saved["ids"][42].as_str().unwrap())).await;
    assert_eq!((status, &one["price"]), (StatusCode::OK, &json!("1042.001413420000")));
    assert_eq!(one["quote_quantity"], "23966.0325086600000000");
    assert_eq!(one["traded_at"], "2024-01-01T00:00:10.123456Z");

    for (query, expected) in [("order=asc", 100), ("symbol=ETHUSDT&side=sell", 17), ("from=2024-02-01T00:00:00Z", 50)] {
        let mut seen = Vec::new();
        let mut cursor = String::new();
        loop {
            let (status, page) = service.get(&format!("/api/v1/trades?{query}&limit=7{cursor}")).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            seen.extend(page["items"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()));
            let Value::String(next) = &page["next"] else { break };
            cursor = format!("&cursor={next}");
        }
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), expected, "{query}");
        if !query.contains("asc") {
            sorted.reverse();
        }
        assert_eq!(seen, sorted, "{query}");
    }
    service.stop().await;
}

async fn users_are_registered_once(database: TestDatabase) {
    let service = Service::start(database).await;
    let ann = json!({"username": "ann", "email": "Ann@Example.org", "first_name": "安", "telegram_id": 7});
    let (status, user) = service.post("/api/v1/users", &ann).await;
    assert_eq!((status, &user["email"]), (StatusCode::CREATED, &json!("ann@example.org")));
    let (status, found) = service.get(&format!("/api/v1/users/{}", user["id"].as_str().unwrap())).await;
    assert_eq!((status, found), (StatusCode::OK, user));
    for (taken, constraint) in [
        (json!({"username": "ann"}), "uq_users_username"),
        (json!({"email": "ANN@EXAMPLE.ORG"}), "uq_users_email"),
        (json!({"telegram_id": 7}), "uq_users_telegram_id"),
    ] {
        let (status, problem) = service.post("/api/v1/users", &taken).await;
        assert_eq!((status, &problem["constraint"]), (StatusCode::CONFLICT, &json!(constraint)), "{problem}");
        assert!(!problem.to_string().to_lowercase().contains("ann@"), "{problem}");
    }
    // A name is compared with case.
    assert_eq!(service.post("/api/v1/users", &json!({"username": "Ann"})).await.0, StatusCode::CREATED);
    let (_, page) = service.get("/api/v1/users?level=normal&active=true&order=asc").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    service.stop().await;
}

async fn mistakes_are_answered_alike(database: TestDatabase) {
    let service = Service::start(database).await;
    for (field, value) in [
        ("price", json!("1".repeat(40))),
        ("price", json!("-1")),
        ("price", json!(1.5)),
        ("symbol", json!("a\u{0}b")),
        ("traded_at", json!("1969-12-31T23:59:59Z")),
        ("traded_at", json!("9999-01-01T00:00:00Z")),
        ("nonsense", json!(1)),
    ] {
        let mut bad = trade(1);
        bad[field] = value;
        let (status, problem) = service.post("/api/v1/trades", &json!([trade(2), bad])).await;
        let named = &problem["errors"][0]["field"];
        assert_eq!((status, named), (StatusCode::BAD_REQUEST, &json!(format!("[1].{field}"))), "{problem}");
    }
    for (path, status) in [
        ("/api/v1/trades?limit=0", StatusCode::BAD_REQUEST),
        ("/api/v1/trades?cursor=forged", StatusCode::BAD_REQUEST),
        ("/api/v1/trades/0192d3c0-0000-7000-8000-000000000000", StatusCode::NOT_FOUND),
        ("/nonsense", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(service.get(path).await.0, status, "{path}");
    }
    let (status, page) = service.get("/api/v1/trades?symbol=%27%3B%20DROP%20TABLE%20trades%3B--").await;
    assert_eq!((status, &page["items"]), (StatusCode::OK, &json!([])));
    service.stop().await;
}

async fn a_lost_database_is_a_503(database: TestDatabase) {
    if database.backend() == Backend::Sqlite {
        // A file is not lost like a server; the service can only have closed it.
        let service = Service::start(database).await;
        service.app.close().await;
        assert_lost(&service).await;
        return service.stop().await;
    }
    let server = url::Url::parse(database.url()).unwrap();
    let wire = Proxy::to((Ipv4Addr::LOCALHOST, server.port().unwrap())).await.unwrap();
    let service = Service::start_at(&wire.url(database.url()).unwrap(), database).await;
    assert_found(&service).await;
    wire.cut().await;
    assert_lost(&service).await;
    wire.restore().await.unwrap();
    assert_found(&service).await;
    service.stop().await;
}

async fn assert_found(service: &Service) {
    let (status, health) = service.get("/health").await;
    assert_eq!((status, &health["status"]), (StatusCode::OK, &json!("up")), "{health}");
    // A request may still meet a connection that has died: it is told to come again.
    eventually("trades are served", async || service.get("/api/v1/trades").await.0 == StatusCode::OK).await;
}

async fn assert_lost(service: &Service) {
    let asked = Instant::now();
    let (status, health) = service.get("/health").await;
    assert_eq!((status, &health["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("down")), "{health}");
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    for body in [None, Some(trade(1))] {
        let (status, problem) = match body {
            None => service.get("/api/v1/trades").await,
            Some(body) => service.post("/api/v1/trades", &body).await,
        };
        let unavailable = (StatusCode::SERVICE_UNAVAILABLE, &json!("urn:stanchion:problem:unavailable"));
        assert_eq!((status, &problem["type"]), unavailable, "{problem}");
        assert!(!problem.to_string().contains("127.0.0.1"), "{problem}");
    }
}
