//! Where Redis is: [`RedisUrl`], a checked URL that keeps its password to itself.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use url::Host;

use super::InvalidUrl;
use super::parts::{self, Parts};
use crate::config::secret::Secret;

const KNOWN: &[&str] = &["master", "protocol"];
const DEFAULT_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// How the Redis servers behind a URL stand to one another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RedisTopology {
    /// One server: `redis://`, `rediss://` (TLS), `unix://` (a socket).
    Single,
    /// The URL's hosts are sentinels, asked for the address of the master of this name: `redis-sentinel://`.
    Sentinel {
        /// The name the sentinels know the master by.
        master: String,
    },
    /// The URL's hosts are some of a cluster's nodes, which know the others: `redis-cluster://`.
    Cluster,
}

/// The URL of Redis: checked, with its password hidden from Debug, Display and Serialize.
///
/// | form | is |
/// | --- | --- |
/// | `redis://user:password@host:6379/0` | one server; `rediss://` for TLS, `valkey://` is the same |
/// | `unix:///run/redis.sock` | one server behind a socket |
/// | `redis-sentinel://:password@s1:26379,s2:26379/0?master=mymaster` | sentinels; `rediss-sentinel://` for TLS |
/// | `redis-cluster://:password@n1:6379,n2:6379` | a cluster; `rediss-cluster://` for TLS |
///
/// ```
/// use stanchion::config::{RedisTopology, RedisUrl};
///
/// let url: RedisUrl = "redis://:s3cret@cache".parse()?;
/// assert_eq!(url.topology(), &RedisTopology::Single);
/// assert_eq!(url.to_string(), "redis://:***@cache:6379/0");
/// assert_eq!(url.node_urls().next().unwrap().expose(), "redis://:s3cret@cache:6379/0");
/// # Ok::<(), stanchion::config::InvalidUrl>(())
/// ```
#[derive(Clone)]
pub struct RedisUrl {
    topology: RedisTopology,
    tls: bool,
    nodes: Vec<Parts>,
    socket: Option<String>,
    database: u32,
}

impl RedisUrl {
    /// One server at `host:port` or `host`, as `distributed_lock.redis` gives it.
    pub(in crate::config) fn of_address(
        address: &str,
        password: Option<Secret>,
        database: u32,
    ) -> Result<Self, InvalidUrl> {
        let mut url: Self = if address.contains("://") {
            address.parse()?
        } else if address.contains(['@', '/', '?', '#']) {
            return Err(InvalidUrl::new("is neither host:port nor a URL such as redis://host:port"));
        } else {
            format!("redis://{address}").parse()?
        };
        if let Some(password) = password {
            if url.password().is_some() {
                return Err(InvalidUrl::new("holds a password, and so does the key beside it: give one"));
            }
            for node in &mut url.nodes {
                node.password = Some(password.clone());
            }
        }
        if database != 0 {
            if url.database != 0 && url.database != database {
                return Err(InvalidUrl::new("holds a database, and the key beside it another: give one"));
            }
            url.database = database;
        }
        url.check()
    }

    /// How the servers stand to one another.
    #[must_use]
    pub const fn topology(&self) -> &RedisTopology {
        &self.topology
    }

    /// Whether the connections are encrypted.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.tls
    }

    /// The number of the logical database; always 0 in a cluster.
    #[must_use]
    pub const fn database(&self) -> u32 {
        self.database
    }

    /// The user to authenticate as, if one is named.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.nodes.first().and_then(|node| node.user.as_deref())
    }

    /// The password, if one is given.
    #[must_use]
    pub fn password(&self) -> Option<&Secret> {
        self.nodes.first().and_then(|node| node.password.as_ref())
    }

    /// Host and port of every server named; empty for a socket.
    pub fn addresses(&self) -> impl Iterator<Item = (String, u16)> + '_ {
        let port = self.default_port();
        self.nodes.iter().filter_map(move |node| Some((node.host.as_ref()?.to_string(), node.port.unwrap_or(port))))
    }

    /// One URL a server, with the password, as the crate `redis` reads them: keep them out of logs, errors and metrics.
    pub fn node_urls(&self) -> impl Iterator<Item = Secret> + '_ {
        self.nodes.iter().map(|node| Secret::from(self.write(std::slice::from_ref(node), self.node_scheme(), true)))
    }

    /// How `distributed_lock.redis.addr` is written: `host:port` where that says it all, else the URL.
    pub(in crate::config) fn address(&self) -> String {
        match (&self.topology, self.tls, self.addresses().next()) {
            (RedisTopology::Single, false, Some((host, port))) if self.user().is_none() => format!("{host}:{port}"),
            _ => self.to_string(),
        }
    }

    const fn node_scheme(&self) -> &'static str {
        if self.socket.is_some() {
            "unix"
        } else if self.tls {
            "rediss"
        } else {
            "redis"
        }
    }

    const fn default_port(&self) -> u16 {
        match self.topology {
            RedisTopology::Sentinel { .. } => SENTINEL_PORT,
            RedisTopology::Single | RedisTopology::Cluster => DEFAULT_PORT,
        }
    }

    fn write(&self, nodes: &[Parts], scheme: &str, expose: bool) -> String {
        if let Some(socket) = &self.socket {
            let mut parameters = vec![("db".to_owned(), self.database.to_string())];
            parameters.extend(self.user().map(|user| ("user".to_owned(), user.to_owned())));
            let password = self.password().map(|secret| if expose { secret.expose() } else { super::HIDDEN });
            let mut url = format!("{scheme}://{socket}");
            parts::write_query(&mut url, &parameters);
            if let Some(password) = password {
                url.push_str("&pass=");
                url.push_str(&if expose { parts::encode(password) } else { password.to_owned() });
            }
            return url;
        }
        let mut url = format!("{scheme}://");
        if let Some(first) = nodes.first() {
            first.write_credentials(&mut url, expose);
        }
        for (i, node) in nodes.iter().enumerate() {
            if i > 0 {
                url.push(',');
            }
            let host = node.host.as_ref().map_or_else(|| "localhost".to_owned(), Host::to_string);
            url.push_str(&format!("{host}:{}", node.port.unwrap_or_else(|| self.default_port())));
        }
        url.push_str(&format!("/{}", self.database));
        url
    }

    fn check(self) -> Result<Self, InvalidUrl> {
        if self.topology == RedisTopology::Cluster && self.database != 0 {
            return Err(InvalidUrl::new("asks for a database, but a cluster has database 0 alone"));
        }
        if self.topology == RedisTopology::Single && self.nodes.len() > 1 {
            return Err(InvalidUrl::new(
                "names several hosts: start it with redis-cluster:// or redis-sentinel://, or name one",
            ));
        }
        Ok(self)
    }
}

impl FromStr for RedisUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let not_redis = || InvalidUrl::new("is not a URL of Redis, such as redis://127.0.0.1:6379");
        let (scheme, rest) = text.split_once("://").ok_or_else(not_redis)?;
        let (tls, kind) = match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => (false, "single"),
            "rediss" | "valkeys" => (true, "single"),
            "redis-sentinel" => (false, "sentinel"),
            "rediss-sentinel" => (true, "sentinel"),
            "redis-cluster" => (false, "cluster"),
            "rediss-cluster" => (true, "cluster"),
            "unix" | "redis+unix" | "valkey+unix" => return of_socket(rest),
            _ => return Err(not_redis()),
        };
        let (nodes, parameters, database) = nodes(rest)?;
        let mut master = None;
        for (name, value) in parameters {
            match name.as_str() {
                "master" if kind == "sentinel" && !value.is_empty() => master = Some(value),
                // The connection room chooses RESP3 itself.
                "protocol" => {}
                _ => return Err(parts::unknown_parameter(&name, KNOWN)),
            }
        }
        let topology = match (kind, master) {
            ("single", _) => RedisTopology::Single,
            ("cluster", _) => RedisTopology::Cluster,
            (_, Some(master)) => RedisTopology::Sentinel { master },
            (_, None) => return Err(InvalidUrl::new("names no master: redis-sentinel://host:26379/0?master=NAME")),
        };
        Self { topology, tls, nodes, socket: None, database }.check()
    }
}

type Nodes = (Vec<Parts>, Vec<(String, String)>, u32);

/// Reads `user:password@host:port,host:port/database?parameters`, which the parser of URLs reads one host at a time.
fn nodes(rest: &str) -> Result<Nodes, InvalidUrl> {
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let (credentials, hosts) = authority.rsplit_once('@').map_or(("", authority), |(c, h)| (c, h));
    let mut nodes = Vec::new();
    let mut shared = None;
    for host in hosts.split(',') {
        if host.is_empty() {
            return Err(InvalidUrl::new("names no host: redis://HOST:6379"));
        }
        let at = if credentials.is_empty() { "" } else { "@" };
        let mut node = Parts::of_url(&format!("redis://{credentials}{at}{host}{tail}"))?;
        shared = Some((std::mem::take(&mut node.parameters), node.database.take()));
        nodes.push(node);
    }
    let (parameters, database) = shared.unwrap_or_default();
    Ok((nodes, parameters, number(database.as_deref())?))
}

fn of_socket(rest: &str) -> Result<RedisUrl, InvalidUrl> {
    if rest.chars().any(char::is_control) || rest.contains('#') {
        return Err(InvalidUrl::new("holds a control character or a #"));
    }
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    if !path.starts_with('/') {
        return Err(InvalidUrl::new("names no socket: unix:///run/redis.sock"));
    }
    if path.contains('@') {
        return Err(InvalidUrl::new("has an @ in its path; a password is given as unix:///path?pass=PASSWORD"));
    }
    let mut node = Parts::default();
    let mut database = None;
    for (name, value) in parts::query(query)? {
        match name.as_str() {
            "db" => database = Some(value),
            "user" => node.user = Some(value),
            "pass" | "password" => node.password = Some(Secret::from(value)),
            "protocol" => {}
            _ => return Err(parts::unknown_parameter(&name, &["db", "user", "pass"])),
        }
    }
    let database = number(database.as_deref())?;
    let socket = Some(path.to_owned());
    Ok(RedisUrl { topology: RedisTopology::Single, tls: false, nodes: vec![node], socket, database })
}

fn number(database: Option<&str>) -> Result<u32, InvalidUrl> {
    let number = database.map(str::parse).transpose();
    Ok(number.map_err(|_| InvalidUrl::new("has a database that is not a number: redis://host:6379/0"))?.unwrap_or(0))
}

impl PartialEq for RedisUrl {
    fn eq(&self, other: &Self) -> bool {
        let text = |url: &Self| (url.topology.clone(), url.write(&url.nodes, url.node_scheme(), true));
        text(self) == text(other)
    }
}

impl Eq for RedisUrl {}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (&self.topology, self.tls) {
            (RedisTopology::Single, _) => self.node_scheme(),
            (RedisTopology::Sentinel { .. }, false) => "redis-sentinel",
            (RedisTopology::Sentinel { .. }, true) => "rediss-sentinel",
            (RedisTopology::Cluster, false) => "redis-cluster",
            (RedisTopology::Cluster, true) => "rediss-cluster",
        };
        f.write_str(&self.write(&self.nodes, scheme, false))?;
        if let RedisTopology::Sentinel { master } = &self.topology {
            write!(f, "?master={}", parts::encode(master))?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisUrl({self})")
    }
}

impl Serialize for RedisUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
