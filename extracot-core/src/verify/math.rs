//! The verifier of mathematical answers.

use super::answer::{Answer, Kind, MAX_BYTES, Reader};
use super::compare::{Outcome, compare};
use super::expr::Work;
use super::extract::{Extracted, ExtractionRule, box_chain, extract_marked, extract_visible};
use super::extract::{is_prose, last_value, visible_part};
use super::judgement::{Judgement, Method};
use super::normalize::simplify;
use super::text::{dates_equal, option_letter, words_equal};
use super::{AnswerVerifier, Verdict};

/// The project's one rule for mathematical answers; `docs/answers.md` has the table of forms.
///
/// 1. Two numbers are compared exactly, see [`Number::matches`](super::Number::matches): `0.5` is
///    `1/2`, `0.333` is not `1/3`, units count only where both have a known one, and percent is
///    lenient (`25%` is `0.25` and `25`). A decimal of six digits or more, five of them significant, may
///    be the other number rounded.
/// 2. Expressions are compared by exact algebra where that decides, else by their values at several
///    fixed points.
/// 3. Lists without brackets and sets are compared part by part in any order, tuples in order and with
///    their brackets, sets of reals as intervals, inequalities as the intervals they describe.
/// 4. `x = 5` and `5` are equal; `x = 5` and `y = 5` are not.
/// 5. The rest is compared as text.
///
/// Where forms differ, the gold answer decides. A gold answer may be a whole solution with a box, a
/// `####` line or a final answer. One that is empty, longer than 4096 bytes, has unbalanced braces or
/// no value that could be computed is [`Verdict::Undecided`]: nothing can be said about answers to it.
///
/// # Examples
///
/// ```
/// use extracot_core::verify::{MathVerifier, Method};
/// let judgement = MathVerifier.explain(r"\sqrt{8}", r"2\sqrt{2}");
/// assert!(judgement.verdict.is_correct());
/// assert_eq!(judgement.how, Method::Algebra);
/// assert!(!MathVerifier.verify_answer("1, 2", "1, 2, 3").is_correct());
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct MathVerifier;

impl MathVerifier {
    /// Judges a bare answer, as it stands inside a box.
    ///
    /// If it is a sentence, the answer is looked for in it.
    pub fn verify_answer(&self, answer: &str, gold: &str) -> Verdict {
        self.explain(answer, gold).verdict
    }

    /// [`Self::verify_answer`] with what the verdict rests on.
    pub fn explain(&self, answer: &str, gold: &str) -> Judgement {
        Judge::new(gold).map_or_else(undecided, |mut judge| {
            if extract_marked(answer).is_some() {
                return judge.visible(answer);
            }
            let whole = judge.judge(answer);
            if whole.verdict.is_correct() || !is_prose(answer) {
                return whole;
            }
            match extract_visible(answer) {
                Some(found) => judge.found(answer, found),
                None => judge.sentence(answer).unwrap_or(whole),
            }
        })
    }

    /// Judges a whole response, think text included: what is compared is what
    /// [`extract_answer`](super::extract_answer) finds in it.
    pub fn explain_response(&self, response: &str, gold: &str) -> Judgement {
        self.explain_visible(visible_part(response), gold)
    }

    /// [`AnswerVerifier::verify`] with what the verdict rests on.
    pub fn explain_visible(&self, visible: &str, gold: &str) -> Judgement {
        Judge::new(gold).map_or_else(undecided, |mut judge| judge.visible(visible))
    }
}

impl AnswerVerifier for MathVerifier {
    fn verify(&self, visible: &str, gold: &str) -> Verdict {
        self.explain_visible(visible, gold).verdict
    }
}

fn undecided(reason: &'static str) -> Judgement {
    Judgement {
        verdict: Verdict::Undecided(reason.to_owned()),
        how: Method::None,
        answer: None,
    }
}

/// The gold answer, read once, and what is left of the work for one judgement.
struct Judge {
    gold: Answer,
    /// Simplified text of the gold answer.
    simple: String,
    /// Other readings: `1,22` with a decimal comma, an angle in radians.
    readings: Vec<Answer>,
    work: Work,
}

impl Judge {
    fn new(gold: &str) -> Result<Self, &'static str> {
        let simple = gold_text(gold)?;
        let mut work = Work::new();
        let mut reader = Reader::new(&mut work);
        let gold = reader.read(&simple);
        let comma =
            with_decimal_comma(&simple, MIN_COMMA_DECIMALS).map(|simple| reader.read(&simple));
        let radians = reader.radians(&simple);
        Ok(Self {
            gold,
            readings: comma.into_iter().chain(radians).collect(),
            simple,
            work,
        })
    }

    fn visible(&mut self, visible: &str) -> Judgement {
        match extract_visible(visible) {
            Some(found) => self.found(visible, found),
            None => Judgement {
                verdict: Verdict::NoAnswer,
                how: Method::None,
                answer: None,
            },
        }
    }

    /// Judges an answer that was found in a text.
    fn found(&mut self, visible: &str, found: Extracted<'_>) -> Judgement {
        let judgement = self.judge(found.text);
        if judgement.verdict != Verdict::Incorrect {
            return judgement;
        }
        match found.rule {
            // Several boxes are one answer only if the gold one has as many parts.
            ExtractionRule::Boxed => {
                let boxes = box_chain(visible);
                if boxes.len() < 2 || boxes.len() != self.gold.n_parts() {
                    return judgement;
                }
                let joined = self.judge(&boxes.join(", "));
                match joined.verdict.is_correct() {
                    true => joined,
                    false => judgement,
                }
            }
            ExtractionRule::Phrase | ExtractionRule::FinalAnswer if is_prose(found.text) => {
                self.sentence(found.text).unwrap_or(judgement)
            }
            _ => judgement,
        }
    }

    /// Judges the last formula or number of a sentence.
    fn sentence(&mut self, sentence: &str) -> Option<Judgement> {
        last_value(sentence).map(|value| self.judge(value))
    }

    fn judge(&mut self, answer: &str) -> Judgement {
        let simple = simplify(answer);
        let judgement = |verdict, how| Judgement {
            verdict,
            how,
            answer: Some(answer.to_owned()),
        };
        if simple.is_empty() {
            return judgement(Verdict::NoAnswer, Method::None);
        }
        let mut reader = Reader::new(&mut self.work);
        let read = reader.read(&simple);
        let own = reader.radians(&simple).or_else(|| {
            // A decimal gold answer tells that `1,22` is one too.
            let comma = self
                .gold
                .n_decimals
                .and_then(|_| with_decimal_comma(&simple, 1))?;
            Some(reader.read(&comma))
        });
        let outcome = compare(&read, &self.gold, &mut self.work);
        if let Outcome::Equal(how) = outcome {
            return judgement(Verdict::Correct, how);
        }
        let others = self.readings.iter().map(|gold| (&read, gold));
        let others = others.chain(own.iter().map(|answer| (answer, &self.gold)));
        for (answer, gold) in others {
            if let Outcome::Equal(how) = compare(answer, gold, &mut self.work) {
                return judgement(Verdict::Correct, how);
            }
        }
        if let Some(how) = self.product_method(&simple, &read) {
            return judgement(Verdict::Correct, how);
        }
        if let Some(how) = self.text_method(&simple, &read) {
            return judgement(Verdict::Correct, how);
        }
        match outcome {
            Outcome::Equal(how) | Outcome::Different(how) => judgement(Verdict::Incorrect, how),
            Outcome::Unknown => judgement(
                Verdict::Undecided("the gold answer is beyond what can be computed".to_owned()),
                Method::None,
            ),
        }
    }

    /// How the two are equal if `h(a+b)`, which only one of them has, is a product.
    fn product_method(&mut self, simple: &str, read: &Answer) -> Option<Method> {
        if read.formula().is_none() || self.gold.formula().is_none() {
            return None;
        }
        let mut reader = Reader::new(&mut self.work);
        let outcome = match (as_products(simple), as_products(&self.simple)) {
            (Some(answer), None) => {
                let answer = reader.read(&answer);
                compare(&answer, &self.gold, &mut self.work)
            }
            (None, Some(gold)) => {
                let gold = reader.read(&gold);
                compare(read, &gold, &mut self.work)
            }
            _ => return None,
        };
        match outcome {
            Outcome::Equal(how) => Some(how),
            _ => None,
        }
    }

    /// How an answer equals the gold one as a text, if it does.
    fn text_method(&self, simple: &str, read: &Answer) -> Option<Method> {
        if simple.len() > MAX_BYTES {
            return None;
        }
        let letter = option_letter(simple);
        if letter.is_some() && letter == option_letter(&self.simple) {
            return Some(Method::Option);
        }
        let are_texts = matches!((&read.kind, &self.gold.kind), (Kind::Text, Kind::Text));
        let is_same =
            (are_texts && words_equal(simple, &self.simple)) || dates_equal(simple, &self.simple);
        is_same.then_some(Method::Words)
    }
}

/// The simplified gold answer.
fn gold_text(gold: &str) -> Result<String, &'static str> {
    let chain = box_chain(gold);
    let text = if chain.len() > 1 {
        chain.join(", ")
    } else if let Some(marked) = extract_marked(gold) {
        marked.text.to_owned()
    } else if let Some(inner) = opened_box(gold) {
        inner.to_owned()
    } else if gold.contains(r"\boxed") {
        return Err("the box of the gold answer is not closed");
    } else {
        gold.to_owned()
    };
    let simple = simplify(&text);
    if simple.is_empty() {
        return Err("the gold answer is empty");
    }
    if simple.len() > MAX_BYTES {
        return Err("the gold answer is longer than 4096 bytes");
    }
    if !braces_balance(&simple) {
        return Err("the braces of the gold answer do not balance");
    }
    Ok(simple)
}

/// What follows a box that opens the gold answer and lost its closing brace.
fn opened_box(gold: &str) -> Option<&str> {
    gold.trim_start()
        .trim_start_matches(['\\', '$'])
        .strip_prefix("boxed{")
        .map(|inner| inner.trim_end_matches(['$', '\\']).trim())
        .filter(|inner| !inner.is_empty())
}

/// A text with `f(`, `g(`, `h(` written as products; `None` if there are none.
fn as_products(simple: &str) -> Option<String> {
    let mut out = String::with_capacity(simple.len());
    let mut is_changed = false;
    let mut run_start = 0;
    for (at, c) in simple.char_indices() {
        if !c.is_alphabetic() {
            let run = &simple[run_start..at];
            let is_product =
                c == '(' && (1..=2).contains(&run.len()) && run.ends_with(['f', 'g', 'h']);
            if is_product && !simple[..run_start].ends_with('\\') {
                out.push_str(r"\times ");
                is_changed = true;
            }
            run_start = at + c.len_utf8();
        }
        out.push(c);
    }
    is_changed.then_some(out)
}

/// A gold answer such as `1,2` is rather a list of two digits.
const MIN_COMMA_DECIMALS: usize = 2;

/// `1,22` as `1.22`: one comma without a blank, at least so many digits behind it, and no group of three.
fn with_decimal_comma(simple: &str, least: usize) -> Option<String> {
    let (whole, part) = simple.split_once(',')?;
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_decimal = are_digits(whole.trim_start_matches('-'))
        && are_digits(part)
        && part.len() >= least
        && part.len() != 3;
    is_decimal.then(|| format!("{whole}.{part}"))
}

fn braces_balance(text: &str) -> bool {
    let depth = text.bytes().try_fold(0_usize, |depth, byte| match byte {
        b'{' => Some(depth + 1),
        b'}' => depth.checked_sub(1),
        _ => Some(depth),
    });
    depth == Some(0)
}

#[cfg(test)]
mod tests;
