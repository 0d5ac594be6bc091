use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::error::{BadRecord, ImportError};

/// The file that bad records go to: a JSON object a line.
pub(super) struct Skipped {
    path: PathBuf,
    file: BufWriter<File>,
}

#[derive(Serialize)]
struct Line<'a> {
    record: u64,
    line: u64,
    offset: u64,
    field: Option<&'static str>,
    reason: String,
    raw: &'a str,
    truncated: bool,
}

impl Skipped {
    /// Creates the file, or empties it. It must not be `input`.
    pub(super) fn create(path: &Path, input: Option<&Path>) -> Result<Self, ImportError> {
        let is_input = input.is_some_and(|input| match (input.canonicalize(), path.canonicalize()) {
            (Ok(input), Ok(path)) => input == path,
            _ => false,
        });
        if is_input {
            return Err(ImportError::SkipFileIsInput { path: path.to_owned() });
        }
        let file = File::create(path).map_err(|source| ImportError::SkipFile { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file: BufWriter::new(file) })
    }

    /// Writes them down, to be seen by whoever looks at the file.
    pub(super) fn write<'a>(&mut self, records: impl IntoIterator<Item = &'a BadRecord>) -> Result<(), ImportError> {
        let write = || -> io::Result<()> {
            for BadRecord { position, fault, raw, truncated } in records {
                let line = Line {
                    record: position.record,
                    line: position.line,
                    offset: position.offset,
                    field: fault.field,
                    reason: fault.to_string(),
                    raw,
                    truncated: *truncated,
                };
                serde_json::to_writer(&mut self.file, &line)?;
                self.file.write_all(b"\n")?;
            }
            self.file.flush()
        };
        write().map_err(|source| ImportError::SkipFile { path: self.path.clone(), source })
    }
}
