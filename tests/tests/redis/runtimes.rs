//! Handles that outlive a runtime.

use std::net::Ipv4Addr;
use std::time::Duration;

use stanchion::redis::{CircuitState, Options, Redis};
use stanchion_tests::testbed::{Proxy, eventually, redis_url};
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn an_open_circuit_is_probed_though_the_runtime_that_opened_it_is_gone() {
    let Some(url) = redis_url() else { return };
    let (first, rest) = (runtime(), runtime());
    let port = url::Url::parse(&url).unwrap().port().unwrap();
    let proxy = rest.block_on(Proxy::to((Ipv4Addr::LOCALHOST, port))).unwrap();
    let options = Options { connect_timeout: Duration::from_secs(1), command_timeout: Duration::from_secs(1) };
    let redis = Redis::new(proxy.url(&url).unwrap().parse().unwrap(), options);
    first.block_on(redis.ping()).unwrap();
    rest.block_on(proxy.cut());
    assert!(first.block_on(redis.ping()).is_err());
    assert_ne!(redis.circuit(), CircuitState::Closed);
    drop(first);
    rest.block_on(async {
        proxy.restore().await.unwrap();
        eventually("it is asked again", async || redis.ping().await.is_ok()).await;
    });
    // The proxy ends on the runtime that made it.
    let _entered = rest.enter();
    drop(proxy);
}
