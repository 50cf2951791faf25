//! What touches a formula and belongs to its atom.

/// Bytes at the end of the gap before a formula that belong to the formula.
pub(super) fn opener_len(gap: &str) -> usize {
    let glued = &gap[gap.rfind(char::is_whitespace).map_or(0, |at| {
        at + gap[at..].chars().next().map_or(0, char::len_utf8)
    })..];
    if !glued.contains(char::is_alphanumeric) {
        return glued.len();
    }
    glued.len() - glued.trim_end_matches(|c| OPENERS.contains(c)).len()
}

/// Bytes at the start of the gap behind a formula that belong to the formula.
pub(super) fn closer_len(gap: &str, precedes_formula: bool) -> usize {
    let glued = &gap[..gap.find(char::is_whitespace).unwrap_or(gap.len())];
    if !glued.contains(char::is_alphanumeric) {
        // What opens something belongs to the next formula if that touches it.
        let is_shared = precedes_formula && glued.len() == gap.len();
        let closing = glued.trim_end_matches(|c| OPENERS.contains(c));
        return if is_shared {
            closing.len()
        } else {
            glued.len()
        };
    }
    let ending = glued.strip_prefix(['-', '\'', '\u{2019}']);
    let letters = ending.unwrap_or(glued);
    let n_letters = letters.bytes().take_while(u8::is_ascii_alphabetic).count();
    let is_ending =
        ending.is_some() || ["th", "st", "nd", "rd", "s"].contains(&&letters[..n_letters]);
    let mut len = 0;
    if n_letters > 0 && is_ending {
        len = glued.len() - letters.len() + n_letters;
    }
    len + glued[len..]
        .chars()
        .take_while(|c| CLOSERS.contains(*c))
        .map(char::len_utf8)
        .sum::<usize>()
}

pub(super) const OPENERS: &str = "([{\"'*`\u{201c}\u{2018}\u{ff08}\u{300a}";
pub(super) const CLOSERS: &str = concat!(
    ".,;:!?)]}\"'*`%\u{201d}\u{2019}",
    "\u{3001}\u{3002}\u{ff01}\u{ff09}\u{ff0c}\u{ff1a}\u{ff1b}\u{ff1f}",
);
