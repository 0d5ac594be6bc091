//! What the URL of a server is made of, read and written.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use url::{Host, Url};

use super::InvalidUrl;
use crate::config::secret::{HIDDEN, Secret};

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for the value of a parameter, where paths and addresses stay readable.
const IN_QUERY: &AsciiSet = &RESERVED.remove(b'/').remove(b':').remove(b',');

/// The parts of a server's URL, decoded.
#[derive(Clone, Default)]
pub(super) struct Parts {
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) host: Option<Host>,
    pub(super) port: Option<u16>,
    pub(super) database: Option<String>,
    pub(super) parameters: Vec<(String, String)>,
    pub(super) connect_timeout: Option<Duration>,
}

impl Parts {
    /// Reads a URL. The errors never quote it.
    pub(super) fn of_url(text: &str) -> Result<Self, InvalidUrl> {
        let raw = raw(text)?;
        // libpq's `postgres://user@/db` has no host; the parser wants one where there is a user.
        let filled = raw.head.ends_with('@').then(|| format!("{}localhost{}", raw.head, raw.tail));
        let url = Url::parse(filled.as_deref().unwrap_or(text)).map_err(|error| {
            InvalidUrl::new(format!(
                "is not a valid URL ({error}); in a password, characters such as @ : / ? # % are percent-encoded"
            ))
        })?;
        let mut parts = Self::default();
        if !url.username().is_empty() {
            parts.user = Some(decode(url.username(), "the user")?);
        }
        if let Some(password) = url.password() {
            parts.password = Some(Secret::from(decode(password, "the password")?));
        }
        parts.host = match url.host_str().filter(|host| !host.is_empty() && filled.is_none()) {
            None => None,
            // A socket's folder, written as a host: `postgres://%2Frun%2Fpostgresql/db`.
            Some(host) if host.to_ascii_lowercase().starts_with("%2f") => {
                parts.parameters.push(("host".to_owned(), decode(host, "the host")?));
                None
            }
            Some(host) => Some(self::host(host)?),
        };
        parts.port = url.port();
        let path = decode(url.path().trim_start_matches('/'), "the name of the database")?;
        parts.database = Some(path).filter(|name| !name.is_empty());
        parts.parameters.extend(query(raw.query)?);
        Ok(parts)
    }

    /// Writes the URL, with the password or with [`HIDDEN`] in its place.
    pub(super) fn write(&self, scheme: &str, default_port: u16, expose: bool) -> String {
        let mut url = format!("{scheme}://");
        self.write_credentials(&mut url, expose);
        // A URL with a user needs a host, and sqlx reads an IPv6 address rightly only from the parameter.
        let mut parameters = Vec::new();
        match &self.host {
            None => url.push_str("localhost"),
            Some(Host::Ipv6(address)) if scheme == "postgres" => {
                parameters.push(("host".to_owned(), address.to_string()));
                url.push_str("localhost");
            }
            Some(host) => url.push_str(&host.to_string()),
        }
        url.push_str(&format!(":{}", self.port.unwrap_or(default_port)));
        if let Some(database) = &self.database {
            url.push('/');
            url.push_str(&encode(database));
        }
        parameters.extend(self.parameters.iter().cloned());
        write_query(&mut url, &parameters);
        url
    }

    /// Appends `user:password@`, or nothing if there is neither.
    pub(super) fn write_credentials(&self, url: &mut String, expose: bool) {
        if self.user.is_none() && self.password.is_none() {
            return;
        }
        url.push_str(&encode(self.user.as_deref().unwrap_or_default()));
        if let Some(password) = &self.password {
            url.push(':');
            url.push_str(&if expose { encode(password.expose()) } else { HIDDEN.to_owned() });
        }
        url.push('@');
    }
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Appends `?name=value&...`.
pub(super) fn write_query(url: &mut String, parameters: &[(String, String)]) {
    for (i, (name, value)) in parameters.iter().enumerate() {
        url.push(if i == 0 { '?' } else { '&' });
        url.extend(utf8_percent_encode(name, RESERVED));
        url.push('=');
        url.extend(utf8_percent_encode(value, IN_QUERY));
    }
}

/// Reads the name or address of a host.
pub(super) fn host(text: &str) -> Result<Host, InvalidUrl> {
    if text.contains(',') {
        return Err(InvalidUrl::new("names several hosts; give the primary here and the others as replicas"));
    }
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let text = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
    Host::parse(&text).map_err(|error| InvalidUrl::new(format!("has a host that is none ({error})")))
}

/// Reads a port, 1 to 65535.
pub(super) fn port(text: &str) -> Result<u16, InvalidUrl> {
    text.parse().ok().filter(|&port| port != 0).ok_or_else(|| InvalidUrl::new("has a port that is not 1 to 65535"))
}

/// Reads a whole number of seconds, as libpq's `connect_timeout` is given; 0 and less ask for no limit.
pub(super) fn seconds(name: &str, text: &str) -> Result<Option<Duration>, InvalidUrl> {
    let seconds: i32 =
        text.parse().map_err(|_| InvalidUrl::new(format!("has a {name} that is not a whole number of seconds")))?;
    Ok(u64::try_from(seconds).ok().filter(|&seconds| seconds > 0).map(Duration::from_secs))
}

/// Percent-decodes `text`; `what` names it in the error.
pub(super) fn decode(text: &str, what: &str) -> Result<String, InvalidUrl> {
    let bytes = text.as_bytes();
    let escapes = bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'%');
    for (at, _) in escapes {
        let digits = bytes.get(at + 1..at + 3).unwrap_or_default();
        if digits.len() != 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(InvalidUrl::new(format!("has a % in {what} that starts no escape: write it as %25")));
        }
    }
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| InvalidUrl::new(format!("has escapes in {what} that are not UTF-8")))?;
    if decoded.contains('\0') {
        return Err(InvalidUrl::new(format!("has a NUL in {what}")));
    }
    Ok(decoded.into_owned())
}

/// Reads `name=value&...`, as libpq does: a `+` is a `+`.
pub(super) fn query(text: Option<&str>) -> Result<Vec<(String, String)>, InvalidUrl> {
    let pairs = text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name, "the name of a parameter")?;
            let value = decode(value, "the value of a parameter")?;
            Ok((name, value))
        })
        .collect()
}

/// A parameter that is not known, named only if it looks like a name: it might be the rest of a password.
pub(super) fn unknown_parameter(name: &str, known: &[&str]) -> InvalidUrl {
    let shown = if is_name(name) { format!("the unknown parameter {name}") } else { "an unknown parameter".to_owned() };
    InvalidUrl::new(format!("has {shown}; known are {}", known.join(", ")))
}

/// Whether a text is safe to repeat as the name of a key or parameter.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !text.is_empty()
        && text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(allowed)
}

/// The pieces of a URL as they are written.
struct Raw<'a> {
    /// Up to the end of the host.
    head: &'a str,
    /// The path and what follows.
    tail: &'a str,
    query: Option<&'a str>,
}

/// Looks at the text after the host. A `/`, `?` or `#` in a password that is not encoded ends the authority early; what
/// follows then holds an `@`, and would be taken for, and shown as, the database.
fn raw(text: &str) -> Result<Raw<'_>, InvalidUrl> {
    if text.chars().any(char::is_control) {
        return Err(InvalidUrl::new("holds a control character, such as a line break"));
    }
    let start = text.find("://").map_or(0, |at| at + "://".len());
    let rest = text.get(start..).unwrap_or_default();
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (head, tail) = text.split_at(start + end);
    if tail.contains(['@', '#', '\\']) {
        return Err(InvalidUrl::new(
            "has an @, # or \\ after the host; in a password, / is written %2F, ? is %3F, # is %23, @ is %40",
        ));
    }
    Ok(Raw { head, tail, query: tail.split_once('?').map(|(_, query)| query) })
}
