//! The service over SQLite, asked in the process, but for the one test of the server itself.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod mistakes;
mod operation;
mod server;
mod trades;
mod users;
