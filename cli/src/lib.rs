//! What the command `stanchion` does that stands on its own, as a library: so that tests on every back end can run it.
//!
//! The command line itself, its arguments and what it prints, is the program's.

pub mod candles;
pub mod import;
