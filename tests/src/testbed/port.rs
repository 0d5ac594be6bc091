//! Ports for servers and proxies.

use std::net::{Ipv4Addr, TcpListener};

use super::error::Error;

/// Below the range that systems give to outgoing connections (32768 up on Linux, 49152 up elsewhere), so that the port
/// of a server that is down for a moment is still free when it comes back; above everything well known.
const FIRST: u16 = 15_000;
const LAST: u16 = 31_999;

/// A port of 127.0.0.1 that nobody listens on at this moment.
pub(super) fn free() -> Result<u16, Error> {
    let mut failure = None;
    for _ in 0..1_000 {
        // Random rather than the next one: several runs on one machine would all try the same.
        let random = uuid::Uuid::new_v4().as_u128();
        let port = FIRST + u16::try_from(random % u128::from(LAST - FIRST)).unwrap_or_default();
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(error) => failure = Some(error),
        }
    }
    Err(Error::io("finding a free port")(failure.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into())))
}
