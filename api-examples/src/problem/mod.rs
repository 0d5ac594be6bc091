//! Answers that are no success: problem details ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)).
//!
//! Handlers return a [`Problem`]; what else answers with a bare status (a method that is not allowed, a time limit) is
//! made one by [`render`], which alone writes the body. `from_error` says which of the layer's errors is which problem.
//! Whatever is wrong with a request's content is a 400, whether it cannot be read or cannot be meant; 422 is not used.

mod from_error;

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not done.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    constraint: Option<String>,
}

/// What is wrong with one part of a request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// The query parameter, or the place in the body: `limit`, `price`, `[3].price`.
    #[schema(example = "[3].price")]
    field: String,
    /// What is wrong with it.
    #[schema(example = "must be greater than zero")]
    detail: String,
}

/// A problem as it is sent.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// What kind of problem it is.
    #[schema(example = "urn:stanchion:problem:invalid-request")]
    r#type: String,
    /// The same for every problem of its type.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What happened this time.
    detail: &'a str,
    /// The path that was asked for.
    instance: &'a str,
    /// The request's id, as in the header `x-request-id` and in the log.
    request_id: &'a str,
    /// What is wrong with which part of the request.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    /// The rule that what is stored does not allow to break: `uq_users_email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    constraint: Option<&'a str>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, detail: detail.into(), errors: Vec::new(), constraint: None }
    }

    /// The request cannot be meant.
    pub(crate) fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// A part of the request cannot be meant.
    pub(crate) fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError { field: field.into(), detail: detail.into() };
        Self { errors: vec![error], ..Self::invalid("a part of the request is not valid") }
    }

    /// The same of the item at that place of an array.
    pub(crate) fn of_item(mut self, place: usize) -> Self {
        for error in &mut self.errors {
            error.field = format!("[{place}].{}", error.field);
        }
        self
    }

    /// There is no such thing.
    pub(crate) fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// The body is not JSON, by its own account.
    pub(crate) fn not_json() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is to be JSON, with content-type: application/json")
    }

    /// Something is wrong here, and not with the request.
    pub(crate) fn internal() -> Self {
        Self::of(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What a status says by itself.
    pub(crate) fn of(status: StatusCode) -> Self {
        let detail = match status {
            StatusCode::METHOD_NOT_ALLOWED => "the header allow lists the methods that can be used here",
            StatusCode::REQUEST_TIMEOUT => "the request took too long to arrive",
            StatusCode::PAYLOAD_TOO_LARGE => "the body is too large; send less at once",
            StatusCode::SERVICE_UNAVAILABLE => "the service could not do this in time; try again",
            status if status.is_server_error() => "the service failed; its log has the reason, under the request's id",
            _ => "the request cannot be served",
        };
        Self::new(status, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The last part of a problem's type, and its title.
const fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::BAD_REQUEST => ("invalid-request", "The request is not valid"),
        StatusCode::NOT_FOUND => ("not-found", "There is no such thing"),
        StatusCode::METHOD_NOT_ALLOWED => ("method-not-allowed", "The method is not allowed"),
        StatusCode::REQUEST_TIMEOUT => ("request-timeout", "The request did not arrive in time"),
        StatusCode::CONFLICT => ("conflict", "The request conflicts with what is stored"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too-large", "The body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("unsupported-media-type", "The body is of another type"),
        StatusCode::SERVICE_UNAVAILABLE => ("unavailable", "The service is not available"),
        _ => ("internal", "The service failed"),
    }
}

/// Writes the problem that a response carries, or that its status stands for. A body of JSON says enough by itself.
pub(crate) fn render(response: Response, path: &str, request_id: &HeaderValue) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None if is_json(&response) => return response,
        None => Problem::of(status),
    };
    let (slug, title) = words(status);
    let body = ProblemBody {
        r#type: format!("urn:stanchion:problem:{slug}"),
        title,
        status: status.as_u16(),
        detail: &problem.detail,
        instance: path,
        request_id: request_id.to_str().unwrap_or_default(),
        errors: &problem.errors,
        constraint: problem.constraint.as_deref(),
    };
    // Strings and numbers always have a JSON form; the status is there in any case.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    let (mut head, _) = response.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        head.headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Response::from_parts(head, Body::from(body))
}

fn is_json(response: &Response) -> bool {
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/json"))
}
