//! From a row of a known kind to a [`Problem`].

use super::row::Row;
use super::{DatasetKind, options};
use crate::verify::extract::last_box_span;
use crate::verify::{ExtractionRule, extract_answer};
use crate::{CoreError, Problem};

/// Before the answer of a MetaMath response.
const METAMATH_MARK: &str = "The answer is:";

/// The problem of a row, or why it is dropped.
pub(super) fn problem(
    kind: DatasetKind,
    row: &Row<'_>,
    id: String,
) -> Result<Result<Problem, &'static str>, CoreError> {
    let problem = match kind {
        DatasetKind::Gsm8k => gsm8k(row)?,
        DatasetKind::Math => math(row)?,
        DatasetKind::Amc23 => Problem {
            answer: row.text("answer")?,
            ..of_question(amc_question(row)?)
        },
        DatasetKind::Metamath => match metamath(row)? {
            Some(problem) => problem,
            None => return Ok(Err("dropped: no answer behind `The answer is:`")),
        },
        DatasetKind::Mmlu => options::multiple_choice(row)?,
        DatasetKind::Svamp => svamp(row)?,
        DatasetKind::Champ => Problem {
            solution: Some(row.texts("steps")?.join("\n")),
            answer: row.text("answer")?,
            ..of_question(row.text("question")?)
        },
        DatasetKind::Plain => Problem {
            solution: row.optional_text("solution")?,
            answer: row.text("answer")?,
            difficulty: plain_difficulty(row)?,
            ..of_question(row.text("question")?)
        },
    };
    Ok(Ok(Problem { id, ..problem }))
}

/// A problem of which nothing else is known yet.
pub(super) fn of_question(question: String) -> Problem {
    Problem {
        id: String::new(),
        question,
        solution: None,
        answer: String::new(),
        difficulty: None,
        options: Vec::new(),
    }
}

fn gsm8k(row: &Row<'_>) -> Result<Problem, CoreError> {
    let question = of_question(row.text("question")?);
    let answer = row.text("answer")?;
    if let Some(solution) = row.optional_text("solution")? {
        return Ok(Problem {
            solution: Some(solution),
            answer,
            ..question
        });
    }
    let marked = extract_answer(&answer).filter(|found| found.rule == ExtractionRule::HashLine);
    let Some(marked) = marked else {
        return Err(row.bad("answer", "has to end with a line `#### answer`"));
    };
    let worked = answer.rfind("####").unwrap_or(0);
    Ok(Problem {
        solution: Some(answer[..worked].trim().to_owned()).filter(|text| !text.is_empty()),
        answer: marked.text.to_owned(),
        ..question
    })
}

fn math(row: &Row<'_>) -> Result<Problem, CoreError> {
    let solution = row.text("solution")?;
    let answer = match row.optional_text("answer")? {
        Some(answer) => answer,
        None => {
            let Some(boxed) = last_box_span(&solution) else {
                return Err(row.bad(
                    "solution",
                    "has no closed \\boxed{..}, and there is no `answer`",
                ));
            };
            solution[boxed].trim().to_owned()
        }
    };
    let level = row.optional_text("level")?;
    Ok(Problem {
        // MATH has a few problems of `Level ?`.
        difficulty: level.and_then(|level| level.trim_start_matches("Level").trim().parse().ok()),
        solution: Some(solution),
        answer,
        ..of_question(row.text("problem")?)
    })
}

fn amc_question(row: &Row<'_>) -> Result<String, CoreError> {
    match row.optional_text("problem")? {
        Some(question) => Ok(question),
        None => row.text("question"),
    }
}

/// `None` without an answer: the response is a model's.
fn metamath(row: &Row<'_>) -> Result<Option<Problem>, CoreError> {
    let question = row.text("query")?;
    let response = row.optional_text("response")?.unwrap_or_default();
    let Some((worked, answer)) = response.rsplit_once(METAMATH_MARK) else {
        return Ok(None);
    };
    let answer = answer.trim();
    Ok((!answer.is_empty()).then(|| Problem {
        solution: Some(worked.trim().to_owned()).filter(|text| !text.is_empty()),
        answer: answer.to_owned(),
        ..of_question(question)
    }))
}

fn svamp(row: &Row<'_>) -> Result<Problem, CoreError> {
    if row.has("question") {
        return Ok(Problem {
            answer: row.text("answer")?,
            ..of_question(row.text("question")?)
        });
    }
    let (body, question) = (row.text("Body")?, row.text("Question")?);
    Ok(Problem {
        answer: row.text("Answer")?,
        ..of_question(format!("{} {}", body.trim(), question.trim()))
    })
}

fn plain_difficulty(row: &Row<'_>) -> Result<Option<u32>, CoreError> {
    let text = row.optional_text("difficulty")?;
    let number = |text: String| {
        let number = text.trim().parse();
        number.map_err(|_| row.bad("difficulty", "has to be an integer from 0"))
    };
    text.map(number).transpose()
}
