use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult,
    TlsMode, Value,
};

use super::client::Options;
use super::error::is_untrusted;
use crate::config::{RedisTopology, RedisUrl};

/// A connection that many callers share: to one server, or to the nodes of a cluster.
#[derive(Clone)]
pub(super) enum Link {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    /// Connects; with sentinels, to the master that they name now. Timeouts are the caller's.
    pub(super) async fn connect(url: &RedisUrl, options: &Options) -> RedisResult<Self> {
        if *url.topology() == RedisTopology::Cluster {
            provide(url);
            let builder = ClusterClient::builder(url.node_urls().map(|url| url.expose().to_owned()))
                // It waits for every node that is named and then for those that they name: one that takes connections
                // and does not answer must not use up the time that the whole may take.
                .connection_timeout(options.connect_timeout / 4)
                .response_timeout(options.command_timeout)
                // What fails for good is reported at once; the circuit knows how long to leave it alone.
                .retries(3)
                .min_retry_wait(10)
                .max_retry_wait(100);
            return match builder.build()?.get_async_connection().await {
                Ok(link) => Ok(Self::Cluster(link)),
                Err(error) => Err(reason(url, options).await.unwrap_or(error)),
            };
        }
        let client = server(url).await?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(options.connect_timeout))
            .set_response_timeout(None);
        Ok(Self::Server(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    /// A connection for subscriptions; `turn` chooses among a cluster's nodes, each of which hears every message.
    pub(super) async fn subscriber(url: &RedisUrl, turn: usize) -> RedisResult<PubSub> {
        if *url.topology() == RedisTopology::Cluster {
            provide(url);
            let nodes = url.node_urls().count().max(1);
            let node = url.node_urls().nth(turn % nodes).ok_or(NO_NODE)?;
            return Client::open(node.expose())?.get_async_pubsub().await;
        }
        server(url).await?.get_async_pubsub().await
    }
}

/// Why no node of a cluster can be connected to: its own error says that in words alone.
async fn reason(url: &RedisUrl, options: &Options) -> Option<RedisError> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(Some(options.connect_timeout / 4));
    let nodes = url.node_urls().filter_map(|node| Client::open(node.expose()).ok());
    let attempts = nodes.map(|node| {
        let config = config.clone();
        async move { node.get_multiplexed_async_connection_with_config(&config).await.err() }
    });
    let errors = futures::future::join_all(attempts).await.into_iter().flatten();
    errors.into_iter().find(|error| error.kind() != ErrorKind::Io || is_untrusted(error))
}

/// The crate asks rustls for the provider of the process, and rustls panics if there is none and it cannot choose one: with
/// two of them among the dependencies of a service. An application that has installed its own keeps it.
fn provide(url: &RedisUrl) {
    if url.is_tls() && rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error: somebody else has just installed one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

const NO_NODE: (ErrorKind, &str) = (ErrorKind::InvalidClientConfig, "no node is named");

/// The server, or the master that the sentinels name.
async fn server(url: &RedisUrl) -> RedisResult<Client> {
    provide(url);
    match url.topology() {
        RedisTopology::Sentinel { master } => sentinels(url, master)?.async_get_client().await,
        RedisTopology::Single | RedisTopology::Cluster => Client::open(url.node_urls().next().ok_or(NO_NODE)?.expose()),
    }
}

fn sentinels(url: &RedisUrl, master: &str) -> RedisResult<SentinelClient> {
    let addresses = url.addresses().map(|(host, port)| match url.is_tls() {
        true => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
        false => ConnectionAddr::Tcp(host, port),
    });
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
        .set_client_to_redis_db(url.database().into());
    if url.is_tls() {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(user) = url.user() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = url.password() {
        builder = builder.set_client_to_redis_password(password.expose());
    }
    builder.build()
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(link) => link.req_packed_command(cmd),
            Self::Cluster(link) => link.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(link) => link.req_packed_commands(pipeline, offset, count),
            Self::Cluster(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(link) => link.get_db(),
            Self::Cluster(link) => link.get_db(),
        }
    }
}
