//! Certificates for servers that encrypt.

use std::path::PathBuf;

/// The files of a certificate that servers show to clients, and to one another.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The certificate, which is its own authority: PEM.
    pub certificate: PathBuf,
    /// Its key: PEM.
    pub key: PathBuf,
}

impl Tls {
    /// The settings of a Redis server that takes encrypted connections on this port, of clients without a certificate, and
    /// encrypts what it says to other servers.
    pub(super) fn settings(&self, port: u16) -> [(&'static str, String); 7] {
        let (certificate, key) = (self.certificate.display().to_string(), self.key.display().to_string());
        [
            ("tls-port", port.to_string()),
            ("tls-cert-file", certificate.clone()),
            ("tls-ca-cert-file", certificate),
            ("tls-key-file", key),
            ("tls-auth-clients", "no".to_owned()),
            ("tls-replication", "yes".to_owned()),
            ("tls-cluster", "yes".to_owned()),
        ]
    }
}
