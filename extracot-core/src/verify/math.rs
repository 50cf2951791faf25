//! Equality of mathematical answers: numbers exactly, collections part by part, the rest as text.

use super::extract::{extract_answer, extract_marked};
use super::normalize::{Parts, canonical_text, simplify, split_parts};
use super::number::{MAX_NUMBER_BYTES, Number, read_number};
use super::{AnswerVerifier, Verdict};

/// Longer answers are compared as text only, longer gold answers not at all.
const MAX_BYTES: usize = MAX_NUMBER_BYTES;
/// Deeper brackets are compared as text.
const MAX_DEPTH: usize = 16;

/// The project's one rule for mathematical answers.
///
/// 1. Two numbers are compared exactly, see [`Number::matches`]: `0.5` is `1/2`, `0.333` is not
///    `1/3`, units are ignored, and percent is lenient (`25%` is `0.25` and `25`).
/// 2. Lists without brackets and sets are compared part by part in any order, tuples and intervals
///    in order and with their brackets.
/// 3. `x = 5` and `5` are equal; `x = 5` and `y = 5` are not.
/// 4. The rest is compared by [`normalize_answer`](super::normalize_answer). No algebra is done:
///    `x+1` and `1+x` are [`Verdict::Incorrect`].
///
/// A gold answer may be a whole solution with a box or a `####` line. One that is empty, longer than
/// 4096 bytes or has unbalanced braces is [`Verdict::Undecided`]: nothing can be said about answers
/// to it.
#[derive(Debug, Clone, Copy, Default)]
pub struct MathVerifier;

impl MathVerifier {
    /// Judges a bare answer, as it stands inside a box.
    pub fn verify_answer(&self, answer: &str, gold: &str) -> Verdict {
        match read_gold(gold) {
            Ok(gold) => judge(answer, &gold),
            Err(reason) => Verdict::Undecided(reason.to_owned()),
        }
    }
}

impl AnswerVerifier for MathVerifier {
    fn verify(&self, visible: &str, gold: &str) -> Verdict {
        match read_gold(gold) {
            Ok(gold) => {
                extract_answer(visible).map_or(Verdict::NoAnswer, |found| judge(found.text, &gold))
            }
            Err(reason) => Verdict::Undecided(reason.to_owned()),
        }
    }
}

fn judge(answer: &str, gold: &Answer) -> Verdict {
    let simple = simplify(answer);
    if simple.is_empty() {
        return Verdict::NoAnswer;
    }
    if answers_match(&Answer::read(&simple), gold) {
        Verdict::Correct
    } else {
        Verdict::Incorrect
    }
}

fn read_gold(gold: &str) -> Result<Answer, &'static str> {
    let gold = match extract_marked(gold) {
        Some(marked) => marked.text,
        None if gold.contains(r"\boxed") => return Err("the box of the gold answer is not closed"),
        None => gold,
    };
    let simple = simplify(gold);
    if simple.is_empty() {
        return Err("the gold answer is empty");
    }
    if simple.len() > MAX_BYTES {
        return Err("the gold answer is longer than 4096 bytes");
    }
    if !braces_balance(&simple) {
        return Err("the braces of the gold answer do not balance");
    }
    Ok(Answer::read(&simple))
}

fn braces_balance(text: &str) -> bool {
    let depth = text.bytes().try_fold(0_usize, |depth, byte| match byte {
        b'{' => Some(depth + 1),
        b'}' => depth.checked_sub(1),
        _ => Some(depth),
    });
    depth == Some(0)
}

/// An answer, read once and compared many times.
#[derive(Debug)]
struct Answer {
    /// Canonical text of the left side of `x = 5`.
    name: Option<String>,
    number: Option<Number>,
    parts: Option<AnswerParts>,
    text: String,
}

#[derive(Debug)]
enum AnswerParts {
    Unordered(Vec<Answer>),
    Ordered(char, char, Vec<Answer>),
}

impl Answer {
    fn read(simple: &str) -> Self {
        Self::read_at(simple, 0)
    }

    fn read_at(simple: &str, depth: usize) -> Self {
        let mut simple = simple.trim();
        if simple.len() > MAX_BYTES || depth > MAX_DEPTH {
            return Self {
                name: None,
                number: None,
                parts: None,
                text: canonical_text(simple),
            };
        }
        let mut name = None;
        if let Some((left, right)) = split_name(simple) {
            name = Some(canonical_text(left));
            simple = right;
        }
        let number = read_number(simple);
        let read_all = |parts: Vec<&str>| -> Vec<Self> {
            parts
                .into_iter()
                .map(|part| Self::read_at(part, depth + 1))
                .collect()
        };
        let parts = match split_parts(simple) {
            Some(Parts::Grouped(inner)) => {
                let inner = Self::read_at(inner, depth + 1);
                return Self {
                    name: name.or(inner.name),
                    ..inner
                };
            }
            Some(Parts::Unordered(parts)) => Some(AnswerParts::Unordered(read_all(parts))),
            Some(Parts::Ordered(left, right, parts)) => {
                Some(AnswerParts::Ordered(left, right, read_all(parts)))
            }
            None => None,
        };
        Self {
            name,
            number,
            parts,
            text: canonical_text(simple),
        }
    }
}

/// Splits `x = 5` where the left side is a short name and there is just one `=`.
fn split_name(simple: &str) -> Option<(&str, &str)> {
    let (left, right) = simple.split_once('=')?;
    let (left, right) = (left.trim(), right.trim());
    let is_name = left.len() <= 24
        && left.starts_with(|c: char| c.is_alphabetic() || c == '\\')
        && left
            .chars()
            .all(|c| c.is_alphanumeric() || r"\_{}() ".contains(c));
    (is_name && braces_balance(left) && !right.is_empty() && !right.contains('='))
        .then_some((left, right))
}

fn answers_match(a: &Answer, b: &Answer) -> bool {
    if let (Some(name_a), Some(name_b)) = (&a.name, &b.name)
        && name_a != name_b
    {
        return false;
    }
    if let (Some(number_a), Some(number_b)) = (&a.number, &b.number) {
        return number_a.matches(number_b);
    }
    let parts_match = match (&a.parts, &b.parts) {
        (Some(AnswerParts::Unordered(a)), Some(AnswerParts::Unordered(b))) => unordered_match(a, b),
        (
            Some(AnswerParts::Ordered(left_a, right_a, a)),
            Some(AnswerParts::Ordered(left_b, right_b, b)),
        ) => {
            (left_a, right_a) == (left_b, right_b)
                && a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| answers_match(a, b))
        }
        _ => false,
    };
    parts_match || a.text == b.text
}

/// Whether the parts pair up. Each part takes the first free partner, which finds a pairing
/// whenever equality of the parts is transitive.
fn unordered_match(a: &[Answer], b: &[Answer]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut free: Vec<&Answer> = b.iter().collect();
    a.iter().all(|part| {
        let found = free.iter().position(|other| answers_match(part, other));
        found.map(|idx| free.swap_remove(idx)).is_some()
    })
}

#[cfg(test)]
mod tests;
