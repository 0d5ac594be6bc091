//! A wire between a client and a server on loopback, to be cut, stalled and delayed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use url::Url;

use super::error::Error;
use super::port;

/// How many pieces may be under way in one direction, so that a stalled wire holds back its sender.
const UNDER_WAY: usize = 64;

/// A TCP proxy on 127.0.0.1 in front of one server. It works as long as it lives, on the runtime that made it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    wire: Wire,
    condition: watch::Sender<Condition>,
    connections: Arc<Mutex<JoinSet<()>>>,
    /// `None` while the wire is cut.
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone, Debug)]
struct Wire {
    server: SocketAddr,
    /// The era that it was connected in.
    born: u64,
    condition: watch::Receiver<Condition>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Condition {
    stalled: bool,
    /// Connections of earlier eras are silent for good.
    era: u64,
    delay: Duration,
}

impl Proxy {
    /// Puts a proxy in front of the server at `server`, such as `(Ipv4Addr::LOCALHOST, server.port())`.
    ///
    /// # Errors
    /// If no port can be listened on.
    pub async fn to(server: impl Into<SocketAddr>) -> Result<Self, Error> {
        let listener = loop {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port::free()?));
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(Error::io(format!("listening on {address}"))(error)),
            }
        };
        let address = listener.local_addr().map_err(Error::io("asking for a proxy's address"))?;
        let (condition, receiver) = watch::channel(Condition::default());
        let wire = Wire { server: server.into(), born: 0, condition: receiver };
        let connections = Arc::default();
        let acceptor = tokio::spawn(accept(listener, wire.clone(), Arc::clone(&connections)));
        Ok(Self { address, wire, condition, connections, acceptor: Mutex::new(Some(acceptor)) })
    }

    /// Where clients connect, also after a cut.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `server_url` with the proxy's address in place of the server's.
    ///
    /// # Errors
    /// If `server_url` is not a URL with a host.
    pub fn url(&self, server_url: &str) -> Result<String, Error> {
        let invalid = |source| Error::Address { variable: "the server's address".to_owned(), source };
        let mut url = Url::parse(server_url).map_err(invalid)?;
        url.set_ip_host(self.address.ip()).map_err(|()| invalid(url::ParseError::EmptyHost))?;
        url.set_port(Some(self.address.port())).map_err(|()| invalid(url::ParseError::InvalidPort))?;
        Ok(url.into())
    }

    /// Closes every connection and refuses new ones. Returns when that is so.
    pub async fn cut(&self) {
        if let Some(acceptor) = self.acceptor.lock().await.take() {
            acceptor.abort();
            // An error says that it was aborted: its listener is closed.
            let _ = acceptor.await;
        }
        self.connections.lock().await.shutdown().await;
    }

    /// Keeps connections and takes new ones, and forwards nothing until [`restore`](Self::restore); what was sent
    /// meanwhile arrives then.
    pub fn stall(&self) {
        self.condition.send_modify(|condition| condition.stalled = true);
    }

    /// What is connected now falls silent for good and is not closed, as behind a router that has forgotten it. New connections
    /// work.
    pub fn strand(&self) {
        self.condition.send_modify(|condition| condition.era += 1);
    }

    /// From now on everything arrives this much later, in each direction: a round trip takes twice as long.
    pub fn delay(&self, delay: Duration) {
        self.condition.send_modify(|condition| condition.delay = delay);
    }

    /// A whole wire again: neither cut nor stalled nor delayed. What was stranded stays so.
    ///
    /// # Errors
    /// If another process has taken the port since the cut.
    pub async fn restore(&self) -> Result<(), Error> {
        self.condition.send_modify(|condition| *condition = Condition { era: condition.era, ..Condition::default() });
        let mut acceptor = self.acceptor.lock().await;
        if acceptor.is_none() {
            let listener = TcpListener::bind(self.address).await;
            let listener = listener.map_err(Error::io(format!("listening on {} again", self.address)))?;
            *acceptor = Some(tokio::spawn(accept(listener, self.wire.clone(), Arc::clone(&self.connections))));
        }
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(acceptor) = self.acceptor.get_mut().take() {
            acceptor.abort();
        }
        // The connections end with the set of them, which nobody holds any more.
    }
}

async fn accept(listener: TcpListener, wire: Wire, connections: Arc<Mutex<JoinSet<()>>>) {
    while let Ok((client, _)) = listener.accept().await {
        let mut connections = connections.lock().await;
        // What has ended is forgotten, so that a long test does not collect it.
        while connections.try_join_next().is_some() {}
        let born = wire.condition.borrow().era;
        connections.spawn(connect(client, Wire { born, ..wire.clone() }));
    }
}

async fn connect(client: TcpStream, mut wire: Wire) {
    // A server beyond a stalled wire is not even reached.
    if wire.flowing().await.is_none() {
        return;
    }
    let Ok(server) = TcpStream::connect(wire.server).await else { return };
    // A proxy must not add delays of its own.
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    tokio::join!(
        forward(client_reads, server_writes, wire.clone()),
        forward(server_reads, client_writes, wire.clone()),
    );
}

/// Forwards one direction to its end: what was read waits its delay, without holding up what is read behind it.
async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut wire: Wire) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
    let delays = wire.condition.clone();
    let read = async move {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + delays.borrow().delay;
            let piece = buffer.get(..length).unwrap_or_default().to_vec();
            if sender.send((due, piece)).await.is_err() {
                return;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = pieces.recv().await {
            sleep_until(due).await;
            if wire.flowing().await.is_none() || to.write_all(&piece).await.is_err() {
                return;
            }
        }
        // The sender has closed its side: pass that on, the other direction may still have something to say.
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

impl Wire {
    /// Waits while the wire is stalled, or for ever if it is stranded; `None` when the proxy is gone.
    async fn flowing(&mut self) -> Option<()> {
        let born = self.born;
        self.condition.wait_for(|condition| !condition.stalled && condition.era == born).await.ok().map(drop)
    }
}
