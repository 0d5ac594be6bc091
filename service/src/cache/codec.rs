//! An entry as it is written in Redis.
//!
//! | bytes | |
//! | --- | --- |
//! | 1 | version of this format |
//! | 1 | version of the values' shape: the namespace's |
//! | 1 | flags: 1 compressed, 2 nothing there |
//! | 1 | number of tags |
//! | 4 | CRC-32 of all other bytes |
//! | 8 | how long it is fresh, in milliseconds |
//! | 8 | how long it may be served stale after that, in milliseconds |
//! | ... | each tag: 1 byte of length, its text, 8 bytes of generation |
//! | 4 | if compressed: the length of the value before |
//! | ... | the value: MessagePack, LZ4 if compressed |
//!
//! Numbers are big-endian. Structs are maps of named fields, so that fields which are skipped, flattened or defaulted read
//! back. Whatever the bytes are, reading them gives a value or an error, and takes no more memory than [`LARGEST`] and what
//! the value's own `Deserialize` makes of so many bytes.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

const FORMAT: u8 = 1;
const COMPRESSED: u8 = 1;
const NOTHING: u8 = 2;
/// What is shorter is not worth compressing.
const COMPRESS_FROM: usize = 4 * 1024;
/// The most that LZ4 makes of a byte; what claims more is not LZ4's.
const LZ4_RATIO: usize = 255;
/// How deep arrays and maps may be in one another: reading them takes stack.
const DEEPEST: usize = 128;
const CHECKSUM: std::ops::Range<usize> = 4..8;

/// The largest value that is written, in bytes before compression.
pub(super) const LARGEST: usize = 64 * 1024 * 1024;

/// What is said of an entry beside its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// The namespace's version of the shape.
    pub(super) version: u8,
    /// How long it is fresh after it was stored; whole milliseconds.
    pub(super) fresh_for: Duration,
    /// How long it may be served stale after that; whole milliseconds.
    pub(super) stale_for: Duration,
    /// The tags, at most 255 of at most 255 bytes, and the generation of each from before the load.
    pub(super) tags: Vec<(Cow<'a, str>, u64)>,
}

/// An entry that was read, its value not yet.
#[derive(Debug)]
pub(super) struct Stored<'a> {
    pub(super) header: Header<'a>,
    flags: u8,
    body: &'a [u8],
}

/// Why an entry cannot be written, or what is wrong with one that is read. It shows no part of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CodecError {
    #[error("its Serialize failed")]
    Unwritable,
    #[error("it has more than {LARGEST} bytes")]
    TooLarge,
    #[error("it has more than 255 tags, or one of more than 255 bytes")]
    Tags,
    #[error("it is written in another format")]
    Format,
    #[error("its values have version {found} of their shape")]
    Version { found: u8 },
    #[error("its bytes were altered or cut off")]
    Corrupt,
    #[error("its value is of another shape")]
    Shape,
}

/// Writes an entry; `None` says that there is nothing.
pub(super) fn encode<V: Serialize>(header: &Header<'_>, value: Option<&V>) -> Result<Vec<u8>, CodecError> {
    let mut bytes = vec![FORMAT, header.version, 0, u8::try_from(header.tags.len()).map_err(|_| CodecError::Tags)?];
    bytes.extend([0; CHECKSUM.end - CHECKSUM.start]);
    bytes.extend(millis(header.fresh_for).to_be_bytes());
    bytes.extend(millis(header.stale_for).to_be_bytes());
    for (tag, generation) in &header.tags {
        bytes.push(u8::try_from(tag.len()).map_err(|_| CodecError::Tags)?);
        bytes.extend(tag.as_bytes());
        bytes.extend(generation.to_be_bytes());
    }
    match value {
        None => bytes[2] = NOTHING,
        Some(value) => {
            let start = bytes.len();
            bytes = write_value(bytes, value)?;
            if bytes.len() - start >= COMPRESS_FROM && compress(&mut bytes, start) {
                bytes[2] = COMPRESSED;
            }
        }
    }
    let checksum = checksum(&bytes);
    bytes[CHECKSUM].copy_from_slice(&checksum.to_be_bytes());
    Ok(bytes)
}

/// Reads all of an entry but its value, and sees that no byte was altered.
pub(super) fn decode(bytes: &[u8], version: u8) -> Result<Stored<'_>, CodecError> {
    if *bytes.first().ok_or(CodecError::Corrupt)? != FORMAT {
        return Err(CodecError::Format);
    }
    let sum = bytes.get(CHECKSUM).and_then(|sum| sum.try_into().ok()).map(u32::from_be_bytes);
    if sum.ok_or(CodecError::Corrupt)? != checksum(bytes) {
        return Err(CodecError::Corrupt);
    }
    let mut rest = Rest(bytes);
    let [_, found, flags, count] = rest.array()?;
    if found != version {
        return Err(CodecError::Version { found });
    }
    rest.array::<4>()?;
    let fresh_for = Duration::from_millis(u64::from_be_bytes(rest.array()?));
    let stale_for = Duration::from_millis(u64::from_be_bytes(rest.array()?));
    let mut tags = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let [length] = rest.array()?;
        let tag = std::str::from_utf8(rest.take(usize::from(length))?).map_err(|_| CodecError::Corrupt)?;
        tags.push((Cow::Borrowed(tag), u64::from_be_bytes(rest.array()?)));
    }
    Ok(Stored { header: Header { version, fresh_for, stale_for, tags }, flags, body: rest.0 })
}

impl Stored<'_> {
    /// The value; `None` when it says that there is nothing.
    pub(super) fn value<V: DeserializeOwned>(&self) -> Result<Option<V>, CodecError> {
        match self.flags {
            0 => read_value(self.body).map(Some),
            COMPRESSED => read_value(&decompress(self.body)?).map(Some),
            NOTHING => Ok(None),
            _ => Err(CodecError::Format),
        }
    }
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CodecError::Corrupt)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(CodecError::Corrupt)?;
        self.0 = rest;
        Ok(*taken)
    }
}

/// Of all bytes but the checksum's own.
fn checksum(bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(bytes.get(..CHECKSUM.start).unwrap_or(bytes));
    hasher.update(bytes.get(CHECKSUM.end..).unwrap_or_default());
    hasher.finalize()
}

/// Bytes that may not become too many.
struct Bounded {
    bytes: Vec<u8>,
    most: usize,
    overflowed: bool,
}

impl Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if more.len() > self.most - self.bytes.len() {
            self.overflowed = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_value<V: Serialize>(bytes: Vec<u8>, value: &V) -> Result<Vec<u8>, CodecError> {
    let most = bytes.len() + LARGEST;
    let mut written = Bounded { bytes, most, overflowed: false };
    match rmp_serde::encode::write_named(&mut written, value) {
        Ok(()) => Ok(written.bytes),
        Err(_) if written.overflowed => Err(CodecError::TooLarge),
        Err(_) => Err(CodecError::Unwritable),
    }
}

fn read_value<V: DeserializeOwned>(body: &[u8]) -> Result<V, CodecError> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(body);
    reader.set_max_depth(DEEPEST);
    V::deserialize(&mut reader).map_err(|_| CodecError::Shape)
}

/// Compresses what begins at `start`, if that makes it shorter.
fn compress(bytes: &mut Vec<u8>, start: usize) -> bool {
    let raw = &bytes[start..];
    let Ok(length) = u32::try_from(raw.len()) else { return false };
    let compressed = lz4_flex::block::compress(raw);
    if compressed.len() + size_of::<u32>() >= raw.len() {
        return false;
    }
    bytes.truncate(start);
    bytes.extend(length.to_be_bytes());
    bytes.extend(compressed);
    true
}

fn decompress(body: &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut rest = Rest(body);
    let length = usize::try_from(u32::from_be_bytes(rest.array()?)).map_err(|_| CodecError::Corrupt)?;
    if length > LARGEST || length / LZ4_RATIO > rest.0.len() {
        return Err(CodecError::Corrupt);
    }
    let raw = lz4_flex::block::decompress(rest.0, length).map_err(|_| CodecError::Corrupt)?;
    if raw.len() == length { Ok(raw) } else { Err(CodecError::Corrupt) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
