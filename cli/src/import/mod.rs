//! Exchange data from files: read, checked, and saved a batch at a time in constant memory.
//!
//! It goes one way: [`Source`] opens a file or standard input and unpacks gzip, `pieces` cuts the stream into records,
//! `formats` says what a record means, [`Records`] is all of that as a parser from bytes to trades that knows no database,
//! and [`trades`] runs it on a thread of its own and saves what comes through an [`App`](stanchion::App). Nothing is
//! rounded: a price is the digits that the file has, and a record that cannot be stored as it is, is a [`BadRecord`].

mod draft;
mod error;
mod formats;
mod pieces;
mod records;
mod report;
mod run;
mod skipped;
mod source;
mod tally;

pub use draft::{Assumed, Fault};
pub(crate) use draft::{exchange_name, symbol_name};
pub use error::{BadRecord, ImportError, Position, ReadError};
pub use formats::Format;
pub use records::{Entry, Records};
pub use report::{End, Report, Sums, SymbolReport};
pub use run::{Options, Progress, Stopped, trades};
pub use source::Source;
