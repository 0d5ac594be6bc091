//! `/health`: whether the service can do its work, for load balancers and for eyes.

use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures::future::join_all;
use serde::Serialize;
use stanchion::App;
use stanchion::db::{DatabaseError, Db, Kind, Pool};
use utoipa::ToSchema;

/// How long a database may take to answer before it counts as down.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the service and its databases are.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `up` if every database is.
    status: Status,
    databases: Vec<DatabaseHealth>,
}

/// How a database is.
#[derive(Serialize, ToSchema)]
struct DatabaseHealth {
    name: &'static str,
    /// `sqlite`, `postgres` or `mysql`.
    engine: String,
    /// The primary.
    writer: Answer,
    /// What is read from.
    reader: Answer,
}

/// What came of asking.
#[derive(Serialize, ToSchema)]
struct Answer {
    status: Status,
    /// How long the answer took, the wait for a connection included. Milliseconds.
    latency_ms: f64,
    /// Why it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Up,
    Down,
}

/// Asks every database for a sign of life.
#[utoipa::path(
    get, path = "/health", tag = "operation",
    responses((status = 200, body = Health), (status = 503, body = Health, description = "A database is down."))
)]
pub(crate) async fn health(State(app): State<App>) -> (StatusCode, Json<Health>) {
    let databases = join_all(app.databases().iter().map(database)).await;
    let is_up = |database: &DatabaseHealth| [&database.writer, &database.reader].iter().all(|a| a.status == Status::Up);
    let (code, status) = if databases.iter().all(is_up) {
        (StatusCode::OK, Status::Up)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Status::Down)
    };
    (code, Json(Health { status, databases }))
}

async fn database(db: &Db) -> DatabaseHealth {
    let (writer, reader) = futures::future::join(ping(db.writer()), ping(db.reader())).await;
    DatabaseHealth { name: db.name(), engine: db.backend().as_str().to_ascii_lowercase(), writer, reader }
}

async fn ping(pool: &Pool) -> Answer {
    let asked = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, sign_of_life(pool)).await;
    let latency = asked.elapsed();
    let reason = match answer {
        Ok(Ok(())) => None,
        // The kind alone: a driver's words may name hosts and users.
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("there was no answer within {PATIENCE:?}")),
    };
    let status = if reason.is_none() { Status::Up } else { Status::Down };
    Answer { status, latency_ms: (latency.as_secs_f64() * 1e6).round() / 1e3, reason }
}

/// Connections that died while they lay in the pool say nothing of the server: each is asked once, and gone then.
async fn sign_of_life(pool: &Pool) -> Result<(), DatabaseError> {
    let (connections, _) = pool.size();
    for _ in 0..connections {
        match pool.connection().ping().await.map_err(DatabaseError::from) {
            Err(error) if error.kind() == Kind::Unavailable => {}
            answer => return answer,
        }
    }
    Ok(pool.connection().ping().await?)
}
