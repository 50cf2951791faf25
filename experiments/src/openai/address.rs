//! `openai:MODEL@http://host:port/v1`: a model behind an endpoint.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail};
use ureq::http::Uri;

/// What an address begins with.
const PREFIX: &str = "openai:";

/// A model behind an OpenAI-compatible endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The model's name, as the endpoint knows it.
    pub model: String,
    /// The endpoint, without a slash at the end: `http://host:port/v1`.
    pub base_url: String,
}

impl Address {
    /// Whether the endpoint is on this machine.
    pub fn is_local(&self) -> bool {
        let uri = self.base_url.parse::<Uri>().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        host == "localhost" || host == "[::1]" || host.starts_with("127.")
    }
}

impl FromStr for Address {
    type Err = Error;

    /// Reads `openai:MODEL@URL`.
    ///
    /// # Errors
    ///
    /// If a part is missing, the URL is not one of plain http (or https in a build that has it), or
    /// holds what does not belong there.
    fn from_str(text: &str) -> Result<Self> {
        let form = "openai:MODEL@http://host:port/v1";
        let rest = text
            .strip_prefix(PREFIX)
            .with_context(|| format!("`{text}` is no {form}"))?;
        let at = ["@http://", "@https://"].map(|scheme| rest.rfind(scheme));
        let at = at
            .into_iter()
            .flatten()
            .max()
            .with_context(|| format!("`{text}` has no URL behind an @, as in {form}"))?;
        let (model, base_url) = (&rest[..at], rest[at + 1..].trim_end_matches('/'));
        if model.is_empty() {
            bail!("`{text}` names no model, as in {form}");
        }
        let behind_scheme = base_url.split_once("://").map_or("", |(_, rest)| rest);
        let authority = behind_scheme.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            // Not quoted: it may be a secret.
            bail!("the URL holds a user name or password; name a variable with --api-key-env");
        }
        if authority.is_empty() {
            bail!("`{base_url}` names no host");
        }
        let uri: Uri = base_url
            .parse()
            .with_context(|| format!("`{base_url}` is no URL"))?;
        if uri.query().is_some() || base_url.contains('#') {
            bail!("`{base_url}` ends in a query; give the part before /chat/completions");
        }
        if base_url.ends_with("/chat/completions") {
            bail!("give `{base_url}` without /chat/completions");
        }
        if uri.scheme_str() == Some("https") && !cfg!(feature = "https") {
            bail!(
                "this build speaks plain http; build with `--features https` for `{base_url}` \
                 (it needs a C compiler)"
            );
        }
        Ok(Self {
            model: model.to_owned(),
            base_url: base_url.to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}@{}", self.model, self.base_url)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_model_may_hold_an_at_and_slashes() {
        for (text, model, base_url) in [
            ("openai:m@http://h:8000/v1", "m", "http://h:8000/v1"),
            ("openai:org/m@rev@http://h/v1/", "org/m@rev", "http://h/v1"),
            ("openai:m:free@http://[::1]:80", "m:free", "http://[::1]:80"),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(
                (address.model.as_str(), address.base_url.as_str()),
                (model, base_url)
            );
        }
        let local = |url: &str| {
            format!("openai:m@{url}")
                .parse::<Address>()
                .unwrap()
                .is_local()
        };
        assert!(local("http://127.0.0.1:1/v1") && local("http://[::1]/v1"));
        assert!(local("http://localhost") && !local("http://h.example/v1"));
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong() {
        for (text, wanted) in [
            ("m@http://h", "is no openai:MODEL@"),
            ("openai:m", "no URL behind an @"),
            ("openai:m@h:80/v1", "no URL behind an @"),
            ("openai:@http://h", "names no model"),
            ("openai:m@http://", "names no host"),
            ("openai:m@http://h:x y/v1", "is no URL"),
            ("openai:m@http://h/v1?x=1", "ends in a query"),
            ("openai:m@http://h/v1/chat/completions", "without /chat"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
        let error = "openai:m@http://me:pass@h/v1"
            .parse::<Address>()
            .unwrap_err();
        assert!(error.to_string().contains("--api-key-env"), "{error}");
        assert!(!format!("{error:#}").contains("pass@"), "{error:#}");
    }

    #[cfg(not(feature = "https"))]
    #[test]
    fn https_without_its_feature_names_the_feature() {
        let error = "openai:m@https://h/v1".parse::<Address>().unwrap_err();
        assert!(error.to_string().contains("--features https"), "{error}");
    }
}
