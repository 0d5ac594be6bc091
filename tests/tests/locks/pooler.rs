//! `PgBouncer` between the locks of sessions and their server: whole sessions will do, shared ones are refused.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stanchion::config::Database;
use stanchion::lock::{Attempt, LockError, LockName, LockStore as _, Owner, SessionStore};
use stanchion_tests::testbed::{Backend, TestDatabase, eventually};
use url::Url;

/// Where packages put it.
const PROGRAMS: [&str; 3] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"];
const LONG: Duration = Duration::from_secs(60);

struct Pooler {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Pooler {
    /// In front of a database, on a free port, lending for a `session` or a `transaction` at a time.
    async fn start(program: &str, database: &TestDatabase, lends: &str) -> Self {
        let server = Url::parse(database.url()).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "[databases]\npooled = host=127.0.0.1 port={} dbname={} user={} password={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {lends}\n\
             ignore_startup_parameters = extra_float_digits,options\n",
            server.port().unwrap(),
            server.path().trim_start_matches('/'),
            server.username(),
            server.password().unwrap_or_default(),
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).unwrap();
        let mut command = Command::new(program);
        command.arg("-q").arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if nix::unistd::geteuid().is_root() {
            // It refuses to be root.
            let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
            std::os::unix::fs::chown(folder.path(), Some(nobody.uid.as_raw()), None).unwrap();
            std::os::unix::fs::chown(&file, Some(nobody.uid.as_raw()), None).unwrap();
            command.uid(nobody.uid.as_raw());
        }
        let child = command.spawn().unwrap();
        eventually("it listens", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
        Self { child, url: format!("postgres://anybody@127.0.0.1:{port}/pooled"), _folder: folder }
    }

    async fn acquire(&self) -> Result<Attempt, LockError> {
        let store = SessionStore::new(&Database::new(self.url.parse().unwrap()), "pooled").unwrap();
        let (name, owner) = (LockName::try_from("a").unwrap(), Owner::new("test"));
        let attempt = store.acquire(&name, &owner, LONG, Duration::ZERO).await?;
        assert!(store.extend(&name, &owner, LONG).await.unwrap());
        assert!(store.release(&name, &owner).await.unwrap());
        Ok(attempt)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_shares_sessions_is_refused_and_one_that_lends_them_is_not() {
    let Some(database) = TestDatabase::empty(Backend::Postgres).await else { return };
    let Some(program) = PROGRAMS.into_iter().find(|program| Path::new(program).exists()) else {
        let required = std::env::var_os("STANCHION_TEST_REQUIRE").is_some_and(|value| value == "all");
        assert!(!required, "pgbouncer is missing, and STANCHION_TEST_REQUIRE=all asks for every server");
        eprintln!("pgbouncer is missing; its test did not run: use ./scripts/test");
        return;
    };
    for _ in 0..3 {
        let refused = Pooler::start(program, &database, "transaction").await.acquire().await.unwrap_err();
        assert!(matches!(refused, LockError::Options(_)), "{refused:?}");
        assert!(refused.to_string().contains("pooler"), "{refused}");
    }
    let attempt = Pooler::start(program, &database, "session").await.acquire().await.unwrap();
    assert!(matches!(attempt, Attempt::Granted { .. }));
}
