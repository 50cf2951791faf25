//! Which tokens of a text belong to which atom.

use std::ops::Range;

use extracot_core::{AtomizedCot, Tokenizer};

/// The tokens of a prompt and the think text behind it, tokenized as one text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AtomTokens {
    pub(super) prompt_ids: Vec<u32>,
    pub(super) think_ids: Vec<u32>,
    /// For each atom its tokens, as places in `think_ids`; one atom follows the other.
    of_atom: Vec<Range<usize>>,
    /// For each atom the token that holds its first byte, as a place in `think_ids`.
    holder: Vec<Option<usize>>,
}

impl AtomTokens {
    /// A token belongs to the piece (the prompt or an atom) with most of its bytes, of equals to the
    /// first.
    pub(super) fn new(before: &str, cot: &AtomizedCot, tokenizer: &dyn Tokenizer) -> Self {
        let text = format!("{before}{}", cot.text());
        let tokens = tokenizer.encode_spans(&text);
        let atom_ends = cot.atoms().iter().map(|atom| before.len() + atom.end);
        let ends: Vec<usize> = [before.len()].into_iter().chain(atom_ends).collect();

        let mut n_tokens = vec![0; ends.len()];
        for (_, span) in &tokens {
            n_tokens[piece_of(span, &ends)] += 1;
        }
        let ids: Vec<u32> = tokens.iter().map(|(id, _)| *id).collect();
        let (prompt_ids, think_ids) = ids.split_at(n_tokens[0]);
        let of_atom = n_tokens[1..].iter().scan(0, |start, n_tokens| {
            let range = *start..*start + n_tokens;
            *start = range.end;
            Some(range)
        });
        let holder = cot.atoms().iter().map(|atom| {
            let first_byte = before.len() + atom.start;
            let place = tokens.partition_point(|(_, span)| span.end <= first_byte);
            let place = place.checked_sub(prompt_ids.len());
            place.filter(|place| *place < think_ids.len())
        });
        Self {
            of_atom: of_atom.collect(),
            holder: holder.collect(),
            prompt_ids: prompt_ids.to_vec(),
            think_ids: think_ids.to_vec(),
        }
    }

    /// Tokens of each atom.
    pub(super) fn n_tokens_of_atoms(&self) -> Vec<usize> {
        self.of_atom.iter().map(ExactSizeIterator::len).collect()
    }

    /// The mean of each atom's tokens; an atom without one has the value of the token that holds its
    /// first byte, and 0 if that one is the prompt's or there is none.
    pub(super) fn atom_means(&self, values: &[f32]) -> Vec<f32> {
        let atoms = self.of_atom.iter().zip(&self.holder);
        atoms
            .map(|(tokens, holder)| match (tokens.len(), holder) {
                (0, None) => 0.0,
                (0, Some(place)) => values[*place],
                (n_tokens, _) => {
                    let sum: f64 = values[tokens.clone()].iter().map(|v| f64::from(*v)).sum();
                    (sum / n_tokens as f64) as f32
                }
            })
            .collect()
    }
}

/// Index of the piece with most bytes of `span`, of equals the first; pieces end at `ends`.
fn piece_of(span: &Range<usize>, ends: &[usize]) -> usize {
    let last_piece = ends.len() - 1;
    let first = ends.partition_point(|end| *end <= span.start);
    let mut best = (first.min(last_piece), 0);
    let mut start = span.start;
    for (piece, end) in ends.iter().enumerate().skip(first) {
        let n_bytes = (*end).min(span.end).saturating_sub(start);
        if n_bytes > best.1 {
            best = (piece, n_bytes);
        }
        if *end >= span.end {
            break;
        }
        start = *end;
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use extracot_core::{Atom, AtomKind};

    /// Tokens of given lengths in bytes.
    struct Lengths(Vec<usize>);

    impl Tokenizer for Lengths {
        fn encode(&self, text: &str) -> Vec<u32> {
            let spans = self.encode_spans(text);
            spans.into_iter().map(|(id, _)| id).collect()
        }
        fn encode_spans(&self, _text: &str) -> Vec<(u32, Range<usize>)> {
            let ends = self.0.iter().scan(0, |end, n_bytes| {
                *end += n_bytes;
                Some(*end)
            });
            let spans = ends.zip(&self.0).map(|(end, n_bytes)| end - n_bytes..end);
            (0..).zip(spans).collect()
        }
        fn decode(&self, _ids: &[u32]) -> String {
            String::new()
        }
        fn token_id(&self, _token: &str) -> Option<u32> {
            None
        }
    }

    /// Atoms of given lengths in bytes.
    fn cot(lengths: &[usize]) -> AtomizedCot {
        let mut end = 0;
        let atoms = lengths.iter().map(|n_bytes| {
            end += n_bytes;
            Atom {
                kind: AtomKind::Word,
                start: end - n_bytes,
                end,
            }
        });
        let atoms = atoms.collect();
        AtomizedCot::try_new("x".repeat(end), atoms).unwrap()
    }

    #[test]
    fn a_token_belongs_to_where_most_of_it_lies_and_an_atom_without_one_borrows() {
        // Bytes:  prompt 0..4, atoms 4..8, 8..10, 10..11, 11..16.
        // Tokens: 0..3, 3..5 (a tie: the prompt's), 5..9 (3 bytes to 1: the first atom's),
        // 9..12 (one byte in each of three: the second atom's), 12..16.
        let tokens = AtomTokens::new("xxxx", &cot(&[4, 2, 1, 5]), &Lengths(vec![3, 2, 4, 3, 4]));
        assert_eq!(tokens.prompt_ids, [0, 1]);
        assert_eq!(tokens.think_ids, [2, 3, 4]);
        assert_eq!(tokens.n_tokens_of_atoms(), [1, 1, 0, 1]);
        // The third atom lies within token 3.
        assert_eq!(tokens.atom_means(&[1.0, 2.0, 4.0]), [1.0, 2.0, 2.0, 4.0]);

        // The prompt swallows the first atom; the second has the mean of 2 and 5.
        let tokens = AtomTokens::new("xxxx", &cot(&[2, 2]), &Lengths(vec![6, 1, 1]));
        assert_eq!(tokens.n_tokens_of_atoms(), [0, 2]);
        assert_eq!(tokens.atom_means(&[2.0, 5.0]), [0.0, 3.5]);
    }
}
