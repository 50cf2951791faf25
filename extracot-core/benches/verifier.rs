//! One answer judged, by what its form asks of the verifier.

use divan::{Bencher, black_box};
use extracot_core::{AnswerVerifier, MathVerifier};

/// Kind, gold answer, an equal answer.
const ANSWERS: [(&str, &str, &str); 7] = [
    ("integer", "1234", "1,234"),
    ("fraction", r"\frac{7}{3}", r"2\frac{1}{3}"),
    ("root", r"\frac{\sqrt{3}}{3}", r"\frac{1}{\sqrt{3}}"),
    ("polynomial", "(x+1)(x-1)", "x^2 - 1"),
    ("set", r"\{1, 2, 3\}", r"\{3, 2, 1\}"),
    ("interval", "[0, 1)", r"0 \le x < 1"),
    ("text", r"\text{even}", "even"),
];

fn main() {
    divan::main();
}

#[divan::bench(args = ANSWERS.map(|(kind, _, _)| kind))]
fn verdict(bencher: Bencher<'_, '_>, kind: &str) {
    let Some((_, gold, answer)) = ANSWERS.iter().find(|(found, _, _)| *found == kind) else {
        return;
    };
    let visible = format!(r"So the answer is $\boxed{{{answer}}}$.");
    bencher.bench(|| {
        let verdict = MathVerifier.verify(black_box(&visible), black_box(gold));
        assert!(verdict.is_correct(), "{visible} against {gold}");
    });
}
