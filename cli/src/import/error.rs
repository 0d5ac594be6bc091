use std::fmt;
use std::io;
use std::path::PathBuf;

use super::draft::Fault;

/// Bytes of a bad record that are kept to be shown.
const SHOWN: usize = 1024;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its number in the input, from 1.
    pub record: u64,
    /// The line it begins in, from 1.
    pub line: u64,
    /// The byte it begins with, from 0, in the input after unpacking.
    pub offset: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} (line {}, byte {})", self.record, self.line, self.offset)
    }
}

/// A record that cannot be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// Where it is.
    pub position: Position,
    /// What is wrong with it.
    pub fault: Fault,
    /// Its text, as far as it is UTF-8, cut after some hundred characters.
    pub raw: String,
    /// Whether `raw` was cut.
    pub truncated: bool,
}

impl BadRecord {
    pub(super) fn new(position: Position, fault: Fault, raw: &[u8]) -> Self {
        let shown = &raw[..raw.len().min(SHOWN)];
        let raw_text = String::from_utf8_lossy(shown).trim_end().to_owned();
        Self { position, fault, raw: raw_text, truncated: shown.len() < raw.len() }
    }
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.position, self.fault)
    }
}

impl std::error::Error for BadRecord {}

/// Why reading the input cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is not a byte in it, or only white space.
    #[error("it is empty")]
    Empty,
    /// It is no text.
    #[error("it is not text, so neither JSON nor CSV; gzip is unpacked, other archives are not")]
    NotText,
    /// It is an archive of a kind that is not unpacked.
    #[error("it is a {kind} archive, which is not unpacked here; try `{unpack} FILE | stanchion import trades -`")]
    Archive {
        /// The kind.
        kind: &'static str,
        /// The program that writes its content to standard output.
        unpack: &'static str,
    },
    /// The gzip stream ends before its end.
    #[error("the gzip stream ends too early: the file is truncated")]
    TruncatedGzip,
    /// The gzip stream is damaged.
    #[error("the gzip stream is damaged")]
    BadGzip(#[source] io::Error),
    /// The system cannot read it.
    #[error("it cannot be read")]
    Io(#[source] io::Error),
    /// It is not of the format that was asked for.
    #[error("it is not {expected}: it begins with {found:?}")]
    OtherFormat {
        /// What was expected.
        expected: &'static str,
        /// Its first character.
        found: char,
    },
    /// The records name no symbol, and none was given.
    #[error("the records of this file have no symbol: say which one it is with --symbol, for example --symbol XRPETH")]
    NoSymbol,
    /// The first line of a CSV file does not name its columns.
    #[error("the first line has to name the columns, and reads {line:?}")]
    NoHeader {
        /// The line, cut.
        line: String,
    },
    /// The header has a column of an unknown name.
    #[error("the header has an unknown column {name:?}")]
    UnknownColumn {
        /// The name.
        name: String,
    },
    /// The header lacks a column.
    #[error("the header has no column for the {field}: {names}")]
    MissingColumn {
        /// What it would hold.
        field: &'static str,
        /// The names that it may have.
        names: &'static str,
    },
    /// Two columns of the header say the same.
    #[error("the header has two columns for the {field}: {first:?} and {second:?}")]
    RepeatedColumn {
        /// What both hold.
        field: &'static str,
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// A record cannot be saved, and none may be skipped.
    #[error("{0}")]
    Bad(Box<BadRecord>),
    /// The JSON array is broken: where the next record begins cannot be known.
    #[error("{0}; nothing after this point can be read")]
    Broken(Box<BadRecord>),
}

/// Why an import did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    NoFile {
        /// Its path.
        path: PathBuf,
    },
    /// It is a folder.
    #[error("{} is a folder", path.display())]
    Folder {
        /// Its path.
        path: PathBuf,
    },
    /// The file cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file for bad records cannot be written.
    #[error("cannot write the bad records to {}", path.display())]
    SkipFile {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file for bad records is the one that is read.
    #[error("{} is the file to be imported, so bad records cannot be written to it", path.display())]
    SkipFileIsInput {
        /// Its path.
        path: PathBuf,
    },
    /// The input cannot be used, or not to its end.
    #[error("cannot import {name}")]
    Read {
        /// What was read.
        name: String,
        /// What is wrong with it.
        source: ReadError,
    },
    /// The database refused.
    #[error(transparent)]
    Save(#[from] stanchion::Error),
    /// The thread that reads ended without saying why.
    #[error("reading ended unexpectedly")]
    ReaderGone,
}
