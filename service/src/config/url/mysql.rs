//! What the URLs of MySQL and MariaDB may hold.

use super::InvalidUrl;
use super::parts::{self, Parts};

/// The parameters sqlx knows, and `connect_timeout`, which the pool honours.
const KNOWN: &[&str] = &[
    "ssl-mode",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "charset",
    "collation",
    "socket",
    "connect_timeout",
    "statement-cache-capacity",
];

const SSL_MODES: &[&str] = &["disabled", "preferred", "required", "verify_ca", "verify_identity"];

/// Checks the parameters, and that there is a database.
pub(super) fn check(mut parts: Parts) -> Result<Parts, InvalidUrl> {
    for (name, value) in std::mem::take(&mut parts.parameters) {
        parameter(&mut parts, &name, value)?;
    }
    if parts.database.is_none() {
        return Err(InvalidUrl::new("names no database: mysql://user:password@host/DATABASE"));
    }
    Ok(parts)
}

fn parameter(parts: &mut Parts, name: &str, value: String) -> Result<(), InvalidUrl> {
    let mut keep = |name: &str, value: String| parts.parameters.push((name.to_owned(), value));
    match name {
        "ssl-mode" | "sslmode" => {
            let mode = value.to_ascii_lowercase().replace('-', "_");
            if !SSL_MODES.contains(&mode.as_str()) {
                return Err(InvalidUrl::new(format!("has an {name} that is none of {}", SSL_MODES.join(", "))));
            }
            keep("ssl-mode", mode);
        }
        "ssl-ca" | "sslca" => keep("ssl-ca", value),
        "ssl-cert" | "sslcert" => keep("ssl-cert", value),
        "ssl-key" | "sslkey" => {
            if value.contains("-----") {
                return Err(InvalidUrl::new(format!("has a key in {name}; it takes the path of a file")));
            }
            keep("ssl-key", value);
        }
        "socket" if value.starts_with('/') => keep(name, value),
        "socket" => return Err(InvalidUrl::new("has a socket that is not an absolute path")),
        "charset" => charset(&value)?,
        "collation" if value.starts_with("utf8mb4_") && parts::is_name(&value) => keep(name, value),
        "collation" => return Err(InvalidUrl::new("has a collation that is not one of utf8mb4")),
        "connect_timeout" | "connect-timeout" => parts.connect_timeout = parts::seconds(name, &value)?,
        "statement-cache-capacity" => {
            let capacity: u32 =
                value.parse().map_err(|_| InvalidUrl::new(format!("has a {name} that is no number")))?;
            keep(name, capacity.to_string());
        }
        _ => return Err(parts::unknown_parameter(name, KNOWN)),
    }
    Ok(())
}

/// Sessions speak utf8mb4, so that what is written is what is read; another character set is refused.
pub(super) fn charset(value: &str) -> Result<(), InvalidUrl> {
    if value.split(',').all(|name| matches!(name.to_ascii_lowercase().as_str(), "utf8mb4" | "utf8")) {
        return Ok(());
    }
    Err(InvalidUrl::new("has a charset that is not utf8mb4"))
}
