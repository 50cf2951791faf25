//! The table of cases: `cases.tsv` with category, expectation, gold answer and answer.

use super::{MathVerifier, Verdict};

const TABLE: &str = include_str!("cases.tsv");

fn cases() -> Vec<[String; 4]> {
    let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| {
        let fields: Vec<String> = row.split('\t').map(with_characters).collect();
        fields.try_into().unwrap()
    })
    .collect()
}

/// Puts the characters in that `<U+221A>` and the like stand for.
fn with_characters(field: &str) -> String {
    let mut parts = field.split("<U+");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('>').unwrap();
        text.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
        text.push_str(rest);
    }
    text
}

#[test]
fn every_case_is_judged_as_expected() {
    let mut misses = Vec::new();
    for [category, expected, gold, answer] in cases() {
        let judgement = MathVerifier.explain(&answer, &gold);
        let wanted = match expected.as_str() {
            "true" => Verdict::Correct,
            _ => Verdict::Incorrect,
        };
        // A sentence without an answer is not wrong but none.
        let is_none = wanted == Verdict::Incorrect && judgement.verdict == Verdict::NoAnswer;
        if judgement.verdict != wanted && !is_none {
            misses.push(format!("{category}: {gold} | {answer}: {judgement:?}"));
        }
    }
    assert!(misses.is_empty(), "{}", misses.join("\n"));
}

#[test]
fn the_table_is_large_and_even() {
    let cases = cases();
    let n_negative = cases.iter().filter(|case| case[1] == "false").count();
    assert!(cases.len() >= 300, "{}", cases.len());
    assert!(n_negative * 3 >= cases.len());
    let mut keys: Vec<_> = cases.iter().map(|case| (&case[2], &case[3])).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), cases.len(), "a pair stands twice");
}

/// Pairs that are different one way round and equal the other, since the gold answer decides the form.
const ONE_WAY: [&str; 9] = [
    "1,2 | 1.2",
    "-8,1 | -8.1",
    "52_8 | 42",
    "(1, 2) | 1, 2",
    "1, 2, 3 | 1, 2",
    "1, 2 | 1, 2, 3",
    "1, 1, 2 | 1, 2",
    "\\sqrt{x^2} | x",
    "x=5, y=6 | 6, 5",
];

#[test]
fn false_positives_are_none_either_way_round() {
    for [_, expected, gold, answer] in cases() {
        let is_open = gold.contains("boxed") || answer.contains("boxed") || answer.contains(". ");
        let is_one_way = ONE_WAY.contains(&format!("{gold} | {answer}").as_str())
            || ONE_WAY.contains(&format!("{answer} | {gold}").as_str());
        if expected == "false" && !is_open && !is_one_way {
            let judgement = MathVerifier.explain(&gold, &answer);
            assert!(
                !judgement.verdict.is_correct(),
                "{answer} | {gold}: {judgement:?}"
            );
        }
    }
}

#[test]
fn every_answer_equals_itself_and_not_itself_plus_one() {
    for [category, _, gold, _] in cases() {
        if category == "escape" {
            // A box that is not closed is a gold answer, and no answer.
            continue;
        }
        assert_eq!(
            MathVerifier.verify_answer(&gold, &gold),
            Verdict::Correct,
            "{gold}"
        );
        let judgement = MathVerifier.explain(&format!("1 + ({gold})"), &gold);
        assert!(!judgement.verdict.is_correct(), "{gold}: {judgement:?}");
    }
}
