//! Units that are told from each other: 3 weeks are not 3 days.

/// Units that are told from each other, with their spellings.
const KNOWN: [(&str, &[&str]); 34] = [
    ("mm", &["mm", "millimeter"]),
    ("cm", &["cm", "centimeter"]),
    ("dm", &["dm", "decimeter"]),
    ("m", &["m", "meter", "metre"]),
    ("km", &["km", "kilometer", "kilometre"]),
    ("in", &["in", "inch", "inches"]),
    ("ft", &["ft", "foot", "feet"]),
    ("yd", &["yd", "yard"]),
    ("mi", &["mi", "mile"]),
    ("mg", &["mg", "milligram"]),
    ("g", &["g", "gram"]),
    ("kg", &["kg", "kilogram"]),
    ("lb", &["lb", "lbs", "pound"]),
    ("oz", &["oz", "ounce"]),
    ("t", &["t", "ton"]),
    ("ms", &["ms", "millisecond"]),
    ("s", &["s", "sec", "secs", "second"]),
    ("min", &["min", "mins", "minute"]),
    ("h", &["h", "hr", "hrs", "hour"]),
    ("day", &["day"]),
    ("week", &["week"]),
    ("month", &["month"]),
    ("year", &["year", "yr", "yrs"]),
    ("ml", &["ml", "milliliter"]),
    ("cl", &["cl", "centiliter"]),
    ("l", &["l", "liter", "litre"]),
    ("gal", &["gal", "gallon"]),
    ("qt", &["qt", "quart"]),
    ("pt", &["pt", "pint"]),
    ("cup", &["cup"]),
    ("dollar", &["dollar"]),
    ("cent", &["cent"]),
    ("euro", &["euro"]),
    ("acre", &["acre"]),
];

/// One spelling for the unit that `rest` is made of, such as `km/h` or `cm2`; `None` if some of its
/// words are no known unit, or there are none.
pub(in crate::verify) fn known_unit(rest: &str) -> Option<String> {
    let plain = rest.replace(r"\text", " ").to_lowercase();
    let mut unit = String::new();
    let mut power = '1';
    let mut chars = plain.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '/' => unit.push('/'),
            '\u{b2}' => unit.push('2'),
            '\u{b3}' => unit.push('3'),
            '0'..='9' => unit.push(c),
            ' ' | '{' | '}' | '.' | '^' => {}
            c if c.is_ascii_alphabetic() => {
                let mut word = String::from(c);
                while let Some(next) = chars.next_if(char::is_ascii_alphabetic) {
                    word.push(next);
                }
                match word.as_str() {
                    "sq" | "square" => power = '2',
                    "cu" | "cubic" => power = '3',
                    "per" => unit.push('/'),
                    word => {
                        unit.push_str(spelling(word)?);
                        if power != '1' {
                            unit.push(power);
                            power = '1';
                        }
                    }
                }
            }
            _ => return None,
        }
    }
    let is_whole = power == '1' && unit.starts_with(|c: char| c.is_ascii_alphabetic());
    is_whole.then_some(unit)
}

fn spelling(word: &str) -> Option<&'static str> {
    let is_it = |spellings: &[&str]| {
        spellings.contains(&word)
            || word
                .strip_suffix('s')
                .is_some_and(|one| one.len() > 2 && spellings.contains(&one))
    };
    let found = KNOWN.iter().find(|(_, spellings)| is_it(spellings));
    found.map(|(unit, _)| *unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_units_have_one_spelling() {
        let same = |a, b| {
            assert!(
                known_unit(a).is_some_and(|a| Some(a) == known_unit(b)),
                "{a}"
            )
        };
        same(" km/h", " kilometers per hour");
        same(r"\text{ cm}^2", " square centimeters");
        same(" sq. ft.", r" \text{ft}^{2}");
        assert_ne!(known_unit(" weeks"), known_unit(" days"));
        assert_ne!(known_unit("cm^2"), known_unit("cm^3"));
        for other in ["", " apples", " feet tall", "/hour", "th", "\u{b0}C"] {
            assert_eq!(known_unit(other), None, "{other}");
        }
    }
}
