//! A stream of bytes, cut into records: the lines of a text, or the elements of a JSON array.
//!
//! Neither knows what a record means. What is in memory is one record, of at most [`LONGEST`] bytes; what is longer is
//! read to its end and reported, but not kept.

mod elements;
mod lines;

use std::io::BufRead;

pub(super) use elements::Elements;
pub(super) use lines::Lines;

use super::error::{Position, ReadError};

/// Bytes of the longest record that is looked at.
pub(super) const LONGEST: usize = 1024 * 1024;

/// What of an input was passed over before the first record: a byte order mark, blank lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Skipped {
    pub(super) bytes: u64,
    pub(super) lines: u64,
}

/// A record's bytes were put into the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) position: Position,
    /// Whether the record is longer than [`LONGEST`]; then the buffer has its beginning only.
    pub(super) too_long: bool,
}

/// Either way of cutting.
pub(super) enum Pieces<R> {
    Lines(Lines<R>),
    Elements(Elements<R>),
}

impl<R: BufRead> Pieces<R> {
    /// The next record, its bytes in `buffer`; `None` at the end.
    pub(super) fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Piece>, ReadError> {
        match self {
            Self::Lines(lines) => lines.next(buffer),
            Self::Elements(elements) => elements.next(buffer),
        }
    }
}
