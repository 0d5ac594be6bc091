//! `stanchion dev` and `stanchion serve`, run as they are: in a directory of their own, asked over HTTP, ended by signals.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(60);

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stanchion"));
    command.args(args).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

/// What a command that ends by itself says on standard error, and its exit status.
fn refused(mut command: Command) -> (String, Option<i32>) {
    let output = command.output().unwrap();
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    (String::from_utf8(output.stderr).unwrap(), output.status.code())
}

/// A service that runs, and is killed if the test fails.
struct Service {
    child: Child,
    ready: Value,
    address: SocketAddr,
}

impl Service {
    /// Starts it at a port of its own, and waits until it says that it is ready.
    fn start(folder: &Path, args: &[&str]) -> Self {
        let args = [args, &["--json", "--addr", "127.0.0.1:0"]].concat();
        let mut child = command(folder, &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(ready) = serde_json::from_str::<Value>(&line) else {
            let _ = child.kill();
            panic!("it is not ready: {}", text(child.stderr.take().unwrap()));
        };
        assert_eq!(ready["event"], "ready");
        let address = ready["url"].as_str().unwrap().trim_start_matches("http://").parse().unwrap();
        Self { child, ready, address }
    }

    fn get(&self, path: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// Its exit status, and what it logged.
    fn wait(mut self) -> (ExitStatus, String) {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, text(self.child.stderr.take().unwrap()));
            }
            assert!(since.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(mut stderr: ChildStderr) -> String {
    let mut text = String::new();
    stderr.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn dev_makes_a_database_fills_it_and_serves_it_until_it_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &["dev"]);
    assert_eq!(service.ready["seeded"], json!({"users": 12, "trades": 4000}));
    assert_eq!(service.ready["databases"][0]["url"], "sqlite://data/stanchion.db");

    assert_eq!(service.get("/health").0, 200);
    let (status, trades) = service.get("/api/v1/trades?symbol=ETHUSDT&limit=5");
    assert_eq!((status, trades["items"].as_array().unwrap().len()), (200, 5));
    assert!(trades["next"].is_string());
    let (_, users) = service.get("/api/v1/users?order=asc&limit=1");
    assert_eq!(users["items"][0]["email"], "lena.lindqvist@example.org");
    assert_eq!(service.get("/").0, 200);

    // A second one on the same file is told who has it.
    let (error, status) = refused(command(folder.path(), &["dev", "--addr", "127.0.0.1:0"]));
    assert_eq!(status, Some(1));
    let holder = format!("error: another `stanchion dev` (pid {}) uses data/stanchion.db\nhint: ", service.child.id());
    assert!(error.starts_with(&holder), "{error}");

    service.signal(Signal::SIGINT);
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped") && !log.contains("ERROR"), "{log}");

    // The lock is free again, and what is there is neither filled twice nor lost.
    let again = Service::start(folder.path(), &["dev"]);
    assert_eq!(again.ready.get("seeded"), None);
    assert_eq!(again.get("/api/v1/users").1["items"].as_array().unwrap().len(), 12);
    again.signal(Signal::SIGTERM);
    assert_eq!(again.wait().0.code(), Some(0));
}

#[test]
fn a_killed_dev_leaves_no_lock_behind() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &["dev", "--no-seed"]);
    assert_eq!(service.get("/api/v1/trades").1["items"], json!([]));
    service.signal(Signal::SIGKILL);
    assert_eq!(service.wait().0.code(), None);
    let again = Service::start(folder.path(), &["dev", "--no-seed"]);
    assert_eq!(again.get("/health").0, 200);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path(), &["dev", "--no-seed"]);
    // A request that does not end keeps it from ending by itself.
    let mut stuck = TcpStream::connect(service.address).unwrap();
    let head = "POST /api/v1/users HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    stuck.write_all(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let since = Instant::now();
    service.signal(Signal::SIGINT);
    std::thread::sleep(Duration::from_millis(200));
    service.signal(Signal::SIGINT);
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(130), "{log}");
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
}

#[test]
fn dev_is_for_sqlite_files() {
    let folder = tempfile::tempdir().unwrap();
    for (url, reason) in [
        ("postgres://app:hunter2@db/shop", "the database `default` is on postgres"),
        ("mysql://app:hunter2@db/shop", "the database `default` is on mysql"),
        ("sqlite::memory:", "is in memory"),
    ] {
        let mut dev = command(folder.path(), &["dev"]);
        dev.env("DATABASE_URL", url);
        let (error, status) = refused(dev);
        assert_eq!(status, Some(1));
        assert!(error.contains(reason) && error.contains("\nhint: ") && !error.contains("hunter2"), "{error}");
    }
    std::fs::write(folder.path().join("stanchion.yaml"), "databases: { ordering: { url: mysql://db/shop } }").unwrap();
    let (error, _) = refused(command(folder.path(), &["dev"]));
    assert!(error.contains("`ordering` is on mysql") && error.contains("stanchion serve"), "{error}");
    assert!(!folder.path().join("data").exists(), "nothing is made before it is known that it can be used");
}

#[test]
fn dev_takes_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let yaml =
        "database: { type: sqlite, dsn: 'my data/it.db' }\ndatabases: { identity: { url: 'sqlite://users.db' } }";
    std::fs::write(folder.path().join("stanchion.yaml"), yaml).unwrap();
    let service = Service::start(folder.path(), &["dev"]);
    assert_eq!(service.get("/api/v1/users").1["items"].as_array().unwrap().len(), 12);
    for file in ["my data/it.db", "my data/it.db.lock", "users.db", "users.db.lock"] {
        assert!(folder.path().join(file).exists(), "{file}");
    }
    assert!(!folder.path().join("data").exists());
}

#[test]
fn an_address_that_is_taken_says_how_to_take_another() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for name in ["dev", "serve"] {
        let (error, status) = refused(command(folder.path(), &[name, "--addr", &address]));
        assert_eq!(status, Some(1));
        assert!(error.contains(&format!("error: another program listens on {address}\n")), "{error}");
        assert!(error.contains("--addr"), "{error}");
    }
    assert!(!folder.path().join("data/stanchion.db").exists(), "nothing is made before it can be served");
    let (error, status) = refused(command(folder.path(), &["dev", "--addr", "8080"]));
    assert_eq!(status, Some(2), "{error}");
}

#[test]
fn serve_neither_makes_nor_migrates_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let (error, status) = refused(command(folder.path(), &["serve", "--addr", "127.0.0.1:0"]));
    assert_eq!(status, Some(1));
    assert!(error.contains("stanchion migrate up"), "{error}");
    std::fs::write(folder.path().join("empty.db"), "").unwrap();
    let mut serve = command(folder.path(), &["serve", "--addr", "127.0.0.1:0"]);
    serve.env("DATABASE_URL", "sqlite://empty.db");
    let (error, status) = refused(serve);
    assert_eq!(status, Some(1));
    assert!(error.contains("migrations are not applied") && error.contains("stanchion migrate up"), "{error}");
}

#[test]
fn serve_serves_what_dev_has_made() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Service::start(folder.path(), &["dev"]);
    dev.signal(Signal::SIGTERM);
    assert_eq!(dev.wait().0.code(), Some(0));
    let service = Service::start(folder.path(), &["serve"]);
    assert_eq!(service.ready.get("seeded"), None);
    assert_eq!(service.get("/api/v1/trades?limit=3").1["items"].as_array().unwrap().len(), 3);
    service.signal(Signal::SIGINT);
    let (status, log) = service.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

#[test]
fn an_address_that_others_reach_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = command(folder.path(), &["dev", "--no-seed", "--addr", "0.0.0.0:0"]);
    let mut child = dev.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    while !said.contains("Ctrl-C") {
        assert_ne!(stdout.read_line(&mut said).unwrap(), 0, "{said}");
    }
    assert!(said.contains("  console   http://0.0.0.0:"), "{said}");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let log = text(child.stderr.take().unwrap());
    assert!(log.contains("WARN") && log.contains("authenticates nobody"), "{log}");
}
