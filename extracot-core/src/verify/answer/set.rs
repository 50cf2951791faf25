//! Sets by their conditions: `x > 1 \text{ and } x < 5`, `\{x : x > 0\}`.

use super::{Answer, Kind, Reader};
use crate::verify::canonical::canonical_text;
use crate::verify::expr::parse;
use crate::verify::interval::intersection;
use crate::verify::scan::{Mark, MarkKind};

/// More inequalities are compared one by one.
const MAX_CONDITIONS: usize = 24;

impl Reader<'_> {
    /// Parts without brackets; inequalities in one variable are one set of numbers.
    pub(super) fn list(&mut self, simple: &str, parts: Vec<Answer>, separators: &[Mark]) -> Answer {
        let has = |kind| separators.iter().any(|mark| mark.kind == kind);
        let name = parts.first().and_then(|part| part.name.clone());
        let are_conditions = name.is_some()
            && parts.len() <= MAX_CONDITIONS
            && !(has(MarkKind::And) && has(MarkKind::Or))
            && parts.iter().all(|part| {
                part.name == name
                    && matches!(&part.kind, Kind::Relation(r) if r.variable().is_some())
            });
        if !are_conditions {
            return Answer::of(simple, Kind::List(parts));
        }
        // A comma between what cannot hold at once means `or`.
        let is_union =
            has(MarkKind::Or) || (!has(MarkKind::And) && intersection(&parts, self.work).is_none());
        let kind = match is_union {
            true => Kind::Union(parts),
            false => Kind::Both(parts),
        };
        Answer {
            name,
            ..Answer::of(simple, kind)
        }
    }

    /// `\{x : x > 0\}` is its condition if that is about nothing but the real variable of its head;
    /// other heads count, as text.
    pub(super) fn set_builder(&mut self, head: &str, condition: &str) -> Answer {
        let head = canonical_text(head);
        let variable = [r"\in\mathbb{R}", r"\in\mathbbR"]
            .iter()
            .find_map(|reals| head.strip_suffix(reals))
            .unwrap_or(&head);
        let is_variable = parse(variable).is_some_and(|expr| expr.as_variable().is_some());
        let read = self.read(condition);
        match is_variable && read.name.as_deref() == Some(variable) {
            true => read,
            false => Answer {
                text: format!("\\{{{head}:{}\\}}", canonical_text(condition)),
                ..Answer::of("", Kind::Text)
            },
        }
    }
}

/// The mark behind the head of `\{x : x > 0\}`; bars of absolute values come in pairs.
pub(super) fn such_that(inner: &str, marks: &[Mark], separators: &[Mark]) -> Option<Mark> {
    let of_kind = |mark: &&Mark| mark.kind == MarkKind::SuchThat;
    let first = marks.iter().find(of_kind)?;
    let is_bar = |mark: &&Mark| inner[mark.start..].starts_with('|');
    let n_bars = marks.iter().filter(of_kind).filter(is_bar).count();
    let is_first = separators
        .first()
        .is_none_or(|separator| first.start < separator.start);
    let is_mark = !is_bar(&first) || n_bars % 2 == 1;
    let has_head = !inner[..first.start].trim().is_empty();
    (is_first && is_mark && has_head).then_some(*first)
}
