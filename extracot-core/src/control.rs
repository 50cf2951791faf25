//! Control tokens: how a budget is asked for and how the model says which one it chose.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{CoreError, KeepLevel};

/// `<COMP_20>` .. `<COMP_100>` ask for a level, `<COMP_POLICY>` lets the model choose.
///
/// # Source
///
/// Names: Extra-CoT (arXiv 2602.08324). The alias `<COMP_AUTO>` of the released data is read as
/// `<COMP_POLICY>` and never written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ControlToken {
    /// A fixed level.
    Level(KeepLevel),
    /// The model chooses.
    Policy,
}

impl ControlToken {
    /// All six tokens: the levels in rising order, then `<COMP_POLICY>`.
    pub const ALL: [Self; 6] = [
        Self::Level(KeepLevel::ALL[0]),
        Self::Level(KeepLevel::ALL[1]),
        Self::Level(KeepLevel::ALL[2]),
        Self::Level(KeepLevel::ALL[3]),
        Self::Level(KeepLevel::ALL[4]),
        Self::Policy,
    ];

    /// The level, unless the token is `<COMP_POLICY>`.
    pub fn level(self) -> Option<KeepLevel> {
        match self {
            Self::Level(level) => Some(level),
            Self::Policy => None,
        }
    }
}

impl fmt::Display for ControlToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Level(level) => write!(f, "<COMP_{level}>"),
            Self::Policy => f.write_str("<COMP_POLICY>"),
        }
    }
}

impl FromStr for ControlToken {
    type Err = CoreError;
    fn from_str(text: &str) -> Result<Self, CoreError> {
        if text == "<COMP_AUTO>" {
            return Ok(Self::Policy);
        }
        Self::ALL
            .into_iter()
            .find(|token| token.to_string() == text)
            .ok_or_else(|| CoreError::ControlToken {
                found: text.to_owned(),
            })
    }
}

impl TryFrom<String> for ControlToken {
    type Error = CoreError;
    fn try_from(text: String) -> Result<Self, CoreError> {
        text.parse()
    }
}

impl From<ControlToken> for String {
    fn from(token: ControlToken) -> String {
        token.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip_and_the_alias_is_read() {
        for token in ControlToken::ALL {
            assert_eq!(token.to_string().parse::<ControlToken>().unwrap(), token);
        }
        assert_eq!(
            "<COMP_AUTO>".parse::<ControlToken>().unwrap(),
            ControlToken::Policy
        );
        assert!("<COMP_50>".parse::<ControlToken>().is_err());
        assert_eq!(ControlToken::ALL[1].to_string(), "<COMP_40>");
    }
}
