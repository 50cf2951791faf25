//! The rows of a file with the lines on which they begin.

use std::path::Path;

use serde_json::{Map, Value};

use crate::CoreError;
use crate::jsonl::parse_numbered_jsonl;

/// Objects, each with the number of its first line, from 1.
pub(crate) type Rows = Vec<(usize, Map<String, Value>)>;

/// What stands in a file.
#[derive(Debug)]
pub(crate) struct Source {
    /// The rows.
    pub(crate) rows: Rows,
    /// Whether they are elements of an array.
    pub(crate) is_array: bool,
    /// Lines with nothing on them, between JSON lines.
    pub(crate) n_blank: u64,
}

/// Reads JSON lines, or one array if the first character is `[`. A byte order mark is passed over.
pub(crate) fn rows(bytes: &[u8], path: &Path) -> Result<Source, CoreError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.trim_ascii_start().starts_with(b"[") {
        let rows = array_rows(bytes, path)?;
        return Ok(Source {
            rows,
            is_array: true,
            n_blank: 0,
        });
    }
    let mut lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    // What follows the last line break is a line only if something is there.
    if lines.last().is_some_and(|line| line.is_empty()) {
        lines.pop();
    }
    let n_blank = lines.iter().filter(|line| line.trim_ascii().is_empty());
    Ok(Source {
        is_array: false,
        n_blank: n_blank.count() as u64,
        rows: parse_numbered_jsonl(bytes, path)?,
    })
}

fn array_rows(bytes: &[u8], path: &Path) -> Result<Rows, CoreError> {
    let mut cursor = Cursor {
        bytes,
        at: 0,
        line: 1,
    };
    let fail = |line: usize, message: String| CoreError::JsonLine {
        path: path.to_owned(),
        line,
        message,
    };
    cursor.skip_blank();
    cursor.advance(1);
    let mut rows = Vec::new();
    cursor.skip_blank();
    if cursor.peek() == Some(b']') {
        cursor.advance(1);
    } else {
        loop {
            cursor.skip_blank();
            let rest = &bytes[cursor.at..];
            let mut values = serde_json::Deserializer::from_slice(rest).into_iter();
            let row = match values.next() {
                Some(Ok(row)) => row,
                Some(Err(error)) => {
                    let line = cursor.line + error.line().max(1) - 1;
                    return Err(fail(line, without_place(&error)));
                }
                None => return Err(fail(cursor.line, "the array is not closed".to_owned())),
            };
            rows.push((cursor.line, row));
            cursor.advance(values.byte_offset());
            cursor.skip_blank();
            let next = cursor.peek();
            cursor.advance(1);
            match next {
                Some(b',') => {}
                Some(b']') => break,
                _ => {
                    let message = "`,` or `]` has to follow an element of the array";
                    return Err(fail(cursor.line, message.to_owned()));
                }
            }
        }
    }
    cursor.skip_blank();
    match cursor.peek() {
        None => Ok(rows),
        Some(_) => Err(fail(cursor.line, "text after the array".to_owned())),
    }
}

/// What serde says, without its place, which counts from the element.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn advance(&mut self, n_bytes: usize) {
        let end = (self.at + n_bytes).min(self.bytes.len());
        let passed = &self.bytes[self.at..end];
        self.line += passed.iter().filter(|byte| **byte == b'\n').count();
        self.at = end;
    }

    fn skip_blank(&mut self) {
        let rest = &self.bytes[self.at..];
        self.advance(rest.len() - rest.trim_ascii_start().len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let source = rows(text.as_bytes(), Path::new("in")).unwrap();
        source.rows.into_iter().map(|(line, _)| line).collect()
    }

    fn message(text: &str) -> String {
        rows(text.as_bytes(), Path::new("in"))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn rows_know_their_lines() {
        assert_eq!(lines("{}\n\n{}\r\n{}"), [1, 3, 4]);
        assert_eq!(lines("\u{feff}{}\n"), [1]);
        assert_eq!(
            lines("\n[{\"a\":\n1},\n {\"b\": [2, \"]\"]}, {}\n]\n"),
            [2, 4, 4]
        );
        assert!(lines(" [ ] ").is_empty());
        let source = rows(b"\n{}\n \n\n", Path::new("in")).unwrap();
        assert_eq!((source.rows.len(), source.n_blank), (1, 3));
    }

    #[test]
    fn what_is_wrong_with_an_array_is_said_with_its_line() {
        assert_eq!(message("[{},\n{\"a\":\nx}]"), "in:3: expected value");
        assert!(message("[{}\n{}]").starts_with("in:2: `,` or `]` has to follow"));
        assert!(message("[{},\n").starts_with("in:2: the array is not closed"));
        assert!(message("[{},]").starts_with("in:1: "));
        assert!(message("[{}").starts_with("in:1: `,` or `]`"));
        assert!(message("[1]").starts_with("in:1: invalid type: integer"));
        assert!(message("[{}] x").starts_with("in:1: text after"));
        assert!(message("[").starts_with("in:1: "));
    }
}
