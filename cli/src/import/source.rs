use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::error::{ImportError, ReadError};

/// Bytes that are read at a time.
const BUFFER: usize = 128 * 1024;

/// An input: a file, standard input, or any reader. Whether it is compressed by gzip, its first bytes say.
pub struct Source {
    name: String,
    path: Option<PathBuf>,
    size: Option<u64>,
    read: Arc<AtomicU64>,
    input: Box<dyn Read + Send>,
}

impl Source {
    /// A file.
    ///
    /// # Errors
    /// [`ImportError`] if it does not exist, is a folder, or cannot be opened.
    pub fn file(path: &Path) -> Result<Self, ImportError> {
        let file = File::open(path).and_then(|file| file.metadata().map(|about| (file, about)));
        let (file, about) = file.map_err(|source| match source.kind() {
            ErrorKind::NotFound => ImportError::NoFile { path: path.to_owned() },
            _ => ImportError::Open { path: path.to_owned(), source },
        })?;
        if about.is_dir() {
            return Err(ImportError::Folder { path: path.to_owned() });
        }
        let size = about.is_file().then_some(about.len());
        Ok(Self { path: Some(path.to_owned()), size, ..Self::reader(path.display().to_string(), file) })
    }

    /// Standard input.
    #[must_use]
    pub fn stdin() -> Self {
        Self::reader("standard input", io::stdin())
    }

    /// Whatever can be read; `name` is how messages call it.
    pub fn reader(name: impl Into<String>, input: impl Read + Send + 'static) -> Self {
        let read = Arc::new(AtomicU64::new(0));
        let input = Box::new(Counted { input, read: Arc::clone(&read) });
        Self { name: name.into(), path: None, size: None, read, input }
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its length in bytes, compressed if it is, where that is known.
    #[must_use]
    pub const fn size(&self) -> Option<u64> {
        self.size
    }

    /// The bytes that were read of it so far, compressed if it is.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }

    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Its bytes, unpacked. Waits for the first ones.
    pub(super) fn unpacked(self) -> Result<Unpacked, ReadError> {
        let mut input = BufReader::with_capacity(BUFFER, self.input);
        let mut magic = Vec::new();
        (&mut input).take(2).read_to_end(&mut magic).map_err(ReadError::Io)?;
        let is_gzip = magic == [0x1f, 0x8b];
        let input = Cursor::new(magic).chain(input);
        let bytes: Box<dyn BufRead> = if is_gzip {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input)))
        } else {
            Box::new(input)
        };
        Ok(Unpacked { bytes, is_gzip })
    }
}

/// The bytes of a source.
pub(super) struct Unpacked {
    pub(super) bytes: Box<dyn BufRead>,
    pub(super) is_gzip: bool,
}

impl ReadError {
    /// What an error means when what was read is compressed by gzip.
    pub(super) fn of_gzip(self) -> Self {
        match self {
            Self::Io(error) if error.kind() == ErrorKind::UnexpectedEof => Self::TruncatedGzip,
            Self::Io(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData) => {
                Self::BadGzip(error)
            }
            other => other,
        }
    }
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: Vec<u8>) -> Result<Vec<u8>, ReadError> {
        let mut unpacked = Source::reader("test", Cursor::new(bytes)).unpacked()?;
        let mut all = Vec::new();
        match unpacked.bytes.read_to_end(&mut all) {
            Ok(_) => Ok(all),
            Err(error) if unpacked.is_gzip => Err(ReadError::Io(error).of_gzip()),
            Err(error) => Err(ReadError::Io(error)),
        }
    }

    #[test]
    fn gzip_is_known_by_its_first_bytes_and_may_have_several_members() {
        for plain in [&b""[..], b"x", b"xy", b"xyz", &vec![b'x'; 3 * BUFFER]] {
            assert_eq!(read(plain.to_vec()).unwrap(), plain);
            assert_eq!(read(gzip(plain)).unwrap(), plain);
        }
        assert_eq!(read([gzip(b"one "), gzip(b""), gzip(b"two")].concat()).unwrap(), b"one two");
    }

    #[test]
    fn a_truncated_or_damaged_gzip_stream_says_so() {
        let noise: Vec<u8> = (0..50_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let whole = gzip(&noise);
        for length in [2, 9, 10, 1_000, whole.len() - 9, whole.len() - 8, whole.len() - 1] {
            assert!(matches!(read(whole[..length].to_vec()), Err(ReadError::TruncatedGzip)), "{length}");
        }
        let mut damaged = whole.clone();
        let end = damaged.len();
        damaged[end - 6] ^= 1;
        assert!(matches!(read(damaged), Err(ReadError::BadGzip(_))));
        assert!(matches!(read([&whole[..], b"garbage, not a member"].concat()), Err(ReadError::BadGzip(_))));
    }
}
