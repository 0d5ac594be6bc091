//! `/`: the console, one page that reads the API.

use axum::http::HeaderValue;
use axum::http::header::{CONTENT_SECURITY_POLICY, HeaderName, REFERRER_POLICY};
use axum::response::Html;
use uuid::Uuid;

const PAGE: &str = include_str!("page.html");

/// The page. Its own style and script carry a nonce that the policy names: nothing else runs, and nothing else is loaded.
pub(crate) async fn page() -> ([(HeaderName, HeaderValue); 2], Html<String>) {
    let nonce = Uuid::new_v4().simple().to_string();
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; img-src data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    // Letters, digits and signs of ASCII always are a header's value; without one the browser runs nothing.
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let headers = [(CONTENT_SECURITY_POLICY, policy), (REFERRER_POLICY, HeaderValue::from_static("no-referrer"))];
    (headers, Html(PAGE.replace("{nonce}", &nonce)))
}
