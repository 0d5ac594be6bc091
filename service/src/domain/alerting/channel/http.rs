use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{DATE, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode, redirect};
use rustls_platform_verifier::BuilderVerifierExt as _;

use super::SendError;
use crate::Error;
use crate::config::alerting::Endpoint;

/// Bytes of an answer that are read.
const LONGEST_ANSWER: usize = 16 * 1024;
/// Characters of an answer that an error repeats.
const QUOTED: usize = 200;
/// The longest time that a server may ask to be left alone.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);

/// The client of all channels: no proxy of the environment, no redirects (which would carry a token elsewhere), TLS by
/// `ring` with the machine's root certificates.
pub(super) fn client(timeout: Duration) -> Result<Client, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(rustls::ConfigBuilder::with_platform_verifier)
        .map_err(Error::other)?
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .timeout(timeout)
        .user_agent(concat!("stanchion/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Error::other(error.without_url()))
}

/// What must not come out again: the parts of a URL that may be a token, a password.
#[derive(Clone, Default)]
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Those of an endpoint.
    pub(super) fn of(endpoint: &Endpoint) -> Self {
        let mut secrets = Self::default();
        secrets.add(endpoint.expose());
        if let Ok(url) = url::Url::parse(endpoint.expose()) {
            secrets.add(url.path());
            url.path_segments().into_iter().flatten().for_each(|part| secrets.add(part));
            url.query_pairs().for_each(|(_, value)| secrets.add(&value));
            url.password().into_iter().for_each(|password| {
                secrets.add(password);
                secrets.add(&percent_encoding::percent_decode_str(password).decode_utf8_lossy());
            });
        }
        secrets
    }

    /// One more, unless it is so short that it is a word of its own.
    pub(super) fn add(&mut self, secret: &str) {
        if secret.len() >= 6 && !self.0.iter().any(|known| known == secret) {
            self.0.push(secret.to_owned());
            // The longest first, so that none is cut in two by a part of it.
            self.0.sort_by_key(|known| std::cmp::Reverse(known.len()));
        }
    }

    /// The text without them.
    pub(super) fn hidden_in(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

/// What a server answered with.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: String,
    retry_after: Option<Duration>,
}

impl Answer {
    /// Its body as JSON; null if it is none.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The error that it is, by its status: what is overloaded or broken may take it later, what does not want it will not.
    pub(super) fn error(&self, secrets: &Secrets) -> SendError {
        let said: String = secrets.hidden_in(self.body.trim()).chars().take(QUOTED).collect();
        let reason = if said.is_empty() { self.status.to_string() } else { format!("{}: {said}", self.status) };
        let later = self.status.is_server_error()
            || matches!(
                self.status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY
            );
        if later { SendError::Retry { reason, after: self.retry_after } } else { SendError::Refused { reason } }
    }
}

/// Sends a request and reads the answer, however it is.
///
/// # Errors
/// [`SendError::Retry`] if there is none.
pub(super) async fn answer(request: RequestBuilder, secrets: &Secrets) -> Result<Answer, SendError> {
    let failed = |error: reqwest::Error| failure(error, secrets);
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    let retry_after = retry_after(&response);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > LONGEST_ANSWER {
            body.truncate(LONGEST_ANSWER);
            break;
        }
    }
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned(), retry_after })
}

/// What went wrong on the way, without the URL.
fn failure(error: reqwest::Error, secrets: &Secrets) -> SendError {
    let what = match () {
        () if error.is_timeout() => return SendError::retry("no answer in time"),
        () if error.is_connect() => "cannot connect",
        () if error.is_builder() => return SendError::refused("the request cannot be made"),
        () => "the connection failed",
    };
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    SendError::retry(secrets.hidden_in(&format!("{what}: {cause}")))
}

/// How long the server wants to be left alone: seconds, or a date by its own clock.
fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let wanted = header(RETRY_AFTER)?.trim();
    if let Ok(seconds) = wanted.parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    let date = |text: &str| chrono::DateTime::parse_from_rfc2822(text).ok();
    let wait = date(wanted)? - date(header(DATE)?)?;
    wait.to_std().ok().map(|wait| wait.min(LONGEST_WAIT))
}
