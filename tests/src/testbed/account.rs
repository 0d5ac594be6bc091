//! The system account that a server runs as.

use std::os::unix::fs::chown;
use std::path::Path;

use nix::unistd::{User, geteuid};

use super::error::Error;
use super::server::Kind;

/// A system account other than the caller's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Account {
    /// The account that `kind` must be given when the caller is root, which PostgreSQL and MariaDB refuse to run as.
    pub(super) fn needed_by(kind: Kind) -> Result<Option<Self>, Error> {
        let name = match kind {
            Kind::Postgres => "postgres",
            Kind::MariaDb => "mysql",
            Kind::Redis => return Ok(None),
        };
        if !geteuid().is_root() {
            return Ok(None);
        }
        let user = User::from_name(name).map_err(|errno| Error::io(format!("looking up {name}"))(errno.into()))?;
        let user = user.ok_or(Error::NoAccount { kind, name })?;
        Ok(Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }))
    }

    /// Makes `path` this account's.
    pub(super) fn own(self, path: &Path) -> Result<(), Error> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(Error::io(format!("chown {}", path.display())))
    }
}
