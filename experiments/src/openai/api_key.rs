//! A key that is never shown.

use std::fmt;

use anyhow::{Context, Result, bail};

/// What stands where the key would.
const HIDDEN: &str = "[api key]";

/// Bytes below which a key is no secret.
const MIN_SECRET_BYTES: usize = 8;

/// An API key. It has no `Display` and no serde form, and its `Debug` form hides it.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key in the environment variable `name`.
    ///
    /// # Errors
    ///
    /// If the variable is not set or empty, or holds what no HTTP header can.
    pub fn from_env(name: &str) -> Result<Self> {
        let key = std::env::var(name).ok().with_context(|| {
            format!("the environment variable {name} of --api-key-env is not set")
        })?;
        Self::try_new(key.trim()).with_context(|| format!("the environment variable {name}"))
    }

    fn try_new(key: &str) -> Result<Self> {
        if key.is_empty() {
            bail!("the key is empty");
        }
        // Quotes and backslashes would be spelled otherwise in JSON, and then not be found there.
        let is_plain = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        if !key.bytes().all(is_plain) {
            bail!("the key holds white space, quotes or characters beyond ASCII");
        }
        Ok(Self(key.to_owned()))
    }

    /// The value of an `Authorization` header.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// A text of the endpoint without the key, which some repeat in their errors.
    ///
    /// A key of a few characters is a placeholder such as `EMPTY` or `0`: it would be found in
    /// innocent words and numbers, so it is left there.
    pub(super) fn hide_in(&self, text: &str) -> String {
        match self.0.len() < MIN_SECRET_BYTES {
            true => text.to_owned(),
            false => text.replace(&self.0, HIDDEN),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_not_in_its_debug_form_nor_in_what_it_is_hidden_in() {
        let key = ApiKey::try_new("sk-secret-1").unwrap();
        assert_eq!(
            format!("{key:?} {:?}", Some(&key)),
            "[api key] Some([api key])"
        );
        assert_eq!(key.hide_in("bad key sk-secret-1!"), "bad key [api key]!");
        assert_eq!(key.bearer(), "Bearer sk-secret-1");
        let placeholder = ApiKey::try_new("0").unwrap();
        assert_eq!(placeholder.hide_in("001-002"), "001-002");
    }

    #[test]
    fn a_key_that_no_header_can_hold_is_refused_without_being_shown() {
        for bad in ["", "a b", "a\nb", "\u{e9}xyz", "a\"b"] {
            let error = format!("{:#}", ApiKey::try_new(bad).unwrap_err());
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
        let error = ApiKey::from_env("EXTRACOT_NO_SUCH_VARIABLE").unwrap_err();
        assert!(error.to_string().contains("EXTRACOT_NO_SUCH_VARIABLE"));
    }
}
