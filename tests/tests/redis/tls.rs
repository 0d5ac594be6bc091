//! `rediss://`, `rediss-sentinel://` and `rediss-cluster://`: certificates are checked, users and passwords too, nothing has
//! to be installed first, and whoever is refused is told what to do.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use stanchion::redis::{Event, RedisErrorKind};
use stanchion_tests::testbed::{self, RedisCluster, RedisSentinel, Tls, available};
use tempfile::TempDir;

use crate::places::{next, patient};
use crate::refusals::words;

const URL: &str = "STANCHION_TEST_REDIS_TLS";
/// An account that is not the default one.
const USER: &str = "app";
const PASSWORD: &str = "app-s3cret";
const ACL: (&str, &str) = ("user", "app on >app-s3cret ~* &* +@all");

/// A certificate for 127.0.0.1 that nobody trusts yet, and the folder that it lives in.
fn certificate() -> (TempDir, Tls) {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls { certificate: folder.path().join("certificate.pem"), key: folder.path().join("key.pem") };
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&tls.certificate, made.cert.pem()).unwrap();
    std::fs::write(&tls.key, made.signing_key.serialize_pem()).unwrap();
    (folder, tls)
}

/// The URL as a user with a password.
fn as_user(url: &str, user: &str, password: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    format!("{scheme}://{user}:{password}@{}", rest.split_once('@').unwrap().1)
}

/// The system's certificates are read from where the environment says, which a process must not change while it has threads:
/// what needs trust is proved by this very test in a process of its own.
async fn is_refused_until_it_is_trusted(test: &str, url: &str, tls: &Tls) {
    let redis = patient(url);
    for _ in 0..2 {
        let error = redis.get("k").await.unwrap_err();
        assert_eq!(error.cause(), RedisErrorKind::Untrusted, "nobody trusts it yet: {error:?}");
        assert!(!error.is_in_doubt());
        let words = words(&error, &redis);
        assert!(!words.contains("s3cret"), "{words}");
    }
    let error = patient(url).get("k").await.unwrap_err();
    assert!(error.to_string().contains("SSL_CERT_FILE"), "it says what to do: {error}");
    assert_eq!((error.kind(), error.is_unavailable()), (RedisErrorKind::Untrusted, false));

    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env(URL, url).env("SSL_CERT_FILE", &tls.certificate);
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// What one can do who trusts the certificate; `true` in the process that does.
async fn is_served() -> bool {
    let Ok(url) = std::env::var(URL) else { return false };
    let redis = patient(&url);
    let mut subscription = redis.subscribe(vec!["news".to_owned()]);
    // In every shard of a cluster.
    for n in 0..50 {
        let (key, value) = (format!("key {n}"), format!("value {n}"));
        redis.set(&key, value.as_bytes(), None).await.unwrap();
        assert_eq!(redis.get(&key).await.unwrap().as_deref(), Some(value.as_bytes()));
    }
    redis.ping().await.unwrap();
    assert_eq!(next(&mut subscription).await, Event::Listening);
    redis.publish("news", b"x").await.unwrap();
    assert_eq!(next(&mut subscription).await, Event::Message { channel: "news".to_owned(), payload: b"x".to_vec() });

    for (user, password) in [(USER, "wr0ng-s3cret"), ("nobody", PASSWORD), ("", "wr0ng-s3cret")] {
        let refused = patient(&as_user(&url, user, password));
        let error = refused.get("k").await.unwrap_err();
        assert_eq!(error.kind(), RedisErrorKind::PermissionDenied, "{user}: {error:?}");
        assert!(error.to_string().contains("check user and password"), "{error}");
        assert!(!words(&error, &refused).contains("s3cret"), "{}", words(&error, &refused));
    }
    true
}

/// The certificate is for 127.0.0.1: the same server under another name is not trusted.
async fn is_for_its_host_alone() {
    let url = std::env::var(URL).unwrap().replace("127.0.0.1", "localhost");
    let error = patient(&url).get("k").await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::Untrusted, "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_certificate_is_trusted_is_used_and_another_is_not() {
    if is_served().await {
        return is_for_its_host_alone().await;
    }
    let (_folder, tls) = certificate();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port().to_string();
    let settings = [
        ("tls-port", port.as_str()),
        ("tls-cert-file", tls.certificate.to_str().unwrap()),
        ("tls-key-file", tls.key.to_str().unwrap()),
        ("tls-ca-cert-file", tls.certificate.to_str().unwrap()),
        ("tls-auth-clients", "no"),
        ACL,
    ];
    let Some(_server) = available(testbed::Redis::start_with(&settings).await) else { return };
    let url = format!("rediss://{USER}:{PASSWORD}@127.0.0.1:{port}");
    let test = "tls::a_server_whose_certificate_is_trusted_is_used_and_another_is_not";
    is_refused_until_it_is_trusted(test, &url, &tls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sentinels_whose_certificate_is_trusted_are_used_and_others_are_not() {
    if is_served().await {
        return is_for_its_host_alone().await;
    }
    let (_folder, tls) = certificate();
    let Some(sentinel) = available(RedisSentinel::start_tls(&tls, &[ACL]).await) else { return };
    let test = "tls::sentinels_whose_certificate_is_trusted_are_used_and_others_are_not";
    is_refused_until_it_is_trusted(test, &as_user(&sentinel.url(), USER, PASSWORD), &tls).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_certificate_is_trusted_is_used_and_another_is_not() {
    if is_served().await {
        return is_for_its_host_alone().await;
    }
    let (_folder, tls) = certificate();
    let Some(cluster) = available(RedisCluster::start_tls(3, &tls, &[ACL]).await) else { return };
    let test = "tls::a_cluster_whose_certificate_is_trusted_is_used_and_another_is_not";
    is_refused_until_it_is_trusted(test, &as_user(&cluster.url(), USER, PASSWORD), &tls).await;
}
