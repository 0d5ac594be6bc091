//! Ports for servers and proxies.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::{Mutex, PoisonError};

use super::error::Error;

/// Below the range that systems give to outgoing connections (32768 up on Linux, 49152 up elsewhere), so that the port
/// of a server that is down for a moment is still free when it comes back; above everything well known.
const FIRST: u16 = 15_000;
const LAST: u16 = 31_999;

/// The ports that were given out last, each kept by a socket of UDP, which none of the servers uses: so that the port of a
/// server or a proxy that is down for a moment goes to nobody else, in this process or in another that runs tests. They are
/// free again when the process has ended, however that comes.
static KEPT: Mutex<VecDeque<UdpSocket>> = Mutex::new(VecDeque::new());
/// More than are down at the same time, and fewer than the files that a process may have open.
const MOST_KEPT: usize = 400;

/// A port of 127.0.0.1 that nobody listens on at this moment, and that is given to nobody else for now.
pub(super) fn free() -> Result<u16, Error> {
    let mut failure = None;
    for _ in 0..1_000 {
        // Random rather than the next one: several runs on one machine would all try the same.
        let random = uuid::Uuid::new_v4().as_u128();
        let port = FIRST + u16::try_from(random % u128::from(LAST - FIRST)).unwrap_or_default();
        let address = (Ipv4Addr::LOCALHOST, port);
        match UdpSocket::bind(address).and_then(|kept| TcpListener::bind(address).map(|_| kept)) {
            Ok(kept) => {
                let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
                all.push_back(kept);
                if all.len() > MOST_KEPT {
                    all.pop_front();
                }
                return Ok(port);
            }
            Err(error) => failure = Some(error),
        }
    }
    Err(Error::io("finding a free port")(failure.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_nobody_listens_on_any_more_is_given_to_nobody_else() {
        let port = free().unwrap();
        // Whoever asks for a port, in any process, passes over those that are taken here.
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_err());
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    }
}
