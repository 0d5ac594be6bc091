//! The section `alerting`: which channels an alert goes to, where they are, and how often it is tried.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};
use url::Url;

use super::database::duration;
use super::error::Problem;
use super::secret::Secret;
use super::section::{Section, Zero, suggestion};

const HOUR: Duration = Duration::from_secs(3_600);

/// How alerts reach people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Alerting {
    /// The channels of each severity.
    pub routes: Routes,
    /// The channels that are configured.
    pub channels: Channels,
    /// How often an alert is tried before it is given up, 1 to 100. Default 8.
    pub max_attempts: u32,
    /// The pause after the first attempt, which doubles with each one. Default 5 seconds.
    #[serde(serialize_with = "duration")]
    pub backoff: Duration,
    /// The longest pause. Default 15 minutes.
    #[serde(serialize_with = "duration")]
    pub max_backoff: Duration,
    /// How long a channel may take. Default 10 seconds.
    #[serde(serialize_with = "duration")]
    pub timeout: Duration,
    /// How long a worker holds an alert; at least twice the timeout. Default 1 minute.
    #[serde(serialize_with = "duration")]
    pub lease: Duration,
    /// How often a worker looks for alerts when there were none. Default 1 second.
    #[serde(serialize_with = "duration")]
    pub poll: Duration,
}

impl Default for Alerting {
    fn default() -> Self {
        Self {
            routes: Routes::default(),
            channels: Channels::default(),
            max_attempts: 8,
            backoff: Duration::from_secs(5),
            max_backoff: Duration::from_secs(900),
            timeout: Duration::from_secs(10),
            lease: Duration::from_secs(60),
            poll: Duration::from_secs(1),
        }
    }
}

/// A way to reach people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AlertChannel {
    /// E-mail.
    Email,
    /// WeChat Work.
    Wechat,
    /// Short messages, through a gateway.
    Sms,
    /// Slack.
    Slack,
    /// A Telegram bot.
    Telegram,
    /// An HTTP endpoint.
    Webhook,
    /// The service's own log, which needs no configuration.
    Log,
}

impl AlertChannel {
    /// All channels.
    pub const ALL: [Self; 7] =
        [Self::Email, Self::Wechat, Self::Sms, Self::Slack, Self::Telegram, Self::Webhook, Self::Log];

    /// The name that a route takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Wechat => "wechat",
            Self::Sms => "sms",
            Self::Slack => "slack",
            Self::Telegram => "telegram",
            Self::Webhook => "webhook",
            Self::Log => "log",
        }
    }
}

/// The channels of each severity. Those that are not configured are passed over; where none of a severity's is, its alerts
/// go to the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Routes {
    /// Default e-mail, WeChat, SMS and Slack.
    pub critical: Vec<AlertChannel>,
    /// Default e-mail, WeChat and Slack.
    pub high: Vec<AlertChannel>,
    /// Default e-mail and Slack.
    pub warning: Vec<AlertChannel>,
    /// Default Slack.
    pub info: Vec<AlertChannel>,
}

impl Default for Routes {
    fn default() -> Self {
        use AlertChannel::{Email, Slack, Sms, Wechat};
        Self {
            critical: vec![Email, Wechat, Sms, Slack],
            high: vec![Email, Wechat, Slack],
            warning: vec![Email, Slack],
            info: vec![Slack],
        }
    }
}

/// Where the channels are; `None` for those that are not configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Channels {
    /// E-mail.
    pub email: Option<Email>,
    /// The webhook of a Slack app: `https://hooks.slack.com/services/...`.
    pub slack: Option<Hook>,
    /// The webhook of a WeChat Work robot: `https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=...`.
    pub wechat: Option<Hook>,
    /// A Telegram bot.
    pub telegram: Option<Telegram>,
    /// A gateway for short messages.
    pub sms: Option<Sms>,
    /// An HTTP endpoint of one's own.
    pub webhook: Option<Webhook>,
}

/// E-mail, by SMTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Email {
    /// `smtps://user:password@host` (TLS), `smtp://user:password@host?tls=required` (STARTTLS) or `smtp://host` (no TLS).
    pub url: Endpoint,
    /// Who writes: an address, with or without a name.
    pub from: String,
    /// Who is written to.
    pub to: Vec<String>,
}

/// A webhook whose URL is the secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Hook {
    /// Where it is.
    pub url: Endpoint,
}

/// A Telegram bot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Telegram {
    /// The bot's token.
    pub token: Secret,
    /// The chat it writes to.
    pub chat_id: String,
    /// The server. Default `https://api.telegram.org`.
    pub url: Endpoint,
}

/// A gateway for short messages, which takes a POST for each number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sms {
    /// Where it is.
    pub url: Endpoint,
    /// The numbers.
    pub to: Vec<String>,
    /// The body: a JSON document in whose texts `{to}`, `{title}`, `{message}`, `{severity}` and `{id}` are filled in.
    /// Default `{"to": "{to}", "text": "{title}: {message}"}`.
    pub body: String,
    /// Whether the document's fields are sent as a form instead. Default false.
    pub form: bool,
    /// The value of the header `Authorization`.
    pub authorization: Option<Secret>,
}

/// An HTTP endpoint, which takes a POST with the alert as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Webhook {
    /// Where it is.
    pub url: Endpoint,
    /// The key of the signature (HMAC-SHA256 of the body) in the header `X-Stanchion-Signature`; without it there is none.
    pub secret: Option<Secret>,
}

/// A URL of which only the scheme, host and port are shown: the rest may hold a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Secret,
    shown: String,
}

impl Endpoint {
    /// An HTTP endpoint.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub fn http(text: &str) -> Result<Self, String> {
        Self::of(text, &["http", "https"], "must be a URL that starts with https:// or http://")
            .map(|(endpoint, _)| endpoint)
    }

    /// An SMTP server.
    ///
    /// # Errors
    /// What is wrong with it, without quoting it.
    pub fn smtp(text: &str) -> Result<Self, String> {
        let (endpoint, url) = Self::of(text, &["smtp", "smtps"], "must be a URL that starts with smtps:// or smtp://")?;
        let tls: Vec<_> = url.query_pairs().collect();
        let required = match tls.as_slice() {
            [] => url.scheme() == "smtps",
            [(key, value)] if key == "tls" && value == "required" => true,
            [(key, value)] if key == "tls" && value == "opportunistic" => false,
            _ => return Err("may have no parameter but tls=required or tls=opportunistic".to_owned()),
        };
        // Only for http and its like does the crate tell an address from a name.
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let local = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        if url.password().is_some() && !required && !local {
            return Err("would send its password without TLS: use smtps://, or add ?tls=required".to_owned());
        }
        Ok(endpoint)
    }

    fn of(text: &str, schemes: &[&str], expected: &str) -> Result<(Self, Url), String> {
        let url = Url::parse(text).ok().filter(|url| schemes.contains(&url.scheme()) && url.host().is_some());
        let url = url.ok_or_else(|| expected.to_owned())?;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let rest = if matches!(url.path(), "" | "/") && url.query().is_none() { "" } else { "/***" };
        let user = if url.username().is_empty() && url.password().is_none() { "" } else { "***@" };
        let host = url.host_str().unwrap_or_default();
        let shown = format!("{}://{user}{host}{port}{rest}", url.scheme());
        Ok((Self { url: Secret::from(text), shown }, url))
    }

    /// The whole URL. Keep it out of logs, errors and metrics.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.url.expose()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.shown)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown)
    }
}

impl Alerting {
    pub(super) const KEYS: &'static [&'static str] =
        &["routes", "channels", "max_attempts", "backoff", "max_backoff", "timeout", "lease", "poll"];

    pub(super) fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let time = |key, longest| section.duration(key, longest, Zero::Refused);
        Self {
            routes: Routes::read(&section.section("routes", &["critical", "high", "warning", "info"])),
            channels: Channels::read(
                &section.section("channels", &["email", "slack", "wechat", "telegram", "sms", "webhook"]),
            ),
            max_attempts: section.number("max_attempts", 1..=100).unwrap_or(default.max_attempts),
            backoff: time("backoff", 24 * HOUR).unwrap_or(default.backoff),
            max_backoff: time("max_backoff", 24 * HOUR).unwrap_or(default.max_backoff),
            timeout: time("timeout", HOUR).unwrap_or(default.timeout),
            lease: time("lease", 24 * HOUR).unwrap_or(default.lease),
            poll: time("poll", HOUR).unwrap_or(default.poll),
        }
    }

    /// What contradicts itself.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.lease < 2 * self.timeout {
            let message = "the first must be at least twice the second";
            let hint = "else a worker could lose an alert that it is still sending";
            problems.push(Problem::new("alerting.lease", message).and("alerting.timeout").hint(hint));
        }
        if self.max_backoff < self.backoff {
            let message = "the first must not be shorter than the second";
            problems.push(Problem::new("alerting.max_backoff", message).and("alerting.backoff"));
        }
        problems
    }
}

impl Routes {
    fn read(section: &Section<'_>) -> Self {
        let default = Self::default();
        let route = |key: &str| {
            let mut route: Vec<AlertChannel> = Vec::new();
            for field in section.list(key)? {
                let channel = section.read(&field, |text| {
                    let names = AlertChannel::ALL.map(AlertChannel::name);
                    let found = AlertChannel::ALL.into_iter().find(|channel| channel.name() == text);
                    match found {
                        Some(channel) if route.contains(&channel) => Err("is in the list twice".to_owned()),
                        Some(channel) => Ok(channel),
                        None => Err(format!("is no channel; {}", suggestion(text, &names))),
                    }
                });
                route.extend(channel);
            }
            Some(route)
        };
        Self {
            critical: route("critical").unwrap_or(default.critical),
            high: route("high").unwrap_or(default.high),
            warning: route("warning").unwrap_or(default.warning),
            info: route("info").unwrap_or(default.info),
        }
    }
}

impl Channels {
    fn read(section: &Section<'_>) -> Self {
        let hook = |key: &str| Self::given(section, key, &["url"]).and_then(|own| http(&own)).map(|url| Hook { url });
        Self {
            email: Self::given(section, "email", &["url", "from", "to"]).and_then(|own| {
                let url = required(&own, "url", Endpoint::smtp);
                let from = required(&own, "from", mailbox);
                let to = some(&own, "to", mailbox);
                Some(Email { url: url?, from: from?, to: to? })
            }),
            slack: hook("slack"),
            wechat: hook("wechat"),
            telegram: Self::given(section, "telegram", &["token", "chat_id", "url"]).and_then(|own| {
                let token = required(&own, "token", token);
                let chat_id = required(&own, "chat_id", |text| Ok(text.to_owned()));
                let url = if own.has("url") { http(&own) } else { Endpoint::http("https://api.telegram.org").ok() };
                Some(Telegram { token: token?, chat_id: chat_id?, url: url? })
            }),
            sms: Self::given(section, "sms", &["url", "to", "body", "form", "authorization"]).and_then(|own| {
                let url = http(&own);
                let to = some(&own, "to", |text| Ok(text.to_owned()));
                let body = own.parse("body", |text| match serde_json::from_str(text) {
                    Ok(serde_json::Value::Object(_)) => Ok(text.to_owned()),
                    _ => Err("must be a JSON object, such as {\"to\": \"{to}\", \"text\": \"{message}\"}".to_owned()),
                });
                Some(Sms {
                    url: url?,
                    to: to?,
                    body: body.unwrap_or_else(|| r#"{"to": "{to}", "text": "{title}: {message}"}"#.to_owned()),
                    form: own.flag("form").unwrap_or(false),
                    authorization: own.parse("authorization", header),
                })
            }),
            webhook: Self::given(section, "webhook", &["url", "secret"]).and_then(|own| {
                let secret = own.text("secret").map(|field| Secret::from(field.text));
                Some(Webhook { url: http(&own)?, secret })
            }),
        }
    }

    /// The section of a channel, if anything is said in it.
    fn given<'a>(section: &Section<'a>, key: &str, known: &[&str]) -> Option<Section<'a>> {
        let own = section.section(key, known);
        (own.keys().next().is_some()).then_some(own)
    }
}

fn http(section: &Section<'_>) -> Option<Endpoint> {
    required(section, "url", Endpoint::http)
}

fn required<T>(section: &Section<'_>, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
    if !section.has(key) {
        section.note(Problem::new(&section.key(key), "is missing").hint("or leave the channel out"));
        return None;
    }
    section.parse(key, parse)
}

fn some(section: &Section<'_>, key: &str, parse: impl Fn(&str) -> Result<String, String>) -> Option<Vec<String>> {
    let fields = section.list(key).unwrap_or_default();
    let read: Vec<String> = fields.iter().filter_map(|field| section.read(field, &parse)).collect();
    if fields.is_empty() {
        section.note(Problem::new(&section.key(key), "names nobody").hint("give at least one"));
        return None;
    }
    (read.len() == fields.len()).then_some(read)
}

/// An address, or a name with the address in angle brackets; whether it exists, a letter tells.
fn mailbox(text: &str) -> Result<String, String> {
    let address = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    let well_formed = address.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let valid = well_formed && !address.contains(char::is_whitespace) && !text.contains(char::is_control);
    valid.then(|| text.to_owned()).ok_or_else(|| "must be an e-mail address".to_owned())
}

fn token(text: &str) -> Result<Secret, String> {
    let valid = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_'));
    valid.then(|| Secret::from(text)).ok_or_else(|| "must be letters, digits and : - _".to_owned())
}

fn header(text: &str) -> Result<Secret, String> {
    let valid = text.chars().all(|c| matches!(c, ' '..='~'));
    valid.then(|| Secret::from(text)).ok_or_else(|| "must be ASCII text of one line".to_owned())
}
