//! Which data set a file is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::row::Row;
use crate::CoreError;
use crate::verify::parse_number;

/// A form of problem files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DatasetKind {
    /// `question` and an `answer` that ends with a `####` line; or `question`, `solution`, `answer`.
    Gsm8k,
    /// MATH and MATH-500: `problem`, `solution` with a box, perhaps `answer`, `level`.
    Math,
    /// `problem` or `question` and a numeric `answer`.
    Amc23,
    /// `query` and `response`; the answer stands behind `The answer is:`.
    Metamath,
    /// MMLU and its parts: `question`, `choices` or `options`, `answer` as index or letter.
    Mmlu,
    /// `Body`, `Question`, `Answer`; or `question`, `answer`, `equation`.
    Svamp,
    /// `question`, `answer`, `steps`.
    Champ,
    /// `question`, `answer`, perhaps `solution` and `difficulty`.
    Plain,
}

impl DatasetKind {
    /// All kinds; of those that a row fits, the first is what it is.
    pub const ALL: [Self; 8] = [
        Self::Svamp,
        Self::Metamath,
        Self::Mmlu,
        Self::Champ,
        Self::Math,
        Self::Gsm8k,
        Self::Amc23,
        Self::Plain,
    ];

    /// Its name in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gsm8k => "gsm8k",
            Self::Math => "math",
            Self::Amc23 => "amc23",
            Self::Metamath => "metamath",
            Self::Mmlu => "mmlu",
            Self::Svamp => "svamp",
            Self::Champ => "champ",
            Self::Plain => "plain",
        }
    }

    /// The fields by which it is known, for messages.
    fn fields(self) -> &'static str {
        match self {
            Self::Gsm8k => "question, answer with ####",
            Self::Math => "problem, solution",
            Self::Amc23 => "problem, answer",
            Self::Metamath => "query, response",
            Self::Mmlu => "question, choices, answer",
            Self::Svamp => "Body, Question, Answer",
            Self::Champ => "question, steps, answer",
            Self::Plain => "question, answer",
        }
    }

    /// The kind of a row, by its fields: the first of [`Self::ALL`] that it fits. Plain rows with
    /// worked solutions are GSM8K only if they carry its marks, `####` or `<<`.
    fn of(row: &Row<'_>) -> Option<Self> {
        let fits = |kind: &Self| match kind {
            Self::Gsm8k => has_gsm8k_marks(row),
            Self::Amc23 => Self::Amc23.fits(row) && (row.has("problem") || row.has("url")),
            kind => kind.fits(row),
        };
        Self::ALL.into_iter().find(fits)
    }

    /// Whether a row can be read as this kind.
    fn fits(self, row: &Row<'_>) -> bool {
        let all = |fields: &[&str]| fields.iter().all(|field| row.has(field));
        match self {
            Self::Gsm8k => {
                all(&["question", "answer"]) && (has_gsm8k_marks(row) || row.has("solution"))
            }
            Self::Math => all(&["problem", "solution"]),
            Self::Amc23 => {
                (row.has("problem") || row.has("question"))
                    && !row.has("solution")
                    && is_numeric(row.fields.get("answer"))
            }
            Self::Metamath => all(&["query", "response"]),
            Self::Mmlu => {
                all(&["question", "answer"]) && (row.has("choices") || row.has("options"))
            }
            Self::Svamp => {
                all(&["Body", "Question", "Answer"]) || all(&["question", "answer", "equation"])
            }
            Self::Champ => all(&["question", "answer", "steps"]),
            Self::Plain => all(&["question", "answer"]),
        }
    }
}

fn has_gsm8k_marks(row: &Row<'_>) -> bool {
    let holds = |field: &str, mark: &str| {
        let text = row.fields.get(field).and_then(Value::as_str);
        text.is_some_and(|text| text.contains(mark))
    };
    row.has("question") && (holds("answer", "####") || holds("solution", "<<"))
}

fn is_numeric(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Number(_)) => true,
        Some(Value::String(text)) => parse_number(text).is_some(),
        _ => false,
    }
}

/// The kind of a file with this first row; `asked` is what the user says that it is.
pub(super) fn decide(
    first: &Row<'_>,
    asked: Option<DatasetKind>,
) -> Result<DatasetKind, CoreError> {
    match (asked, DatasetKind::of(first)) {
        (None, Some(kind)) => Ok(kind),
        (Some(asked), _) if asked.fits(first) => Ok(asked),
        (Some(asked), found) => Err(CoreError::WrongDataset {
            path: first.path.to_owned(),
            line: first.line,
            asked: asked.name(),
            wanted: asked.fields(),
            fields: first.names(),
            remedy: found.map_or_else(String::new, |kind| format!("; it looks like `{kind}`")),
        }),
        (None, None) => {
            let kinds = DatasetKind::ALL.map(|kind| format!("{kind} ({})", kind.fields()));
            Err(CoreError::UnknownDataset {
                path: first.path.to_owned(),
                line: first.line,
                fields: first.names(),
                kinds: kinds.join("; "),
            })
        }
    }
}

impl fmt::Display for DatasetKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DatasetKind {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        let mut kinds = Self::ALL.into_iter();
        kinds
            .find(|kind| kind.name() == text)
            .ok_or_else(|| CoreError::Setting {
                key: "dataset",
                found: text.to_owned(),
                allowed: "gsm8k, math, amc23, metamath, mmlu, svamp, champ or plain",
            })
    }
}
