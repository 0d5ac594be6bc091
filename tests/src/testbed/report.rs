//! What a missing server does to a run: a failure where every server is required, one line otherwise.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use super::error::Error;

/// Whether `STANCHION_TEST_REQUIRE=all` makes a missing server a failure.
pub(crate) fn every_server_is_required() -> bool {
    std::env::var_os("STANCHION_TEST_REQUIRE").is_some_and(|value| value == "all")
}

/// Fails the calling test where every server is required; else says once a process that `subject`'s tests did not run.
pub(crate) fn missing(subject: &str, reason: &str) {
    static REPORTED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

    if every_server_is_required() {
        panic!("{subject}: {reason}, and STANCHION_TEST_REQUIRE=all asks for every server");
    }
    if REPORTED.lock().unwrap_or_else(PoisonError::into_inner).insert(subject.to_owned()) {
        // Not `eprintln!`: the test harness captures that, and the line would be lost with the passing test's output.
        let line = format!("{subject}: {reason}; its tests did not run: use ./scripts/test\n");
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// The server that was started, or `None` (reported) if its programs are not installed on this machine.
///
/// ```no_run
/// # use stanchion_tests::testbed::{available, Redis};
/// # async fn example() {
/// let Some(redis) = available(Redis::start().await) else { return };
/// # }
/// ```
///
/// # Panics
/// If the server is installed and did not start, or is missing and `STANCHION_TEST_REQUIRE=all` is set: the test that
/// asked for it fails.
pub fn available<T>(started: Result<T, Error>) -> Option<T> {
    match started {
        Ok(server) => Some(server),
        Err(Error::NotInstalled { kind, program }) => {
            missing(&kind.to_string(), &format!("{program} was not found"));
            None
        }
        Err(error) => panic!("{error}"),
    }
}
