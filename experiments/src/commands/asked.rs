//! What a prompt asks for: a level, the model's own choice, or nothing.

use std::fmt;
use std::str::FromStr;

use extracot_core::{ControlToken, KeepLevel};

/// `20` .. `100`, `policy`, or `none` for the prompt of a model without control tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked(pub(super) Option<ControlToken>);

impl Asked {
    /// The level, if a fixed one is asked for.
    pub(super) fn level(self) -> Option<KeepLevel> {
        self.0.and_then(ControlToken::level)
    }
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let level = || {
            let percent: i64 = text.parse().ok()?;
            KeepLevel::try_new(percent).ok().map(ControlToken::Level)
        };
        match text {
            "none" => Ok(Self(None)),
            "policy" => Ok(Self(Some(ControlToken::Policy))),
            _ => level()
                .map(|token| Self(Some(token)))
                .ok_or_else(|| "known are 20, 40, 60, 80, 100, policy and none".to_owned()),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("none"),
            Some(ControlToken::Policy) => f.write_str("policy"),
            Some(ControlToken::Level(level)) => write!(f, "{level}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_comes_back_and_others_are_refused() {
        for name in ["none", "policy", "20", "40", "60", "80", "100"] {
            assert_eq!(name.parse::<Asked>().unwrap().to_string(), name);
        }
        for name in ["", "50", "0.4", "Policy", "<COMP_40>"] {
            assert!(name.parse::<Asked>().is_err(), "{name}");
        }
    }
}
