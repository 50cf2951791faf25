//! Output rows of a command that takes long: kept as they come, so that a killed run goes on.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Rows of an output that is not complete, in `OUT.unfinished`, by their place in the input.
#[derive(Debug)]
pub(super) struct PartialOutput<T> {
    path: PathBuf,
    file: File,
    rows: BTreeMap<usize, T>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    /// Names everything that the rows depend on.
    key: String,
}

#[derive(Serialize, Deserialize)]
struct Entry<T> {
    place: usize,
    row: T,
}

impl<T: Serialize + DeserializeOwned> PartialOutput<T> {
    /// Opens what an earlier run with the same `key` left beside `out`, or begins.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written, or is of a run with another key.
    pub(super) fn open(out: &Path, key: &str) -> Result<Self> {
        let mut name = out.as_os_str().to_owned();
        name.push(".unfinished");
        let path = PathBuf::from(name);
        let place = path.display();
        let bytes = match path.is_file() {
            false => vec![],
            true => std::fs::read(&path).with_context(|| format!("cannot read {place}"))?,
        };
        // A run that was killed can leave its last line cut, within a character too.
        let n_whole = bytes.iter().rposition(|byte| *byte == b'\n');
        let n_whole = n_whole.map_or(0, |idx| idx + 1);
        let mut lines = bytes[..n_whole].split(|byte| *byte == b'\n');
        let header = lines.next().filter(|line| !line.is_empty());
        let mut rows = BTreeMap::new();
        if let Some(header) = header {
            let is_ours = serde_json::from_slice::<Header>(header).is_ok_and(|h| h.key == key);
            if !is_ours {
                bail!(
                    "{place} is left from a run with other rows, settings or model; \
                     remove it, or choose another --out"
                );
            }
            for (idx, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
                let entry: Entry<T> = serde_json::from_slice(line)
                    .map_err(|error| anyhow::anyhow!("{place}:{}: {error}", idx + 2))?;
                rows.insert(entry.place, entry.row);
            }
        }
        // What is there stays where it is: only a cut line goes.
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {place}"))?;
        let header = match header {
            Some(_) => String::new(),
            None => {
                serde_json::to_string(&Header {
                    key: key.to_owned(),
                })? + "\n"
            }
        };
        file.set_len(n_whole as u64)
            .and_then(|()| file.write_all(header.as_bytes()))
            .and_then(|()| file.sync_data())
            .with_context(|| format!("cannot write {place}"))?;
        Ok(Self { path, file, rows })
    }

    /// Whether the row of a place is there.
    pub(super) fn has(&self, place: usize) -> bool {
        self.rows.contains_key(&place)
    }

    /// The row of a place, if it is there.
    pub(super) fn get(&self, place: usize) -> Option<&T> {
        self.rows.get(&place)
    }

    /// Rows that are there.
    pub(super) fn n_rows(&self) -> usize {
        self.rows.len()
    }

    /// Keeps rows with their places.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(super) fn keep(&mut self, rows: impl IntoIterator<Item = (usize, T)>) -> Result<()> {
        let rows: Vec<(usize, T)> = rows.into_iter().collect();
        let mut text = String::new();
        for (place, row) in &rows {
            text.push_str(&serde_json::to_string(&Entry { place: *place, row })?);
            text.push('\n');
        }
        let place = self.path.display();
        let n_before = self.file.metadata().map(|found| found.len());
        let written = self.file.write_all(text.as_bytes());
        if let (Err(_), Ok(n_before)) = (&written, n_before) {
            // A full disk: no line is left cut in the middle, whatever is written behind it. If that fails
            // too, the first error says what is wrong.
            let _ = self.file.set_len(n_before);
        }
        written
            .and_then(|()| self.file.sync_data())
            .with_context(|| format!("cannot write {place}"))?;
        self.rows.extend(rows);
        Ok(())
    }

    /// All rows in order; the file goes once `finish` has written them.
    ///
    /// # Errors
    ///
    /// What `finish` fails with; the rows then stay where they are.
    pub(super) fn finish(self, finish: impl FnOnce(&[T]) -> Result<()>) -> Result<()> {
        let rows: Vec<T> = self.rows.into_values().collect();
        finish(&rows)?;
        let place = self.path.display();
        std::fs::remove_file(&self.path).with_context(|| format!("cannot remove {place}"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_killed_run_is_found_again_without_its_cut_line() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.jsonl");
        let mut first = PartialOutput::<String>::open(&out, "a").unwrap();
        let row = |place: usize| (place, format!("row {place}"));
        first.keep([row(0), row(3)]).unwrap();
        drop(first);
        let path = folder.path().join("out.jsonl.unfinished");
        let mut bytes = std::fs::read(&path).unwrap();
        // Cut within a character of two bytes.
        bytes.extend(b"{\"place\": 1, \"row\": \"\xc3");
        std::fs::write(&path, bytes).unwrap();

        let mut second = PartialOutput::<String>::open(&out, "a").unwrap();
        assert!(second.has(0) && second.has(3) && !second.has(1));
        second.keep([row(1), row(2)]).unwrap();
        drop(second);
        let third = PartialOutput::<String>::open(&out, "a").unwrap();
        assert_eq!(third.n_rows(), 4);
        let error = PartialOutput::<String>::open(&out, "b").unwrap_err();
        assert!(error.to_string().contains("remove it"), "{error}");
        third
            .finish(|rows| {
                assert_eq!(rows, ["row 0", "row 1", "row 2", "row 3"]);
                Ok(())
            })
            .unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_broken_line_in_the_middle_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out.jsonl");
        let path = folder.path().join("out.jsonl.unfinished");
        std::fs::write(
            &path,
            "{\"key\":\"a\"}\n{\"pl\n{\"place\":0,\"row\":\"x\"}\n",
        )
        .unwrap();
        let error = PartialOutput::<String>::open(&out, "a").unwrap_err();
        assert!(error.to_string().contains("unfinished:2"), "{error}");
    }
}
