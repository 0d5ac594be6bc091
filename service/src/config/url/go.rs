//! The form of [Go's MySQL driver](https://github.com/go-sql-driver/mysql#dsn-data-source-name), which configurations
//! written for other services hold: `user:password@tcp(host:port)/database?parameter=value`.
//!
//! As there, the user and password are taken as they are, the name of the database and the parameters are decoded.

use std::time::Duration;

use super::InvalidUrl;
use super::mysql;
use super::parts::{self, Parts};
use crate::config::secret::Secret;

/// Parameters that steer the Go driver alone.
const GO_ONLY: &[&str] = &[
    "allowCleartextPasswords",
    "allowNativePasswords",
    "checkConnLiveness",
    "clientFoundRows",
    "columnsWithAlias",
    "interpolateParams",
    "loc",
    "maxAllowedPacket",
    "multiStatements",
    "parseTime",
    "readTimeout",
    "rejectReadOnly",
    "timeTruncate",
    "writeTimeout",
];

const KNOWN: &[&str] = &["charset", "collation", "timeout", "tls"];

/// Reads the whole text. The errors name parameters, never values.
pub(super) fn parse(text: &str) -> Result<Parts, InvalidUrl> {
    let malformed = || {
        InvalidUrl::new(
            "is neither a URL such as mysql://user:password@host/database nor user:password@tcp(host:port)/database",
        )
    };
    if text.chars().any(char::is_control) {
        return Err(InvalidUrl::new("holds a control character, such as a line break"));
    }
    // The last slash, because a password may hold others.
    let (left, right) = text.rsplit_once('/').ok_or_else(malformed)?;
    if right.contains('@') {
        // A password with a slash in it, and no database.
        return Err(malformed());
    }
    let (credentials, address) = left.rsplit_once('@').unwrap_or(("", left));
    let (name, parameters) = right.split_once('?').map_or((right, None), |(name, query)| (name, Some(query)));

    let mut parts = Parts::default();
    let (user, password) = credentials.split_once(':').map_or((credentials, None), |(u, p)| (u, Some(p)));
    parts.user = Some(user.to_owned()).filter(|user| !user.is_empty());
    parts.password = password.map(Secret::from);
    parts.database = Some(parts::decode(name, "the name of the database")?).filter(|name| !name.is_empty());

    let (protocol, address) = match address.split_once('(') {
        Some((protocol, rest)) => (protocol, rest.strip_suffix(')').ok_or_else(malformed)?),
        None => (address, ""),
    };
    match protocol {
        "tcp" | "" => tcp(&mut parts, address)?,
        "unix" if address.starts_with('/') => parts.parameters.push(("socket".to_owned(), address.to_owned())),
        _ => return Err(malformed()),
    }
    let parameters = parts::query(parameters)?;
    for (name, value) in parameters {
        parameter(&mut parts, &name, &value)?;
    }
    mysql::check(parts)
}

fn tcp(parts: &mut Parts, address: &str) -> Result<(), InvalidUrl> {
    let (host, port) = match address.rsplit_once(':') {
        // `[::1]` has colons of its own.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (address, None),
    };
    parts.host = Some(parts::host(if host.is_empty() { "127.0.0.1" } else { host })?);
    parts.port = port.map(parts::port).transpose()?;
    Ok(())
}

fn parameter(parts: &mut Parts, name: &str, value: &str) -> Result<(), InvalidUrl> {
    match name {
        "charset" => mysql::charset(value)?,
        "collation" => parts.parameters.push((name.to_owned(), value.to_owned())),
        "timeout" => {
            let timeout = humantime::parse_duration(value);
            let timeout = timeout.map_err(|_| InvalidUrl::new("has a timeout that is no duration such as 5s"))?;
            parts.connect_timeout = Some(timeout).filter(|timeout| *timeout > Duration::ZERO);
        }
        "tls" => {
            let mode = match value {
                "true" => "verify_identity",
                "skip-verify" => "required",
                "preferred" => "preferred",
                "false" => "disabled",
                _ => return Err(InvalidUrl::new("has a tls that is none of true, false, skip-verify, preferred")),
            };
            parts.parameters.push(("ssl-mode".to_owned(), mode.to_owned()));
        }
        _ if GO_ONLY.contains(&name) => {}
        _ => return Err(parts::unknown_parameter(name, KNOWN)),
    }
    Ok(())
}
