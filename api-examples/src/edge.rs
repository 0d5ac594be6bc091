//! What holds for every request: an id, a span, a time limit, caught panics, and the headers of every answer.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::http::header::{CACHE_CONTROL, HeaderName, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use stanchion::types::new_id;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use tracing::Instrument;

use crate::problem::{self, Problem};

/// What a request may take from its head to its answer.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// What a body may hold: some thousands of trades. Bytes.
pub(crate) const BODY_LIMIT: usize = 2 * 1024 * 1024;
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The routes with all that around them.
pub(crate) fn around(router: Router) -> Router {
    around_within(router, TIME_LIMIT)
}

fn around_within(router: Router, limit: Duration) -> Router {
    router
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, limit))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn(edge))
}

async fn edge(request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let path = request.uri().path().to_owned();
    // The route, not the address: it holds no ids, and its query may hold what is nobody's business.
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", method = %request.method(), route, id = id.to_str().unwrap_or_default());
    async {
        let started = Instant::now();
        let mut response = problem::render(next.run(request).await, &path, &id);
        let (status, took) = (response.status().as_u16(), started.elapsed());
        if matches!(route.as_str(), "/health" | "/metrics") {
            tracing::debug!(status, ?took, "answered");
        } else {
            tracing::info!(status, ?took, "answered");
        }
        let headers = response.headers_mut();
        headers.insert(REQUEST_ID, id);
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
    .instrument(span)
    .await
}

/// The caller's id where it is one that can stand in a log, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let fits = |id: &&HeaderValue| {
        let byte = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        (1..=64).contains(&id.len()) && id.as_bytes().iter().all(byte)
    };
    headers.get(&REQUEST_ID).filter(fits).cloned().unwrap_or_else(|| {
        let id = new_id().to_string();
        // A UUID's digits always are a header's value.
        HeaderValue::from_str(&id).unwrap_or(HeaderValue::from_static("none"))
    })
}

/// The panic's message is on standard error already, with its place; the caller learns nothing of it.
fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    async fn answer(router: Router, path: &str) -> (Response<()>, String) {
        let request = Request::get(path).header(REQUEST_ID, "test-1").body(Body::empty()).unwrap();
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, BODY_LIMIT).await.unwrap();
        (Response::from_parts(parts, ()), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_says_nothing_of_it() {
        async fn panics() {
            panic!("secret");
        }
        let (head, body) = answer(around(Router::new().route("/boom", get(panics))), "/boom").await;
        assert_eq!(head.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(head.headers()["content-type"], "application/problem+json");
        assert_eq!(head.headers()[REQUEST_ID], "test-1");
        assert!(body.contains(r#""instance":"/boom""#) && !body.contains("secret"), "{body}");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_a_503_to_be_tried_again() {
        let router = Router::new().route("/slow", get(std::future::pending::<()>));
        let (head, body) = answer(around_within(router, Duration::from_millis(10)), "/slow").await;
        assert_eq!(head.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(head.headers()["retry-after"], "1");
        assert!(body.contains(r#""status":503"#), "{body}");
    }

    #[test]
    fn an_id_that_could_forge_a_log_is_replaced() {
        let mut headers = HeaderMap::new();
        for (given, kept) in [("abc-1.2_3", true), ("", false), ("a b", false), ("a\tb", false), ("é", false)] {
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(given.as_bytes()).unwrap());
            assert_eq!(request_id(&headers) == given, kept, "{given:?}");
        }
        headers.insert(REQUEST_ID, HeaderValue::from_str(&"a".repeat(65)).unwrap());
        assert_eq!(request_id(&headers).len(), 36);
    }
}
