use std::io::{BufRead, ErrorKind};

use super::{LONGEST, Piece, Skipped};
use crate::import::draft::Fault;
use crate::import::error::{BadRecord, Position, ReadError};

/// The elements of one JSON array.
///
/// It follows strings and brackets only: an element that is no valid JSON inside them is found later, and costs that one
/// record. Where the array itself is broken, nothing after that can be told apart.
pub(in crate::import) struct Elements<R> {
    input: R,
    scanner: Scanner,
}

struct Scanner {
    state: State,
    /// Brackets that are open in the element.
    depth: u32,
    start: Position,
    line: u64,
    offset: u64,
    too_long: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the `[`.
    Start,
    /// After the `[`: an element or the `]`.
    First,
    /// After a comma: an element.
    Element,
    /// In an element that is neither a string nor in brackets.
    Scalar,
    /// In the brackets of an element.
    Nested,
    /// In a string.
    Text,
    /// In a string, after a backslash.
    Escaped,
    /// After an element: a comma or the `]`.
    After,
    /// After the `]`.
    End,
}

enum Step {
    /// All was looked at, and more is needed.
    More,
    /// An element is complete.
    Element,
    Broken(&'static str),
}

impl<R: BufRead> Elements<R> {
    pub(in crate::import) const fn new(input: R, skipped: Skipped) -> Self {
        let (line, offset) = (skipped.lines + 1, skipped.bytes);
        let start = Position { record: 0, line, offset };
        Self { input, scanner: Scanner { state: State::Start, depth: 0, start, line, offset, too_long: false } }
    }

    pub(super) fn next(&mut self, buffer: &mut Vec<u8>) -> Result<Option<Piece>, ReadError> {
        let Self { input, scanner } = self;
        buffer.clear();
        scanner.too_long = false;
        loop {
            let chunk = match input.fill_buf() {
                Ok([]) => return scanner.end(buffer),
                Ok(chunk) => chunk,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(ReadError::Io(error)),
            };
            let (used, step) = scanner.scan(chunk, buffer);
            input.consume(used);
            match step {
                Step::More => {}
                Step::Element => {
                    return Ok(Some(Piece { position: scanner.start, too_long: scanner.too_long }));
                }
                Step::Broken(reason) => return Err(scanner.broken(reason, buffer)),
            }
        }
    }
}

impl Scanner {
    /// Looks at the bytes up to the end of an element, which go to `buffer`; says how many those were.
    fn scan(&mut self, chunk: &[u8], buffer: &mut Vec<u8>) -> (usize, Step) {
        for (at, byte) in chunk.iter().copied().enumerate() {
            let blank = matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            match self.state {
                State::Start if byte == b'[' => self.state = State::First,
                State::First | State::After if byte == b']' => self.state = State::End,
                State::After if byte == b',' => self.state = State::Element,
                State::Start | State::First | State::Element | State::After | State::End if blank => {}
                State::Start => return (at, Step::Broken("the array has to begin with [")),
                State::After => return (at, Step::Broken("a comma or the closing ] is missing before this")),
                State::End => return (at, Step::Broken("there is something after the closing ]")),
                State::First | State::Element => {
                    if matches!(byte, b',' | b']' | b'}' | b':') {
                        return (at, Step::Broken("an element is missing before this"));
                    }
                    self.begin(byte);
                    self.keep(byte, buffer);
                }
                State::Scalar if blank || matches!(byte, b',' | b']') => {
                    self.state = State::After;
                    return (at, Step::Element);
                }
                State::Scalar => self.keep(byte, buffer),
                State::Nested | State::Text | State::Escaped => {
                    self.keep(byte, buffer);
                    self.inside(byte);
                    if self.state == State::After {
                        self.count(byte);
                        return (at + 1, Step::Element);
                    }
                }
            }
            self.count(byte);
        }
        (chunk.len(), Step::More)
    }

    fn begin(&mut self, byte: u8) {
        self.start = Position { record: self.start.record + 1, line: self.line, offset: self.offset };
        self.depth = 0;
        self.state = match byte {
            b'{' | b'[' => {
                self.depth = 1;
                State::Nested
            }
            b'"' => State::Text,
            _ => State::Scalar,
        };
    }

    fn inside(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Text, b'\\') => State::Escaped,
            (State::Text, b'"') if self.depth == 0 => State::After,
            (State::Text, b'"') | (State::Nested, _) => self.nested(byte),
            _ => State::Text,
        };
    }

    fn nested(&mut self, byte: u8) -> State {
        match (self.state, byte) {
            (State::Nested, b'"') => return State::Text,
            (State::Nested, b'{' | b'[') => self.depth = self.depth.saturating_add(1),
            (State::Nested, b'}' | b']') => self.depth -= 1,
            _ => {}
        }
        if self.depth == 0 { State::After } else { State::Nested }
    }

    fn keep(&mut self, byte: u8, buffer: &mut Vec<u8>) {
        if buffer.len() < LONGEST {
            buffer.push(byte);
        } else {
            self.too_long = true;
        }
    }

    const fn count(&mut self, byte: u8) {
        self.offset += 1;
        if byte == b'\n' {
            self.line += 1;
        }
    }

    fn end(&self, buffer: &[u8]) -> Result<Option<Piece>, ReadError> {
        match self.state {
            State::End => Ok(None),
            State::Scalar | State::Nested | State::Text | State::Escaped => {
                Err(self.broken("the input ends inside of this record", buffer))
            }
            _ => Err(self.broken("the input ends before the closing ] of the array", buffer)),
        }
    }

    fn broken(&self, reason: &'static str, buffer: &[u8]) -> ReadError {
        let inside = matches!(self.state, State::Scalar | State::Nested | State::Text | State::Escaped);
        let next = Position { record: self.start.record + 1, line: self.line, offset: self.offset };
        let position = if inside { self.start } else { next };
        ReadError::Broken(Box::new(BadRecord::new(position, Fault::whole(reason), buffer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Found = (Vec<String>, Option<String>);

    fn elements(text: &[u8], chunk: usize) -> Found {
        let mut elements = Elements::new(std::io::BufReader::with_capacity(chunk, text), Skipped::default());
        let (mut buffer, mut all) = (Vec::new(), Vec::new());
        loop {
            match elements.next(&mut buffer) {
                Ok(Some(piece)) => {
                    assert_eq!(piece.position.record, all.len() as u64 + 1);
                    let start = usize::try_from(piece.position.offset).unwrap();
                    assert!(text[start..].starts_with(&buffer), "the offset is the element's");
                    all.push(String::from_utf8(buffer.clone()).unwrap());
                }
                Ok(None) => return (all, None),
                Err(error) => return (all, Some(error.to_string())),
            }
        }
    }

    /// However the bytes arrive.
    fn in_all_ways(text: &str) -> Found {
        let found = elements(text.as_bytes(), 1);
        for chunk in [2, 3, 7, 4096] {
            assert_eq!(elements(text.as_bytes(), chunk), found, "{text}");
        }
        found
    }

    #[test]
    fn elements_are_cut_where_json_says() {
        let (all, error) = in_all_ways(r#" [ {"a":"}]\"{","b":[1,{"c":2}]} ,5, "x,]\\" , [] ,null] "#);
        assert_eq!(error, None);
        assert_eq!(all, [r#"{"a":"}]\"{","b":[1,{"c":2}]}"#, "5", r#""x,]\\""#, "[]", "null"]);
        assert_eq!(in_all_ways("[]"), (vec![], None));
    }

    #[test]
    fn what_is_broken_says_where() {
        for (text, records, why) in [
            ("[{}", 1, "the input ends before the closing ]"),
            ("[{},", 1, "the input ends before the closing ]"),
            ("[{},{\"a\":", 1, "record 2 (line 1, byte 4): the input ends inside of this record"),
            ("[{}{}]", 1, "record 2 (line 1, byte 3): a comma or the closing ] is missing"),
            ("[{},]", 1, "an element is missing"),
            ("[,{}]", 0, "an element is missing"),
            ("[{}]\n]", 1, "record 2 (line 2, byte 5): there is something after the closing ]"),
            ("[{}] [{}]", 1, "there is something after the closing ]"),
        ] {
            let (all, error) = in_all_ways(text);
            assert_eq!(all.len(), records, "{text}");
            assert!(error.as_deref().is_some_and(|error| error.contains(why)), "{text}: {error:?}");
        }
    }

    #[test]
    fn an_element_that_is_too_long_is_passed_over() {
        let text = format!("[\"{}\",7]", "x".repeat(2 * LONGEST));
        let mut elements = Elements::new(text.as_bytes(), Skipped::default());
        let mut buffer = Vec::new();
        assert!(elements.next(&mut buffer).unwrap().unwrap().too_long);
        assert_eq!(buffer.len(), LONGEST);
        assert!(!elements.next(&mut buffer).unwrap().unwrap().too_long);
        assert_eq!(buffer, b"7");
        assert_eq!(elements.next(&mut buffer).unwrap(), None);
    }
}
