//! Multiple-choice questions: options in the question, a letter as gold answer.

use std::borrow::Cow;

use serde_json::Value;

use super::convert::of_question;
use super::row::Row;
use crate::verify::{MathVerifier, normalize_answer};
use crate::{AnswerVerifier, CoreError, Problem, Verdict};

const LETTERS: [&str; 10] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];

/// The content of the option that the gold answer names, `None` where there are no options.
pub fn option_text(problem: &Problem) -> Option<&str> {
    let place = LETTERS.iter().position(|it| *it == problem.answer)?;
    problem.options.get(place).map(String::as_str)
}

/// What counts as the gold answer: the gold answer itself and, of a multiple-choice question, the
/// content of the right option, unless that could be taken for a letter or the verifier calls it equal to another option.
pub fn accepted_answers(problem: &Problem) -> Vec<&str> {
    let mut accepted = vec![problem.answer.as_str()];
    if let Some(content) = option_text(problem) {
        let key = normalize_answer(content);
        let gold = in_order(content);
        let n_same = problem
            .options
            .iter()
            .filter(|option| {
                normalize_answer(option) == key
                    || MathVerifier.verify_answer(option, &gold).is_correct()
                    || MathVerifier
                        .verify_answer(content, &in_order(option))
                        .is_correct()
            })
            .count();
        let is_letter = LETTERS.iter().any(|it| it.eq_ignore_ascii_case(&key));
        if n_same == 1 && !is_letter && !key.is_empty() {
            accepted.push(content);
        }
    }
    accepted
}

/// The content of an option as a gold answer: words in a row, such as `True, False`, have an order.
fn in_order(content: &str) -> Cow<'_, str> {
    let is_word = |c: char| c.is_alphabetic() || c.is_whitespace() || "-',.".contains(c);
    let list = content.trim().trim_end_matches(['.', ',', ' ']);
    match list.contains(',') && list.chars().all(is_word) {
        true => Cow::Owned(format!("({list})")),
        false => Cow::Borrowed(content),
    }
}

/// Judges against every accepted answer: right if one of them says so, else what the gold answer
/// itself says.
pub fn verify_problem(verifier: &dyn AnswerVerifier, visible: &str, problem: &Problem) -> Verdict {
    let first = verifier.verify(visible, &problem.answer);
    let contents = accepted_answers(problem).into_iter().skip(1);
    let mut verdicts = contents.map(|content| verifier.verify(visible, &in_order(content)));
    if first.is_correct() || verdicts.any(|verdict| verdict.is_correct()) {
        Verdict::Correct
    } else {
        first
    }
}

/// Reads `question`, `choices` or `options`, and `answer`: an index from 0, a letter, or the content
/// of an option.
pub(super) fn multiple_choice(row: &Row<'_>) -> Result<Problem, CoreError> {
    let field = if row.has("choices") {
        "choices"
    } else {
        "options"
    };
    let options = row.texts(field)?;
    if !(2..=LETTERS.len()).contains(&options.len()) {
        return Err(row.bad(field, "has to hold 2 to 10 options"));
    }
    let answer = row.text("answer")?;
    let is_index = row.fields.get("answer").is_some_and(Value::is_number);
    let place = match places_of(answer.trim(), is_index, &options)[..] {
        [place] => place,
        [] => return Err(row.bad("answer", "is no index, letter or content of an option")),
        _ => {
            let message = "names one option by its place and another by its content; write the letter, \
                           or the place as a number";
            return Err(row.bad("answer", message));
        }
    };
    let lettered = LETTERS.iter().zip(&options);
    let list: String = lettered
        .map(|(letter, option)| format!("\n({letter}) {option}"))
        .collect();
    let mut question = row.text("question")?;
    // A problem that was read once and written as it is has them already.
    if !question.ends_with(&list) {
        question.push_str(&list);
    }
    Ok(Problem {
        answer: LETTERS[place].to_owned(),
        options,
        ..of_question(question)
    })
}

/// The options that an answer may name: a number as its place, a text also by its letter or content.
fn places_of(answer: &str, is_index: bool, options: &[String]) -> Vec<usize> {
    let index: Option<usize> = answer.parse().ok();
    let index = index.filter(|place| *place < options.len());
    if is_index {
        return index.into_iter().collect();
    }
    let bare = answer.trim_start_matches('(').trim_end_matches([')', '.']);
    let letters = LETTERS.iter().take(options.len());
    let letter = letters
        .into_iter()
        .position(|it| it.eq_ignore_ascii_case(bare));
    let content = options.iter().position(|option| option.trim() == answer);
    // A letter is a letter, also where an option consists of another one.
    let mut places: Vec<usize> = match letter {
        Some(place) => vec![place],
        None => index.into_iter().chain(content).collect(),
    };
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(options: &[&str], answer: &str) -> Problem {
        Problem {
            answer: answer.to_owned(),
            options: options.iter().map(|it| (*it).to_owned()).collect(),
            ..of_question("Which?".to_owned())
        }
    }

    fn verdict(answer: &str, problem: &Problem) -> Verdict {
        verify_problem(&MathVerifier, &format!(r"\boxed{{{answer}}}"), problem)
    }

    #[test]
    fn a_place_and_a_content_that_disagree_are_told_apart_by_type() {
        let options = ["10", "2", "3", "1"].map(str::to_owned);
        assert_eq!(places_of("1", true, &options), [1]);
        assert_eq!(places_of("1", false, &options), [1, 3]);
        assert_eq!(places_of("10", false, &options), [0]);
        assert_eq!(places_of("(d)", false, &options), [3]);
        assert!(places_of("7", true, &options).is_empty());
        assert!(places_of("E", false, &options).is_empty());
    }

    #[test]
    fn words_of_an_option_keep_their_order() {
        let options = ["True, True", "False, False", "True, False", "False, True"];
        let problem = problem(&options, "C");
        assert_eq!(verdict("True, False", &problem), Verdict::Correct);
        assert_eq!(verdict("C", &problem), Verdict::Correct);
        assert_eq!(verdict("False, True", &problem), Verdict::Incorrect);
    }

    #[test]
    fn contents_that_the_verifier_calls_equal_are_not_accepted() {
        assert_eq!(accepted_answers(&problem(&["1/2", "0.5"], "A")), ["A"]);
        assert_eq!(
            accepted_answers(&problem(&["1/2", "0.6"], "A")),
            ["A", "1/2"]
        );
    }
}
