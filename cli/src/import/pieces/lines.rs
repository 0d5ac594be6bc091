use std::io::{BufRead, Read};

use super::{LONGEST, Piece, Skipped};
use crate::import::error::{Position, ReadError};

/// The lines of a text that are not blank, without their ends (`\n` or `\r\n`).
pub(in crate::import) struct Lines<R> {
    input: R,
    records: u64,
    lines: u64,
    offset: u64,
}

impl<R: BufRead> Lines<R> {
    pub(in crate::import) const fn new(input: R, skipped: Skipped) -> Self {
        Self { input, records: 0, lines: skipped.lines, offset: skipped.bytes }
    }

    /// The next line is not a record but says what the records are: the header of a CSV file.
    pub(in crate::import) fn header(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Piece>, ReadError> {
        let header = self.next(buffer)?;
        self.records = 0;
        Ok(header)
    }

    pub(super) fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Piece>, ReadError> {
        loop {
            buffer.clear();
            let start = self.offset;
            let read = (&mut self.input).take(LONGEST as u64 + 1).read_until(b'\n', buffer).map_err(ReadError::Io)?;
            if read == 0 {
                return Ok(None);
            }
            self.offset += read as u64;
            self.lines += 1;
            let too_long = buffer.len() > LONGEST && buffer.last() != Some(&b'\n');
            if too_long {
                self.offset += self.input.skip_until(b'\n').map_err(ReadError::Io)? as u64;
            }
            while buffer.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                buffer.pop();
            }
            if too_long || !buffer.trim_ascii().is_empty() {
                self.records += 1;
                let position = Position { record: self.records, line: self.lines, offset: start };
                return Ok(Some(Piece { position, too_long }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<(Vec<u8>, Piece)> {
        let (mut lines, mut buffer, mut all) = (Lines::new(text, Skipped::default()), Vec::new(), Vec::new());
        while let Some(piece) = lines.next(&mut buffer).unwrap() {
            all.push((buffer.clone(), piece));
        }
        all
    }

    #[test]
    fn blank_lines_are_no_records_but_are_counted() {
        let all = lines(b"one\r\n\n  \ntwo\nthree");
        let texts: Vec<&[u8]> = all.iter().map(|(text, _)| text.as_slice()).collect();
        assert_eq!(texts, [&b"one"[..], b"two", b"three"]);
        let positions: Vec<_> =
            all.iter().map(|(_, piece)| piece.position).map(|at| (at.record, at.line, at.offset)).collect();
        assert_eq!(positions, [(1, 1, 0), (2, 4, 9), (3, 5, 13)]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let mut text = vec![b'x'; 3 * LONGEST];
        text.extend_from_slice(b"\nshort\n");
        let all = lines(&text);
        assert_eq!(all.iter().map(|(_, piece)| piece.too_long).collect::<Vec<_>>(), [true, false]);
        assert!(all[0].0.len() <= LONGEST + 1);
        assert_eq!((all[1].0.as_slice(), all[1].1.position.offset), (&b"short"[..], 3 * LONGEST as u64 + 1));
    }
}
