use std::io::{BufRead, Chain, Cursor, Read};

use stanchion::domain::trading::NewTrade;

use super::draft::{Assumed, Fault, Refused};
use super::error::{BadRecord, ReadError};
use super::formats::{Format, Reading, Table};
use super::pieces::{Elements, LONGEST, Lines, Pieces, Skipped};

/// A record: a trade, or why it is none.
pub type Entry = Result<NewTrade, Box<BadRecord>>;

/// The trades of an input, one after the other. A parser alone: it knows bytes, and no database.
///
/// An [`Err`] is the end: what follows cannot be read. A record that is bad is an entry, and reading goes on.
///
/// ```
/// use stanchion::types::Timestamp;
/// use stanchion_cli::import::{Assumed, Format, Records};
///
/// let file = br#"[{"a":1,"p":"0.0014","q":"23","f":1,"l":1,"T":1570752011620,"m":true,"M":true}, {"a":2}]"#;
/// let assumed = Assumed::new(None, Some("XRPETH"), Timestamp::from_millis(1_600_000_000_000)?).unwrap();
/// let mut records = Records::new(&file[..], Format::Auto, assumed)?;
/// assert_eq!(records.next().unwrap()?.unwrap().price.to_string(), "0.001400000000");
/// assert_eq!(records.next().unwrap()?.unwrap_err().to_string(), "record 2 (line 1, byte 80): side (m) is missing");
/// assert!(records.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Records<R> {
    pieces: Pieces<Chain<Cursor<Vec<u8>>, R>>,
    reading: Reading,
    assumed: Assumed,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: BufRead> Records<R> {
    /// Looks at the first bytes, and reads the header of a CSV file.
    ///
    /// # Errors
    /// [`ReadError`] for an input without records, one of another format, and a header that will not do.
    pub fn new(mut input: R, format: Format, assumed: Assumed) -> Result<Self, ReadError> {
        let (beginning, skipped) = beginning(&mut input)?;
        refuse_archives(&beginning)?;
        let first = beginning.first().copied().ok_or(ReadError::Empty)?;
        let input = Cursor::new(beginning).chain(input);
        let other = |expected| Err(ReadError::OtherFormat { expected, found: char::from(first) });
        let json = match format {
            Format::Auto => Reading::Json,
            Format::Binance => Reading::Binance,
            Format::Ccxt => Reading::Ccxt,
            Format::Csv if matches!(first, b'[' | b'{') => return other("CSV with a header"),
            Format::Csv => return Self::csv(input, skipped, assumed),
        };
        let pieces = match first {
            b'[' => Pieces::Elements(Elements::new(input, skipped)),
            b'{' => Pieces::Lines(Lines::new(input, skipped)),
            _ if format == Format::Auto => return Self::csv(input, skipped, assumed),
            _ if !first.is_ascii_graphic() => return Err(ReadError::NotText),
            _ => return other("JSON: an array of objects, or an object a line"),
        };
        Ok(Self { pieces, reading: json, assumed, buffer: Vec::new(), ended: false })
    }

    fn csv(input: Chain<Cursor<Vec<u8>>, R>, skipped: Skipped, assumed: Assumed) -> Result<Self, ReadError> {
        let (mut lines, mut buffer) = (Lines::new(input, skipped), Vec::new());
        match lines.header(&mut buffer)? {
            None => return Err(ReadError::Empty),
            Some(piece) if piece.too_long => return Err(ReadError::NotText),
            Some(_) => {}
        }
        let table = Table::of_header(&buffer, &assumed)?;
        Ok(Self { pieces: Pieces::Lines(lines), reading: Reading::Csv(Box::new(table)), assumed, buffer, ended: false })
    }

    /// The format; [`Format::Auto`] as long as no record has told it.
    pub fn format(&self) -> Format {
        self.reading.format()
    }

    fn entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let Some(piece) = self.pieces.next(&mut self.buffer)? else { return Ok(None) };
        let trade = if piece.too_long {
            Err(Fault::whole(format!("is longer than {LONGEST} bytes")).into())
        } else {
            self.reading.trade(&self.buffer, &self.assumed)
        };
        match trade {
            Ok(trade) => Ok(Some(Ok(trade))),
            Err(Refused::Fault(fault)) => Ok(Some(Err(Box::new(BadRecord::new(piece.position, fault, &self.buffer))))),
            Err(Refused::NoSymbol) => Err(ReadError::NoSymbol),
        }
    }
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.entry();
        self.ended = !matches!(entry, Ok(Some(_)));
        entry.transpose()
    }
}

/// Bytes that tell one format from another.
const TELLING: usize = 6;

/// The first bytes that are neither a byte order mark nor white space, and what went before them.
fn beginning(input: &mut impl BufRead) -> Result<(Vec<u8>, Skipped), ReadError> {
    let mut bytes = Vec::new();
    let mut skipped = Skipped::default();
    loop {
        let read = input.take((TELLING - bytes.len()) as u64).read_to_end(&mut bytes).map_err(ReadError::Io)?;
        let mark = if skipped.bytes == 0 && bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let blank = bytes[mark..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        skipped.bytes += (mark + blank) as u64;
        skipped.lines += bytes[mark..mark + blank].iter().filter(|byte| **byte == b'\n').count() as u64;
        bytes.drain(..mark + blank);
        if read == 0 || bytes.len() == TELLING {
            return Ok((bytes, skipped));
        }
    }
}

fn refuse_archives(beginning: &[u8]) -> Result<(), ReadError> {
    let archives: [(&[u8], &str, &str); 4] = [
        (b"PK\x03\x04", "zip", "unzip -p"),
        (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
        (b"\xfd7zXZ", "xz", "xz -dc"),
        (b"BZh", "bzip2", "bzip2 -dc"),
    ];
    match archives.into_iter().find(|(magic, ..)| beginning.starts_with(magic)) {
        Some((_, kind, unpack)) => Err(ReadError::Archive { kind, unpack }),
        None => Ok(()),
    }
}
