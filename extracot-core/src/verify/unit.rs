//! What may follow a number without changing which number it is: percent signs, scale words, units.

mod known;

pub(super) use known::known_unit;

use super::normalize::DEGREE;

/// What the text after a number says about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Suffix {
    /// `%` or `percent` follows.
    pub(super) is_percent: bool,
    /// Power of ten of a scale word such as `million`; 0 without one.
    pub(super) scale: u32,
    /// `dozen` follows.
    pub(super) is_dozen: bool,
    n_words: usize,
    has_currency: bool,
}

/// More than this many words are a sentence, not a unit.
const MAX_WORDS: usize = 6;

/// Units that are too short to be told from variables by their form.
const SHORT_UNITS: [&str; 36] = [
    "mm", "cm", "dm", "km", "nm", "mg", "kg", "ml", "cl", "dl", "kl", "lb", "lbs", "oz", "ft",
    "in", "yd", "mi", "sq", "cu", "hr", "hrs", "min", "mins", "sec", "secs", "ms", "mph", "kph",
    "kmh", "kwh", "rpm", "th", "st", "nd", "rd",
];

/// Short words inside a unit phrase, as in `5 pieces of candy per day`.
const CONNECTIVES: [&str; 5] = ["of", "on", "an", "per", "at"];

/// Words for the percent sign.
const PERCENT: [&str; 4] = ["percent", "pct", "percents", "percentage"];

/// Words that make another number, a range or an expression of what they follow.
const STOP_WORDS: [&str; 46] = [
    "or",
    "and",
    "to",
    "times",
    "plus",
    "minus",
    "over",
    "divided",
    "by",
    "mod",
    "modulo",
    "sqrt",
    "root",
    "log",
    "sin",
    "cos",
    "tan",
    "cot",
    "exp",
    "pi",
    "infinity",
    "factorial",
    "squared",
    "cubed",
    "less",
    "more",
    "than",
    "not",
    "remainder",
    "half",
    "halves",
    "third",
    "thirds",
    "quarter",
    "quarters",
    "fourth",
    "fourths",
    "fifth",
    "fifths",
    "tenth",
    "tenths",
    "hundredths",
    "thousandths",
    "if",
    "am",
    "pm",
];

impl Suffix {
    /// Reads all of `rest`; `None` if it is anything but percent signs, scale words and units.
    pub(super) fn read(rest: &str) -> Option<Self> {
        let mut suffix = Self::default();
        suffix.read_part(rest, false)?;
        Some(suffix)
    }

    /// `in_text`: inside `\text{..}`, where single letters are units and never variables.
    fn read_part(&mut self, mut rest: &str, in_text: bool) -> Option<()> {
        let mut is_spaced = false;
        let mut is_joined = false;
        let mut after_degree = false;
        while let Some(c) = rest.chars().next() {
            let mut width = c.len_utf8();
            let before = std::mem::take(&mut is_joined);
            match c {
                ' ' => {
                    is_spaced = true;
                    is_joined = before;
                }
                '%' if !self.is_percent && self.n_words == 0 => self.is_percent = true,
                '$' | '\u{20ac}' | '\u{a3}' | '\u{a5}' if !self.has_currency => {
                    self.has_currency = true;
                }
                DEGREE => {
                    self.count_word()?;
                    after_degree = true;
                }
                '/' if !before => is_joined = true,
                '-' if !before && self.n_words > 0 => is_joined = true,
                '.' | '\u{b2}' | '\u{b3}' if self.n_words > 0 => {}
                '^' if self.n_words > 0 => width = unit_power(rest)?,
                '^' => {
                    width = ordinal_mark(rest)?;
                    self.count_word()?;
                }
                '\\' => {
                    let inner = rest.strip_prefix(r"\text{").filter(|_| !in_text)?;
                    let (inner, _) = inner.split_once('}')?;
                    self.read_part(inner, true)?;
                    width = r"\text{".len() + inner.len() + 1;
                }
                c if c.is_alphabetic() => {
                    width = rest
                        .find(|c: char| !c.is_alphabetic())
                        .unwrap_or(rest.len());
                    let is_divisor = before && self.n_words > 0;
                    let is_speed = is_spaced && rest.starts_with("m/s");
                    let is_named =
                        in_text || is_divisor || is_speed || std::mem::take(&mut after_degree);
                    self.read_word(&rest[..width], is_named, is_spaced || before)?;
                }
                _ => return None,
            }
            rest = &rest[width..];
        }
        (!is_joined).then_some(())
    }

    fn count_word(&mut self) -> Option<()> {
        self.n_words += 1;
        (self.n_words <= MAX_WORDS).then_some(())
    }

    /// `is_named`: known to be a unit; `is_spaced`: not glued to the number.
    fn read_word(&mut self, word: &str, is_named: bool, is_spaced: bool) -> Option<()> {
        let lower = word.to_lowercase();
        let lower = lower.as_str();
        if STOP_WORDS.contains(&lower) {
            return None;
        }
        if PERCENT.contains(&lower) && self.n_words == 0 && !self.is_percent {
            self.is_percent = true;
            return Some(());
        }
        if matches!(lower, "dozen" | "dozens") {
            self.is_dozen = true;
            return (self.n_words == 0 && !self.is_percent).then(|| self.count_word())?;
        }
        let scale = match lower {
            "hundred" => 2,
            "thousand" => 3,
            "million" => 6,
            "billion" => 9,
            "trillion" => 12,
            _ => 0,
        };
        if scale > 0 {
            self.scale = scale;
            return (self.n_words == 0 && !self.is_percent).then(|| self.count_word())?;
        }
        // `2xy` and `5 xyz` are expressions: only a word with a vowel that stands apart is a unit.
        let is_word =
            is_spaced && lower.chars().count() > 2 && lower.contains(['a', 'e', 'i', 'o', 'u']);
        let is_connective = (self.n_words > 0 || self.is_percent) && CONNECTIVES.contains(&lower);
        let is_foreign_word = is_spaced && lower.chars().count() > 1 && !lower.is_ascii();
        let is_unit =
            is_named || is_word || is_connective || is_foreign_word || SHORT_UNITS.contains(&lower);
        is_unit.then(|| self.count_word())?
    }
}

/// Length of `^{\text{th}}` and the like at the start of `rest`.
pub(super) fn ordinal_mark(rest: &str) -> Option<usize> {
    ["th", "st", "nd", "rd"].iter().find_map(|mark| {
        [
            format!(r"^{{\text{{{mark}}}}}"),
            format!(r"^\text{{{mark}}}"),
            format!("^{{{mark}}}"),
        ]
        .iter()
        .find(|form| rest.starts_with(form.as_str()))
        .map(String::len)
    })
}

/// Length of `^2`, `^{2}` or `^{-1}` at the start of `rest`.
fn unit_power(rest: &str) -> Option<usize> {
    ["^2", "^3", "^{2}", "^{3}", "^{-1}", "^{-2}"]
        .iter()
        .find(|power| rest.starts_with(**power))
        .map(|power| power.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_words_are_told_from_expressions() {
        for unit in [
            "",
            " apples",
            "cm",
            r"\text{ m}",
            " km/h",
            " m/s^2",
            "/hour",
            r" \text{cm}^2",
            " light-years",
            "\u{b0}C",
            " sq. ft.",
            " pieces of candy per day",
            " \u{20ac}",
            r"\text{ m}/\text{s}",
            "th grade",
            r"^{\text{th}}\text{ grade}",
        ] {
            let suffix = Suffix::read(unit);
            assert!(
                suffix.is_some_and(|s| !s.is_percent && s.scale == 0),
                "{unit}"
            );
        }
        for other in [
            "x",
            " x",
            "xy",
            " xyz",
            "sin",
            " or more",
            " to one",
            "!",
            " minutes 30",
            "^2",
            "/",
            " and a half",
            r"\sqrt",
            " - x",
            "/x",
            " m",
            " pm",
            " a b c d e f g",
            r"\text{ or }",
        ] {
            assert_eq!(Suffix::read(other), None, "{other}");
        }
    }

    #[test]
    fn percent_and_scale_words_are_read() {
        assert!(Suffix::read(" percent of them").unwrap().is_percent);
        assert!(Suffix::read("%").unwrap().is_percent);
        assert_eq!(Suffix::read("%%"), None);
        assert_eq!(Suffix::read(" million dollars").unwrap().scale, 6);
        assert_eq!(Suffix::read(" apples million"), None);
    }
}
