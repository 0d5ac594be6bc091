use std::error::Error as _;

use axum::http::StatusCode;
use stanchion::Error;
use stanchion::types::ValueError;

use super::Problem;

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match &error {
            Error::Value(error) => return error.into(),
            Error::Cursor(error) => return Self::invalid_field("cursor", error.to_string()),
            _ => {}
        }
        if error.is_not_found() {
            return Self::not_found(error.to_string());
        }
        if error.is_conflict() {
            let constraint = match &error {
                Error::Database(error) => error.constraint().map(str::to_owned),
                _ => None,
            };
            return Self { constraint, ..Self::new(StatusCode::CONFLICT, error.to_string()) };
        }
        // What the configuration got wrong is no caller's doing.
        if error.is_invalid() && !matches!(error, Error::Config(_)) {
            return Self::invalid(error.to_string());
        }
        report(&error);
        if error.is_unavailable() || error.is_timeout() || error.is_transient() {
            Self::of(StatusCode::SERVICE_UNAVAILABLE)
        } else {
            Self::internal()
        }
    }
}

impl From<&ValueError> for Problem {
    fn from(error: &ValueError) -> Self {
        match error.column() {
            Some(column) => Self::invalid_field(field(column), error.problem().to_string()),
            None => Self::invalid(error.to_string()),
        }
    }
}

/// `trades.price` as `price`: callers know no tables.
fn field(column: &str) -> String {
    let table = column.split('.').next().unwrap_or_default();
    column.replace(&format!("{table}."), "")
}

/// What the caller is not told goes to the log; what a driver said may quote a row, and is for those who look closer.
fn report(error: &Error) {
    tracing::error!(%error, kind = ?error.database_kind(), "a request failed");
    let mut cause = error.source();
    while let Some(source) = cause {
        tracing::debug!(error = %source, "caused by");
        cause = source.source();
    }
}
