//! Multiple-choice questions: options in the question, a letter as gold answer.

use std::borrow::Cow;

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
    let place = place_of(answer.trim(), &options)
        .ok_or_else(|| row.bad("answer", "is no index, letter or content of an option"))?;
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

fn place_of(answer: &str, options: &[String]) -> Option<usize> {
    let bare = answer.trim_start_matches('(').trim_end_matches([')', '.']);
    let letter = LETTERS.iter().position(|it| it.eq_ignore_ascii_case(bare));
    let index = || answer.parse().ok();
    let content = || options.iter().position(|option| option.trim() == answer);
    let place = letter.or_else(index).or_else(content)?;
    (place < options.len()).then_some(place)
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
