//! The verifier on random, mutated, deep and long input, from many threads.
//!
//! `EXTRACOT_FUZZ=100000 cargo test -p extracot-core --test fuzz_answers -- --nocapture` sets the number
//! of strings.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests, which may fail and print"
)]

use std::time::{Duration, Instant};

use extracot_core::verify::{AnswerVerifier, MathVerifier, extract_answer};
use extracot_core::{Seed, Verdict};
use rand::{Rng, RngExt};

const TABLE: &str = include_str!("../src/verify/cases.tsv");
const N_THREADS: usize = 8;
/// Strings, unless the environment says how many.
const N_STRINGS: usize = 8_000;
/// No string of a usual length takes longer, in the best of several tries.
const WORST: Duration = Duration::from_millis(20);
/// Deep and long ones take up to a fourth of it.
const WORST_LONG: Duration = Duration::from_millis(100);

const PIECES: [&str; 64] = [
    "\\frac",
    "\\sqrt",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "\\{",
    "\\}",
    "^",
    "_",
    "+",
    "-",
    "/",
    "*",
    "=",
    "<",
    ">",
    "\\leq ",
    "\\ne ",
    "\\in ",
    "\\cup ",
    "\\pm ",
    ",",
    ";",
    " ",
    "!",
    "|",
    "%",
    "$",
    "\\%",
    "\\pi ",
    "\\infty ",
    "e",
    "i",
    "x",
    "y",
    "n",
    "0",
    "1",
    "2",
    "10",
    "99999",
    "3.14",
    "\\sin ",
    "\\log_",
    "\\binom",
    "\\sum_{k=",
    "\\begin{pmatrix}",
    "\\end{pmatrix}",
    "&",
    "\\\\",
    "\\text{",
    " and ",
    "\\boxed{",
    "####",
    "answer is ",
    "\u{b0}",
    "\u{221a}",
    "\u{e9}",
    "\\overline{",
    "\n",
    "\\left(",
];

fn random_text(rng: &mut impl Rng) -> String {
    let n_pieces = rng.random_range(0..40);
    (0..n_pieces)
        .map(|_| PIECES[rng.random_range(0..PIECES.len())])
        .collect()
}

/// A text of the table with pieces put in, cut out and doubled.
fn mutated(texts: &[&str], rng: &mut impl Rng) -> String {
    let mut chars: Vec<char> = texts[rng.random_range(0..texts.len())].chars().collect();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=chars.len());
        match rng.random_range(0..4) {
            0 => {
                let piece = PIECES[rng.random_range(0..PIECES.len())];
                chars.splice(at..at, piece.chars());
            }
            1 => {
                let end = (at + rng.random_range(0..4)).min(chars.len());
                chars.drain(at..end);
            }
            2 => {
                let copy: Vec<char> = chars[at..].to_vec();
                chars.extend(copy);
            }
            _ => chars.insert(at, rng.random_range(' '..='~')),
        }
    }
    chars.into_iter().collect()
}

/// The time of one verdict: the least of several, since other processes take turns on a core.
fn judge(answer: &str, gold: &str) -> Duration {
    let timed = || {
        let start = Instant::now();
        (MathVerifier.verify_answer(answer, gold), start.elapsed())
    };
    let (verdict, mut duration) = timed();
    MathVerifier.verify(answer, gold);
    extract_answer(answer);
    for _ in 0..12 {
        let (again, next) = timed();
        assert_eq!(verdict, again, "{answer} | {gold}");
        duration = duration.min(next);
        if duration < Duration::from_millis(8) {
            break;
        }
    }
    duration
}

#[test]
fn any_text_is_judged_quickly_from_many_threads() {
    let n_strings = std::env::var("EXTRACOT_FUZZ").map_or(N_STRINGS, |n| n.parse().unwrap());
    let rows = TABLE.lines().filter(|line| !line.starts_with('#'));
    let texts: Vec<&str> = rows.flat_map(|row| row.split('\t').skip(2)).collect();
    let worst = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..N_THREADS)
            .map(|thread| {
                let texts = &texts;
                scope.spawn(move || {
                    let mut worst = (Duration::ZERO, String::new());
                    for idx in 0..n_strings / N_THREADS {
                        let stream = (thread * n_strings + idx) as u64;
                        let mut rng = Seed(20).derive("fuzz answers", stream).rng();
                        let answer = match idx % 2 {
                            0 => random_text(&mut rng),
                            _ => mutated(texts, &mut rng),
                        };
                        let gold = match idx % 3 {
                            0 => mutated(texts, &mut rng),
                            1 => random_text(&mut rng),
                            _ => texts[rng.random_range(0..texts.len())].to_owned(),
                        };
                        let duration = judge(&answer, &gold);
                        if duration > worst.0 {
                            worst = (duration, format!("{answer} | {gold}"));
                        }
                    }
                    worst
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().unwrap())
            .max()
            .unwrap()
    });
    eprintln!("{n_strings} strings, worst {:?}: {}", worst.0, worst.1);
    assert!(worst.0 < WORST, "{worst:?}");
}

#[test]
fn deep_and_long_input_ends_in_a_verdict() {
    let deep =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let mut inputs = vec![
        "9".repeat(100_000),
        format!("0.{}", "3".repeat(100_000)),
        format!("1/{}", "7".repeat(100_000)),
        "1,".repeat(50_000),
        "1,".repeat(2_000) + "1",
        "x_1, ".repeat(800),
        "\\sin ".repeat(800) + "x",
        "2^".repeat(1_000) + "2",
        "9^{9^{9^{9^{9}}}}".to_owned(),
        "9999999999!".to_owned(),
        "\\binom{999999}{499999}".to_owned(),
        "(x+y+z)^{400}".to_owned(),
        "(a+b+c+d+f)^{12}(a-b)^{9}".to_owned(),
        "\\sqrt{".repeat(45) + "2" + &"}".repeat(45),
        format!("\\sqrt{{{}}}", "7".repeat(600)),
        "\\sum_{k=1}^{2000} \\sum_{j=1}^{2000} \\sum_{m=1}^{2000} kjm".to_owned(),
        "|".repeat(2_000),
        "!".repeat(2_000),
        "5".to_owned() + &"!".repeat(1_500),
        "-".repeat(3_000) + "5",
        "\\pm ".repeat(500),
        "\\pm x+".repeat(200) + "1",
        "a = ".repeat(900) + "1",
        "1 < ".repeat(900) + "x",
        "\\{1\\} \\cup ".repeat(300) + "\\{2\\}",
        "(0,1) \\cup ".repeat(400) + "(2,3)",
        "\\begin{pmatrix}".to_owned() + &"1 & ".repeat(900) + "2 \\end{pmatrix}",
        "\\begin{pmatrix} x & 1 \\\\ 1 & x \\end{pmatrix}".repeat(60),
        "\\frac1".repeat(900) + "2",
        " and ".repeat(700),
        "x ".repeat(1_900),
        "\\text{".repeat(700),
    ];
    for (open, close) in [
        ("(", ")"),
        ("{", "}"),
        ("[", "]"),
        ("\\{", "\\}"),
        ("\\frac{1}{", "}"),
        ("\\sqrt{", "}"),
        ("\\text{", "}"),
        ("\\boxed{", "}"),
        ("(1, ", ")"),
        ("|", "|"),
        ("x^{", "}"),
        ("f(", ")"),
    ] {
        inputs.push(deep(open, close, 10_000));
        inputs.push(deep(open, close, 400));
        inputs.push(open.repeat(10_000));
    }
    let golds = [
        "5".to_owned(),
        "x^2+1".to_owned(),
        "1, 2".to_owned(),
        "(0,1) \\cup (2,3)".to_owned(),
        "1,".repeat(2_000) + "2",
        deep("(", ")", 10_000),
        "9".repeat(4_000),
    ];
    // Lists in opposite order, whose parts are compared each with each.
    let mut pairs = Vec::new();
    for part in [
        "x < N",
        "(N, 1N)",
        "N/7",
        "\\sqrt{N}",
        "x+N",
        "y = Nx",
        "\\sin N",
        "(0,N) \\cup (N,2N)",
        "w N",
        "\\{N, x\\}",
        "x \\ne N",
    ] {
        let part = |n: usize| part.replace('N', &n.to_string());
        for most in [120, 300] {
            let n_parts = (3_900 / (part(100).len() + 2)).min(most);
            let up: Vec<String> = (0..n_parts).map(part).collect();
            let down: Vec<String> = (0..n_parts).rev().map(part).collect();
            let wrong: Vec<String> = (1..=n_parts).rev().map(part).collect();
            pairs.push((up.join("; "), down.join("; ")));
            pairs.push((up.join("; "), wrong.join("; ")));
        }
    }
    let mut worst = (Duration::ZERO, String::new());
    for (answer, gold) in &pairs {
        let duration = judge(answer, gold);
        if duration > worst.0 {
            worst = (duration, answer[..40].to_owned());
        }
    }
    for input in &inputs {
        for gold in golds.iter().chain([input]) {
            let duration = judge(input, gold);
            let start: String = input.chars().take(40).collect();
            let gold: String = gold.chars().take(20).collect();
            if duration > worst.0 {
                worst = (duration, format!("{start} | {gold}"));
            }
        }
    }
    eprintln!("worst {:?}: {}", worst.0, worst.1);
    assert!(worst.0 < WORST_LONG, "{worst:?}");
    for piece in ["answer:#", "answer:\\[ ", "\\( ", "$a$ ", "a \\( $ "] {
        let text = piece.repeat(200_000 / piece.len());
        let duration = judge(&text, "5");
        assert!(
            duration < Duration::from_millis(100),
            "{piece}: {duration:?}"
        );
        let timed = || {
            let start = Instant::now();
            MathVerifier.verify(&text, "5");
            start.elapsed()
        };
        let least = (0..5).map(|_| timed()).min().unwrap();
        assert!(least < Duration::from_millis(100), "{piece}: {least:?}");
    }
    let long = "9".repeat(100_000);
    assert_eq!(MathVerifier.verify_answer(&long, "9"), Verdict::Incorrect);
    assert_eq!(
        MathVerifier.verify_answer(&deep("(", ")", 10_000), "1"),
        Verdict::Incorrect
    );
}
