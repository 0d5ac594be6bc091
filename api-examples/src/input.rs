//! What requests hold, read strictly: what is not known is refused by its name, and what is wrong names its place.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Path;
use stanchion::db::page::MAX_LIMIT;
use uuid::Uuid;

use crate::problem::Problem;

/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(15);

/// The query: every parameter is known, and given once.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let read = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs));
        read.map(Self).map_err(|error| misread(error.path(), error.inner()))
    }
}

/// The id in the path.
pub(crate) struct Id(pub(crate) Uuid);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<Uuid>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|_| Problem::invalid_field("id", "must be a UUID"))
    }
}

/// A body of JSON.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        json(&arrive(request, state).await?).map(Self)
    }
}

/// A body of JSON that is one `T` or an array of them.
pub(crate) enum Batch<T> {
    One(T),
    Many(Vec<T>),
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Batch<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = arrive(request, state).await?;
        // Told apart by hand: an untagged enum would lose the place of a mistake.
        if bytes.trim_ascii_start().starts_with(b"[") {
            json(&bytes).map(Self::Many)
        } else {
            json(&bytes).map(Self::One)
        }
    }
}

async fn arrive<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        return Err(Problem::not_json());
    }
    let arrived = tokio::time::timeout(ARRIVAL, Bytes::from_request(request, state)).await;
    arrived.map_err(|_| Problem::of(StatusCode::REQUEST_TIMEOUT))?.map_err(|refused| match refused.status() {
        status @ StatusCode::PAYLOAD_TOO_LARGE => Problem::of(status),
        _ => Problem::invalid("the body did not arrive whole"),
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let not_json = |error: &serde_json::Error| Problem::invalid(format!("the body is not JSON: {error}"));
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        if error.inner().is_data() { misread(error.path(), error.inner()) } else { not_json(error.inner()) }
    })?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

/// What serde could not read, as a problem of the field that it is about.
fn misread(path: &Path, error: &impl Display) -> Problem {
    let mut field = if path.iter().next().is_none() { String::new() } else { path.to_string() };
    let detail = error.to_string();
    // The place of what is missing or there twice is that of its object; serde gives the name in its message alone.
    let named = ["missing field `", "duplicate field `"].iter().find_map(|start| detail.strip_prefix(start));
    if let Some(name) = named.and_then(|rest| rest.split('`').next()) {
        if !field.is_empty() {
            field.push('.');
        }
        field.push_str(name);
    }
    if field.is_empty() { Problem::invalid(detail) } else { Problem::invalid_field(field, detail) }
}

/// Reads the parameter `limit`: what is beyond the largest page is refused here, where a caller can be told.
pub(crate) fn limit<'de, In: Deserializer<'de>>(deserializer: In) -> Result<Option<u32>, In::Error> {
    let text = Cow::<'de, str>::deserialize(deserializer)?;
    match text.parse() {
        Ok(limit @ 1..=MAX_LIMIT) => Ok(Some(limit)),
        _ => Err(In::Error::custom(format!("must be a whole number from 1 to {MAX_LIMIT}"))),
    }
}
