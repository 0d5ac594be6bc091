//! What Stanchion's tests stand on.
//!
//! [`testbed`] starts real PostgreSQL, MariaDB and Redis servers, gives every test a database of its own, and puts
//! faults between a client and its server; [`schema`] reads the schema that a database really has; [`mod@bench`] measures ours
//! and its peers in turns; a [`Stage`] is an app on a database and a clock of a test's own. The tests themselves are in `tests/tests`: conformance suites that every back end runs, flows
//! through several domains, and faults; the benchmarks are in `tests/benches`. Nothing here is mocked.
#![warn(clippy::unwrap_used, clippy::expect_used)] // what fails in the testbed itself says which server, and what to do

pub mod bench;
mod ledger;
pub mod schema;
mod smtp;
mod stage;
pub mod testbed;

pub use ledger::{History, Ledger, Turn};
pub use smtp::{Letter, SmtpSink};
pub use stage::{HandClock, Stage};
