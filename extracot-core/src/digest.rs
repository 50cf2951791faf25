//! SHA-256 as hexadecimal text: names data in logs, tells damaged files.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::CoreError;

/// The SHA-256 of `bytes`, 64 digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of a file, 64 digits, in the memory of a buffer.
///
/// # Errors
///
/// [`CoreError::Io`] if the file cannot be read.
pub fn file_sha256(path: &Path) -> Result<String, CoreError> {
    let digest = File::open(path).and_then(|file| {
        let mut file = BufReader::with_capacity(1 << 20, file);
        let mut hasher = Sha256::new();
        loop {
            let bytes = file.fill_buf()?;
            if bytes.is_empty() {
                return Ok(hasher.finalize());
            }
            hasher.update(bytes);
            let n = bytes.len();
            file.consume(n);
        }
    });
    Ok(hex(&digest.map_err(CoreError::io("read", path))?))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_standard() {
        // FIPS 180-4, example of one block.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(file_sha256(&path).unwrap(), abc);
        assert!(file_sha256(folder.path()).is_err());
    }
}
