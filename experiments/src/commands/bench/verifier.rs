//! The verifier: answers of the embedded task, and answers as mathematical data sets have them.

use std::num::NonZeroUsize;

use anyhow::{Result, bail};
use extracot_core::{AnswerVerifier, MathVerifier};

use super::measurement::{Measurement, repeat};
use super::worked_problems;

/// Times that the answers are judged in one measurement, so that it takes longer than the clock's steps.
const TASK_TIMES: usize = 100;
const LATEX_TIMES: usize = 400;

/// Gold answer, answer in a box, and whether they are equal: numbers, fractions, roots, sets, intervals,
/// polynomials, matrices, units, text.
const LATEX: [(&str, &str, bool); 24] = [
    ("42", "42", true),
    ("42", "43", false),
    ("1,234", "1234", true),
    (r"\frac{1}{2}", "0.5", true),
    (r"\frac{1}{3}", "0.333", false),
    (r"\frac{7}{3}", r"2\frac{1}{3}", true),
    ("25\\%", "0.25", true),
    ("5", r"5\text{ cm}", true),
    (r"\sqrt{8}", r"2\sqrt{2}", true),
    (r"\sqrt{8}", r"3\sqrt{2}", false),
    (r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}", true),
    (r"2^{10}", "1024", true),
    (r"\pi", "3.14", false),
    (r"\frac{\pi}{4}", r"\arctan(1)", true),
    ("(x+1)(x-1)", "x^2 - 1", true),
    ("x^2 + 2x + 1", "(x+2)^2", false),
    (r"\{1, 2, 3\}", r"\{3, 2, 1\}", true),
    ("(1, 2)", "(2, 1)", false),
    ("[0, 1)", r"0 \le x < 1", true),
    (
        r"(-\infty, 2) \cup (3, \infty)",
        r"(3, \infty) \cup (-\infty, 2)",
        true,
    ),
    (
        r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
        r"\begin{pmatrix} 1 & 2 \\ 3 & \frac{8}{2} \end{pmatrix}",
        true,
    ),
    ("x = 5", "5", true),
    (r"\text{even}", "even", true),
    (r"3 + 4i", "4i + 3", true),
];

/// An answer with its gold answer.
struct Case {
    visible: String,
    gold: String,
    is_right: bool,
}

/// Judges answers on one thread, once they are known to be judged as they should be.
pub(super) fn measure(
    repeats: NonZeroUsize,
    report: &mut dyn FnMut(Measurement) -> Result<()>,
) -> Result<()> {
    let cases = [
        ("verifier_task", task_cases()?, TASK_TIMES),
        ("verifier_latex", latex_cases(), LATEX_TIMES),
    ];
    for (bench, cases, n_times) in cases {
        check(&cases)?;
        let timings = repeat(repeats, || {
            for case in (0..n_times).flat_map(|_| &cases) {
                std::hint::black_box(MathVerifier.verify(&case.visible, &case.gold));
            }
            Ok(())
        })?;
        let n_answers = (n_times * cases.len(), 1.0, "answers/s");
        report(Measurement::new(bench, n_answers, &timings)?.on_one_thread())?;
    }
    Ok(())
}

/// Answers of the embedded task, every second against the gold answer of the next problem.
fn task_cases() -> Result<Vec<Case>> {
    let problems = worked_problems()?;
    let gold = |idx: usize| problems[idx % problems.len()].problem.answer.clone();
    let cases = problems.iter().enumerate().map(|(idx, problem)| {
        let gold = gold(idx + idx % 2);
        Case {
            visible: problem.visible.clone(),
            is_right: gold == problem.problem.answer,
            gold,
        }
    });
    Ok(cases.collect())
}

fn latex_cases() -> Vec<Case> {
    let cases = LATEX.iter().map(|(gold, answer, is_right)| Case {
        visible: format!("The answer is $\\boxed{{{answer}}}$."),
        gold: (*gold).to_owned(),
        is_right: *is_right,
    });
    cases.collect()
}

fn check(cases: &[Case]) -> Result<()> {
    for case in cases {
        let verdict = MathVerifier.verify(&case.visible, &case.gold);
        if verdict.is_correct() != case.is_right {
            bail!("{} against {}: {verdict:?}", case.visible, case.gold);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_judged_as_they_should_be_before_they_are_timed() {
        check(&task_cases().unwrap()).unwrap();
        check(&latex_cases()).unwrap();
        let wrong = Case {
            visible: r"\boxed{2}".to_owned(),
            gold: "1".to_owned(),
            is_right: true,
        };
        assert!(check(&[wrong]).is_err());
    }
}
