//! Reads a simplified answer into its parts: collections, relations, numbers, formulas, words.

mod leaf;
mod name;
mod set;

use super::canonical::canonical_text;
use super::expr::{Formula, Work, parse};
use super::normalize::DEGREE;
use super::number::{MAX_NUMBER_BYTES, Number, read_number_and_unit};
use super::relation::Relation;
use super::scan::{Mark, MarkKind, Op, cut, marks, separators};
use super::text::number_word;

/// Longer answers are compared as text only, longer gold answers not at all.
pub(super) const MAX_BYTES: usize = MAX_NUMBER_BYTES;
/// Deeper brackets are compared as text.
const MAX_DEPTH: usize = 16;

/// An answer, read once and compared many times.
#[derive(Debug)]
pub(super) struct Answer {
    /// Canonical text, without the name.
    pub(super) text: String,
    /// Canonical text of the left side of `x = 5`, or the `x` of `x < 5`.
    pub(super) name: Option<String>,
    pub(super) number: Option<Number>,
    /// Digits behind the point, if it is written as a decimal.
    pub(super) n_decimals: Option<usize>,
    /// The unit behind the value, if it is one that is known.
    pub(super) unit: Option<String>,
    /// Digits of a number that is written with a base, and the base.
    pub(super) based: Option<(String, String)>,
    /// The relation that an assignment of an expression is, as in `y = 2x + 1`.
    pub(super) equation: Option<Box<Relation>>,
    pub(super) kind: Kind,
}

/// What an answer is made of.
#[derive(Debug)]
pub(super) enum Kind {
    /// Words, or what cannot be read otherwise.
    Text,
    /// A number or an expression.
    Formula(Box<Formula>),
    /// `a, b` without brackets: order does not count.
    List(Vec<Answer>),
    /// `\{a, b\}`: order does not count.
    Set(Vec<Answer>),
    /// `(a, b)`, `[a, b)`: order and brackets count.
    Tuple(char, char, Vec<Answer>),
    /// Parts joined by `\cup`, or inequalities in one variable joined by `or`.
    Union(Vec<Answer>),
    /// Inequalities in one variable that hold at once.
    Both(Vec<Answer>),
    /// A set without another.
    Without(Box<Answer>, Box<Answer>),
    /// An equation or an inequality.
    Relation(Box<Relation>),
}

/// Reads answers within one bound of work.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) work: &'a mut Work,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(work: &'a mut Work) -> Self {
        Self { work, depth: 0 }
    }

    /// Reads all of a simplified text; total.
    pub(super) fn read(&mut self, simple: &str) -> Answer {
        let simple = trimmed(simple);
        if simple.len() > MAX_BYTES || self.depth > MAX_DEPTH {
            return Answer::of(simple, Kind::Text);
        }
        self.depth += 1;
        let answer = self.read_within(simple);
        self.depth -= 1;
        answer
    }

    fn read_within(&mut self, simple: &str) -> Answer {
        if let Some(answer) = self.number(simple) {
            return answer;
        }
        let Some(marks) = marks(simple) else {
            return Answer::of(simple, Kind::Text);
        };
        let separators = separators(simple, &marks);
        if !separators.is_empty() {
            let parts = self.read_all(cut(simple, &separators));
            return match parts.len() {
                1 => parts
                    .into_iter()
                    .next()
                    .unwrap_or_else(|| Answer::of(simple, Kind::Text)),
                _ => self.list(simple, flat(parts), &separators),
            };
        }
        let of_kind = |test: &dyn Fn(MarkKind) -> bool| -> Vec<Mark> {
            marks.iter().filter(|m| test(m.kind)).copied().collect()
        };
        let relations = of_kind(&|kind| matches!(kind, MarkKind::Relation(_)));
        if !relations.is_empty() {
            return self.relation(simple, &relations);
        }
        let cups = of_kind(&|kind| kind == MarkKind::Cup);
        if !cups.is_empty() {
            let parts = self.read_all(cut(simple, &cups));
            return Answer::of(simple, Kind::Union(parts));
        }
        if let [setminus] = of_kind(&|kind| kind == MarkKind::Setminus).as_slice() {
            let whole = self.read(&simple[..setminus.start]);
            let hole = self.read(&simple[setminus.end..]);
            let kind = Kind::Without(Box::new(whole), Box::new(hole));
            return Answer::of(simple, kind);
        }
        if simple.contains(r"\pm") || simple.contains(r"\mp") {
            return self.plus_minus(simple);
        }
        self.bracketed(simple).unwrap_or_else(|| self.leaf(simple))
    }

    /// Reads an angle as a number of radians; `None` if there is no degree sign.
    pub(super) fn radians(&mut self, simple: &str) -> Option<Answer> {
        let is_short = simple.len() <= MAX_BYTES && simple.ends_with(DEGREE);
        is_short.then(|| self.leaf(simple))
    }

    fn read_all(&mut self, parts: Vec<&str>) -> Vec<Answer> {
        let parts = parts.into_iter().filter(|part| !part.trim().is_empty());
        parts.map(|part| self.read(part)).collect()
    }

    fn number(&mut self, simple: &str) -> Option<Answer> {
        let (number, unit) = read_number_and_unit(simple)?;
        let formula = Formula::number(number.value().clone());
        let mut answer = Answer::of(simple, Kind::Formula(Box::new(formula)));
        answer.n_decimals = leaf::n_decimals(simple);
        answer.number = Some(number);
        answer.unit = unit;
        Some(answer)
    }

    /// `3 \pm x` is a list of two.
    fn plus_minus(&mut self, simple: &str) -> Answer {
        let with = |plus: &str, minus: &str| simple.replace(r"\pm", plus).replace(r"\mp", minus);
        let parts = vec![self.read(&with("+", "-")), self.read(&with("-", "+"))];
        Answer::of(simple, Kind::List(flat(parts)))
    }

    fn relation(&mut self, simple: &str, relations: &[Mark]) -> Answer {
        let sides = cut(simple, relations);
        let ops: Vec<Op> = relations
            .iter()
            .filter_map(|mark| match mark.kind {
                MarkKind::Relation(op) => Some(op),
                _ => None,
            })
            .collect();
        if let Some((name, value)) = name::assignment(&sides, &ops) {
            let value = self.read(value);
            let is_product = parse(sides[0]).is_some_and(|left| left.as_variable().is_none());
            let is_open = is_product || value.formula().is_some_and(|f| f.expr().has_unknowns());
            let equation = (is_open && ops == [Op::Equal])
                .then(|| Box::new(Relation::read(&sides, &ops, self.work)));
            if let Some(name) = name {
                return Answer {
                    name: Some(name),
                    equation,
                    ..value
                };
            }
            // `5 = 4` has no value.
            if ops[0] != Op::Equal || !self.contradicts(sides[0], &value) {
                return value;
            }
        }
        let relation = Relation::read(&sides, &ops, self.work);
        let name = relation.variable();
        Answer {
            name,
            ..Answer::of(simple, Kind::Relation(Box::new(relation)))
        }
    }

    /// What stands in one pair of brackets; `None` if the text is not in one pair.
    fn bracketed(&mut self, simple: &str) -> Option<Answer> {
        let (open, inner, close) = in_brackets(simple)?;
        let inner_marks = marks(inner)?;
        let separators = separators(inner, &inner_marks);
        if simple.starts_with(r"\{") {
            if let Some(mark) = set::such_that(inner, &inner_marks, &separators) {
                return Some(self.set_builder(&inner[..mark.start], &inner[mark.end..]));
            }
            let parts = self.read_all(cut(inner, &separators));
            return Some(Answer::of(simple, Kind::Set(flat(parts))));
        }
        let is_word = inner.chars().count() > 1 && inner.chars().all(char::is_alphabetic);
        if simple.starts_with(r"\text") && is_word && number_word(inner).is_none() {
            return Some(Answer::of(simple, Kind::Text));
        }
        if separators.is_empty() {
            // Brackets that only group; a formula keeps them.
            let groups = matches!((open, close), ('(', ')') | ('[', ']') | ('{', '}'));
            return groups.then(|| self.read(inner));
        }
        if open == '{' {
            // LaTeX does not show these.
            return Some(self.read(inner));
        }
        // A comma between three digits and others separates here: `(1,234)` is a pair.
        let all: Vec<Mark> = inner_marks
            .iter()
            .filter(|mark| {
                separators.contains(mark)
                    || (mark.kind == MarkKind::Comma && separators[0].kind == MarkKind::Comma)
            })
            .copied()
            .collect();
        let is_spaced = separators.len() != all.len();
        let parts = self.read_all(cut(inner, if is_spaced { &separators } else { &all }));
        Some(Answer::of(simple, Kind::Tuple(open, close, parts)))
    }
}

impl Answer {
    fn of(simple: &str, kind: Kind) -> Self {
        Self {
            text: canonical_text(simple),
            name: None,
            number: None,
            n_decimals: None,
            unit: None,
            based: None,
            equation: None,
            kind,
        }
    }

    /// The formula, if it is one.
    pub(super) fn formula(&self) -> Option<&Formula> {
        match &self.kind {
            Kind::Formula(formula) => Some(formula),
            _ => None,
        }
    }

    /// The equation or inequality, if it is one.
    pub(super) fn relation(&self) -> Option<&Relation> {
        match &self.kind {
            Kind::Relation(relation) => Some(relation),
            _ => self.equation.as_deref(),
        }
    }

    /// How many answers a list, a set or a union holds; 1 for anything else.
    pub(super) fn n_parts(&self) -> usize {
        match &self.kind {
            Kind::List(parts) | Kind::Set(parts) | Kind::Union(parts) | Kind::Both(parts) => {
                parts.len()
            }
            _ => 1,
        }
    }
}

/// A list within a list, which `\pm` makes, is part of the outer one.
fn flat(parts: Vec<Answer>) -> Vec<Answer> {
    let mut all = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Answer {
                kind: Kind::List(inner),
                name: None,
                ..
            } => all.extend(inner),
            other => all.push(other),
        }
    }
    all
}

fn trimmed(simple: &str) -> &str {
    simple
        .trim()
        .trim_end_matches(|c: char| c.is_whitespace() || ".,;".contains(c))
}

/// Opening bracket, content and closing bracket of a text that is in one pair.
fn in_brackets(simple: &str) -> Option<(char, &str, char)> {
    if let Some(inner) = simple.strip_prefix(r"\{") {
        let inner = inner.strip_suffix(r"\}")?;
        return marks(inner).map(|_| ('{', inner, '}'));
    }
    if let Some(inner) = simple.strip_prefix(r"\text{") {
        let inner = inner.strip_suffix('}')?;
        return marks(inner).map(|_| ('{', inner, '}'));
    }
    let open = simple.chars().next()?;
    let close = simple.chars().next_back()?;
    let is_pair = "([{\u{27e8}".contains(open) && ")]}\u{27e9}".contains(close);
    if !is_pair || simple.len() < open.len_utf8() + close.len_utf8() || simple.ends_with(r"\}") {
        return None;
    }
    let inner = &simple[open.len_utf8()..simple.len() - close.len_utf8()];
    marks(inner).map(|_| (open, inner, close))
}

#[cfg(test)]
mod tests;
