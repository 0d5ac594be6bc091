//! What PostgreSQL's URLs may hold.

use std::net::IpAddr;

use super::InvalidUrl;
use super::parts::{self, Parts};
use crate::config::secret::Secret;

/// The parameters sqlx knows, and `connect_timeout`, which the pool honours.
const KNOWN: &[&str] = &[
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
    "connect_timeout",
    "statement-cache-capacity",
];

/// Parameters other drivers take that change nothing here: sessions speak UTC and UTF-8 whatever they say.
const IMMATERIAL: &[&str] = &[
    "timezone",
    "client_encoding",
    "fallback_application_name",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
];

const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Moves the parameters that stand for a part of the URL (`host`, `user`, ...) to where they belong.
pub(super) fn fold(mut parts: Parts) -> Result<Parts, InvalidUrl> {
    for (name, value) in std::mem::take(&mut parts.parameters) {
        keyword(&mut parts, &name, value)?;
    }
    Ok(parts)
}

/// Takes one keyword of libpq, or parameter of a URL.
pub(super) fn keyword(parts: &mut Parts, name: &str, value: String) -> Result<(), InvalidUrl> {
    match name {
        "host" if value.starts_with('/') => {
            parts.host = None;
            parts.parameters.push((name.to_owned(), value));
        }
        "host" if value.is_empty() => {}
        "host" => parts.host = Some(parts::host(&value)?),
        "hostaddr" => {
            let address: IpAddr =
                value.parse().map_err(|_| InvalidUrl::new("has a hostaddr that is not an IP address"))?;
            parts.parameters.push((name.to_owned(), address.to_string()));
        }
        "port" => parts.port = Some(parts::port(&value)?),
        "user" => parts.user = Some(value),
        "password" => parts.password = Some(Secret::from(value)),
        "dbname" => parts.database = Some(value).filter(|name| !name.is_empty()),
        "connect_timeout" => parts.connect_timeout = parts::seconds(name, &value)?,
        "sslmode" | "ssl-mode" => {
            if !SSL_MODES.contains(&value.as_str()) {
                return Err(InvalidUrl::new(format!("has an sslmode that is none of {}", SSL_MODES.join(", "))));
            }
            parts.parameters.push(("sslmode".to_owned(), value));
        }
        "sslrootcert" | "ssl-root-cert" | "ssl-ca" => parts.parameters.push(("sslrootcert".to_owned(), value)),
        "sslcert" | "ssl-cert" => parts.parameters.push(("sslcert".to_owned(), value)),
        "sslkey" | "ssl-key" => {
            if value.contains("-----") {
                return Err(InvalidUrl::new("has a key in sslkey; it takes the path of a file"));
            }
            parts.parameters.push(("sslkey".to_owned(), value));
        }
        "statement-cache-capacity" => {
            let capacity: u32 =
                value.parse().map_err(|_| InvalidUrl::new(format!("has a {name} that is no number")))?;
            parts.parameters.push((name.to_owned(), capacity.to_string()));
        }
        "application_name" | "options" => parts.parameters.push((name.to_owned(), value)),
        "target_session_attrs" if value == "any" => {}
        "gssencmode" | "channel_binding" if matches!(value.as_str(), "disable" | "prefer") => {}
        _ if is_server_setting(name) => parts.parameters.push((name.to_owned(), value)),
        _ if IMMATERIAL.contains(&name.to_ascii_lowercase().as_str()) => {}
        _ => return Err(parts::unknown_parameter(name, KNOWN)),
    }
    Ok(())
}

/// `options[search_path]`: a setting of the server for every session.
fn is_server_setting(name: &str) -> bool {
    let setting = name.strip_prefix("options[").and_then(|rest| rest.strip_suffix(']'));
    setting.is_some_and(|setting| setting.split('.').all(parts::is_name))
}

/// Refuses what cannot be connected to.
pub(super) fn check(parts: Parts) -> Result<Parts, InvalidUrl> {
    if parts.database.is_none() {
        return Err(InvalidUrl::new("names no database: postgres://user:password@host/DATABASE"));
    }
    Ok(parts)
}
