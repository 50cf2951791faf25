//! Typed JSON lines: every error names the path and the line; files are written whole or not at all.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::CoreError;

/// Reads every non-blank line of `path` as a `T`.
///
/// # Errors
///
/// [`CoreError::Io`] if the file cannot be read, [`CoreError::JsonLine`] for the first line that is
/// no `T`.
pub fn read_jsonl<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, CoreError> {
    let rows = read_numbered_jsonl(path)?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// As [`read_jsonl`], each row with the number of its line, from 1.
///
/// # Errors
///
/// As [`read_jsonl`].
pub fn read_numbered_jsonl<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>, CoreError> {
    let file = File::open(path).map_err(CoreError::io("read", path))?;
    parse_numbered_jsonl(BufReader::new(file), path)
}

/// As [`read_numbered_jsonl`], from any source; `path` names it in errors.
///
/// # Errors
///
/// As [`read_jsonl`].
pub fn parse_numbered_jsonl<T: DeserializeOwned>(
    source: impl BufRead,
    path: &Path,
) -> Result<Vec<(usize, T)>, CoreError> {
    stream_jsonl(source, path).collect()
}

/// Every non-blank line as a `T` with its number, from 1, one after the other: memory for one line.
///
/// An item is an error as in [`read_jsonl`]; whoever goes on after one gets the lines behind it. A source
/// that fails is the last item.
pub fn stream_jsonl<T: DeserializeOwned>(
    mut source: impl BufRead,
    path: &Path,
) -> impl Iterator<Item = Result<(usize, T), CoreError>> {
    let path = path.to_owned();
    let mut line_no = 0;
    let mut line = Vec::new();
    let mut has_failed = false;
    std::iter::from_fn(move || {
        while !has_failed {
            line.clear();
            match source.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) => line_no += 1,
                Err(error) => {
                    has_failed = true;
                    return Some(Err(CoreError::io("read", path.clone())(error)));
                }
            }
            if !line.trim_ascii().is_empty() {
                return Some(parse_line(&line, line_no, &path));
            }
        }
        None
    })
}

fn parse_line<T: DeserializeOwned>(
    line: &[u8],
    line_no: usize,
    path: &Path,
) -> Result<(usize, T), CoreError> {
    let fail = |message: String| CoreError::JsonLine {
        path: path.to_owned(),
        line: line_no,
        message,
    };
    // serde_json checks UTF-8 too, but without a place.
    if let Err(error) = std::str::from_utf8(line) {
        let at = error.valid_up_to() + 1;
        return Err(fail(format!("not valid UTF-8 at byte {at}")));
    }
    let row = serde_json::from_slice(line).map_err(|error| fail(error.to_string()))?;
    Ok((line_no, row))
}

/// Writes one line per row, through a temporary file that is synced and renamed.
///
/// # Errors
///
/// [`CoreError::Io`] if the file cannot be written; an earlier file of that name is then untouched.
pub fn write_jsonl<T: Serialize>(path: &Path, rows: &[T]) -> Result<(), CoreError> {
    write_atomic(path, |out| {
        for row in rows {
            serde_json::to_writer(&mut *out, row)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    })
}

/// Writes a file through a temporary one in the same folder, synced, then renamed.
///
/// # Errors
///
/// [`CoreError::Io`] if any step fails; an earlier file of that name is then untouched.
pub fn write_atomic(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), CoreError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let written = (|| {
        let mut out = BufWriter::new(File::create(&partial)?);
        fill(&mut out)?;
        out.into_inner()
            .map_err(std::io::IntoInnerError::into_error)?
            .sync_all()?;
        fs::rename(&partial, path)
    })();
    written.map_err(|source| {
        // The write failed already; a left-over partial file is harmless and may be unremovable.
        let _ = fs::remove_file(&partial);
        CoreError::Io {
            action: "write",
            path: path.to_owned(),
            source,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        fs::write(&path, "1\n\n2\nx\n").unwrap();
        let message = read_jsonl::<u32>(&path).unwrap_err().to_string();
        assert!(message.contains("rows.jsonl:4:"), "{message}");
        fs::write(&path, b"1\n\xff\n").unwrap();
        let message = read_jsonl::<u32>(&path).unwrap_err().to_string();
        assert!(
            message.ends_with("rows.jsonl:2: not valid UTF-8 at byte 1"),
            "{message}"
        );
    }

    #[test]
    fn bytes_that_are_no_text_are_named_and_the_rest_can_be_read() {
        let source: &[u8] = b"\"a\"\n\"\xff\"\n\n\"b\"";
        let rows: Vec<_> = stream_jsonl::<String>(source, Path::new("in")).collect();
        assert_eq!(rows[0].as_ref().unwrap(), &(1, "a".to_owned()));
        let message = rows[1].as_ref().unwrap_err().to_string();
        assert_eq!(message, "in:2: not valid UTF-8 at byte 2");
        assert_eq!(rows[2].as_ref().unwrap(), &(4, "b".to_owned()));
        assert_eq!(rows.len(), 3);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        write_jsonl(&path, &[1, 2]).unwrap();
        let failed = write_atomic(&path, |_| Err(std::io::Error::other("disk full")));
        let source = std::error::Error::source(&failed.unwrap_err()).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("disk full"));
        assert_eq!(read_jsonl::<u32>(&path).unwrap(), [1, 2]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
