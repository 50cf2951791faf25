//! Answers in words: case and punctuation, options, dates, small numbers.

/// Whether two texts that are compared as words say the same. Both are simplified.
pub(super) fn words_equal(a: &str, b: &str) -> bool {
    matches!((folded(a), folded(b)), (Some(a), Some(b)) if a == b)
}

/// Whether two simplified texts name the same day.
pub(super) fn dates_equal(a: &str, b: &str) -> bool {
    matches!((date(a), date(b)), (Some(a), Some(b)) if a == b)
}

/// Letters and digits in lower case, without articles; `None` if the text is not made of words, so that
/// braces, points or the case of its letters could matter.
fn folded(simple: &str) -> Option<String> {
    let n_open = simple.bytes().filter(|byte| *byte == b'{').count();
    if n_open != simple.matches(r"\text{").count() {
        return None;
    }
    let plain = simple.replace(r"\text{", " ").replace('}', " ");
    let chars: Vec<char> = plain.chars().collect();
    let is_between = |at: usize, test: fn(&char) -> bool| {
        let before = chars[..at].last().is_some_and(test);
        (before, chars.get(at + 1).is_some_and(test))
    };
    let is_math = chars.iter().enumerate().any(|(at, c)| match c {
        '.' => is_between(at, char::is_ascii_digit) != (false, false),
        ':' => is_between(at, |c| c.is_alphabetic()) == (true, true),
        _ => r"\^_=<>+*/|&{".contains(*c),
    });
    let plain = plain.replace('.', "").to_lowercase();
    let has_word = plain
        .split(|c: char| !c.is_alphabetic())
        .any(|run| run.chars().count() > 1);
    if is_math || !has_word {
        return None;
    }
    let words = plain.split(|c: char| c.is_whitespace() || ",;\"'".contains(c));
    let mut words = words.filter(|word| !word.is_empty()).peekable();
    let mut all = String::new();
    while let Some(word) = words.next() {
        // The last word is no article: `vitamin A`.
        if words.peek().is_some() && matches!(word, "the" | "a" | "an") {
            continue;
        }
        let is_digit = |c: char| c.is_ascii_digit();
        if all.ends_with(is_digit) && word.starts_with(is_digit) {
            all.push(' ');
        }
        all.push_str(word);
    }
    Some(all)
}

/// The letter of an option: `B`, `(B)`, `B.`, `(B) 12`, `Option B`.
pub(super) fn option_letter(simple: &str) -> Option<char> {
    let plain = simple.replace(r"\text", " ").replace(['{', '}'], " ");
    let mut rest = plain.trim();
    for word in ["option", "choice", "answer"] {
        if let Some(head) = rest.get(..word.len())
            && head.eq_ignore_ascii_case(word)
        {
            rest = rest[word.len()..].trim_start();
        }
    }
    let (inner, is_open) = match rest.strip_prefix('(') {
        Some(inner) => (inner.trim_start(), true),
        None => (rest, false),
    };
    let mut chars = inner.chars();
    let letter = chars.next().filter(char::is_ascii_uppercase)?;
    let after = chars.as_str().trim_start();
    let is_marked = match is_open {
        true => after
            .strip_prefix(')')
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '.', ':'])),
        false => after.is_empty() || after == "." || after == ")",
    };
    is_marked.then_some(letter)
}

/// The number that a word names, up to twenty.
pub(super) fn number_word(simple: &str) -> Option<usize> {
    const WORDS: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    let word = simple.trim().to_lowercase();
    WORDS.iter().position(|name| *name == word)
}

/// Year (0 if none is given), month and day.
fn date(simple: &str) -> Option<(u32, usize, u32)> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let plain = simple.replace(r"\text", " ").to_lowercase();
    let mut month = None;
    let mut numbers = Vec::new();
    let words = plain.split(|c: char| !c.is_alphanumeric());
    for word in words.filter(|word| !word.is_empty()) {
        let n_digits = word.bytes().take_while(u8::is_ascii_digit).count();
        if n_digits > 0 {
            let is_ordinal = matches!(&word[n_digits..], "" | "st" | "nd" | "rd" | "th");
            numbers.push(is_ordinal.then(|| word[..n_digits].parse::<u32>().ok())??);
        } else if word != "of" {
            let named = MONTHS.iter().position(|name| word.starts_with(name))?;
            month = month.is_none().then_some(named + 1);
            month?;
        }
    }
    let (day, year) = match numbers.as_slice() {
        [day] => (*day, 0),
        [day, year] if *year > 31 => (*day, *year),
        [year, day] if *year > 31 => (*day, *year),
        _ => return None,
    };
    (1..=31).contains(&day).then_some((year, month?, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_punctuation_of_words_do_not_count() {
        assert!(words_equal("East", r"\text{east}"));
        assert!(words_equal("4:30 p.m.", "4:30 PM"));
        assert!(words_equal("the red ball", "Red ball"));
        assert!(!words_equal("East", "West"));
        assert!(!words_equal("A", "a"));
        assert!(!words_equal("a:b", "A:B"));
        assert!(!words_equal("ratio 1:2.5", "ratio 1:25"));
        assert!(!words_equal("vitamin A", "vitamin"));
        assert!(!words_equal("rooms 1, 2", "rooms 12"));
    }

    #[test]
    fn days_are_read_in_either_order() {
        assert!(dates_equal("May 5, 2020", "5th of May 2020"));
        assert!(!dates_equal("May 5, 2020", "May 6, 2020"));
        assert!(!dates_equal("May 5", "June 5"));
        assert!(!dates_equal("5", "5"));
    }

    #[test]
    fn options_are_letters_with_marks() {
        for text in [
            "B",
            "(B)",
            r"\text{(B)}",
            "B.",
            "(B) 12",
            "Option B",
            "( B )",
        ] {
            assert_eq!(option_letter(text), Some('B'), "{text}");
        }
        for text in ["(B)+1", "b", "(b)", "BC", "B 12", "Bob", "", "(B"] {
            assert_eq!(option_letter(text), None, "{text}");
        }
    }

    #[test]
    fn number_words_are_numbers() {
        assert_eq!(number_word("Twelve"), Some(12));
        assert_eq!(number_word("dozen"), None);
    }
}
