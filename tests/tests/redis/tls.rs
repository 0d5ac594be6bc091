//! `rediss://`: certificates are checked, and nothing has to be installed first.

use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;

use stanchion::redis::RedisErrorKind;
use stanchion_tests::testbed::{Redis, available};

use crate::places::handle;

const URL: &str = "STANCHION_TEST_REDIS_TLS";

/// The system's certificates are read from where the environment says, which a process must not change while it has threads:
/// the claim is proved by this very test in a process of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_certificate_is_taken_and_another_is_not() {
    if let Ok(url) = std::env::var(URL) {
        let redis = handle(&url);
        redis.set("k", b"v", None).await.unwrap();
        assert_eq!(redis.get("k").await.unwrap().as_deref(), Some(b"v".as_slice()));
        return;
    }

    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port().to_string();
    let settings = [
        ("tls-port", port.as_str()),
        ("tls-cert-file", certificate.to_str().unwrap()),
        ("tls-key-file", key.to_str().unwrap()),
        ("tls-ca-cert-file", certificate.to_str().unwrap()),
        ("tls-auth-clients", "no"),
    ];
    let Some(server) = available(Redis::start_with(&settings).await) else { return };
    let (plain, _) = server.url().rsplit_once(':').unwrap();
    let url = format!("{}:{port}", plain.replacen("redis://", "rediss://", 1));

    let error = handle(&url).get("k").await.unwrap_err();
    assert_eq!(error.kind(), RedisErrorKind::Unavailable, "nobody trusts it yet: {error:?}");

    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "tls::a_trusted_certificate_is_taken_and_another_is_not", "--nocapture"]);
    child.env(URL, &url).env("SSL_CERT_FILE", &certificate);
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
