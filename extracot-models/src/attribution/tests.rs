use extracot_core::prompt::INSTRUCTION;
use extracot_core::{ByteTokenizer, segment};

use super::*;
use crate::count_lm::CountLm;

const VOCAB: usize = 266;

fn annotator<'a>(model: &'a CountLm, device: &'a Device) -> AttributionAnnotator<'a, CountLm> {
    AttributionAnnotator {
        model,
        device,
        tokenizer: &ByteTokenizer,
        chat: None,
        answer_lead: ANSWER_LEAD,
        rule: AttributionRule {
            keep_share: KeepRatio::FULL,
            min_drop: 0.0,
        },
        batch_tokens: 500,
    }
}

fn problem(answer: &str) -> Problem {
    Problem {
        id: "p".to_owned(),
        question: "How many?".to_owned(),
        solution: None,
        answer: answer.to_owned(),
        difficulty: None,
        options: Vec::new(),
    }
}

/// Tokens before the answer, of which none is a digit.
fn n_before(think: &str) -> f64 {
    let text = format!(
        "{INSTRUCTION}\nHow many?\n<think>\n{think}\n</think>\nThe final answer is \\boxed{{"
    );
    ByteTokenizer.n_tokens(&text) as f64
}

fn assert_close(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (f64::from(*found) - expected).abs() < 1e-5,
            "{found} {expected}"
        );
    }
}

#[test]
fn drops_are_those_worked_by_hand_for_any_batch() {
    let device = Device::flex();
    let model = CountLm::new(VOCAB, 1000, &device);
    let mut annotator = annotator(&model, &device);
    let think = "so 7 it is";
    let cot = segment(think);
    assert_eq!(cot.n_atoms(), 4);
    // p(7) is 2 / n with the 7 and 1 / (n - bytes) without it.
    let n = VOCAB as f64 + n_before(think);
    let expected = [
        (2.0 / n).ln() - (2.0 / (n - 3.0)).ln(),
        (2.0 / n).ln() - (1.0 / (n - 2.0)).ln(),
        (2.0 / n).ln() - (2.0 / (n - 3.0)).ln(),
        (2.0 / n).ln() - (2.0 / (n - 3.0)).ln(),
    ];
    for batch_tokens in [0, 30, 100, 100_000] {
        annotator.batch_tokens = batch_tokens;
        let found = annotator.attribute(&problem("7"), &cot).unwrap();
        assert_close(found.drops.as_slice(), &expected);
        assert!((found.window_logprobs[0] - (2.0 / n).ln()).abs() < 1e-5);
        assert_eq!(found.costs, [2, 2, 3, 3]);
    }
    // White space around the text is not part of any drop.
    let padded = annotator
        .attribute(&problem(" 7 "), &segment("\n so 7 it is\n\n"))
        .unwrap();
    assert_close(padded.drops.as_slice(), &expected);

    let labels = annotator.annotate(&problem("7"), &cot).unwrap();
    assert_eq!(labels.as_slice(), [false, true, false, false]);
}

#[test]
fn every_token_of_the_answer_counts_and_nothing_else() {
    let device = Device::flex();
    let model = CountLm::new(VOCAB, 1000, &device);
    let found = annotator(&model, &device)
        .attribute(&problem("77"), &segment("77 a"))
        .unwrap();
    // With `77` there are two sevens at first and three for the second digit; without it none, one.
    let n = VOCAB as f64 + n_before("77 a");
    let whole = (3.0 / n * 4.0 / (n + 1.0)).ln();
    let without_number = (1.0 / (n - 3.0) * 2.0 / (n - 2.0)).ln();
    let without_word = (3.0 / (n - 2.0) * 4.0 / (n - 1.0)).ln();
    assert_close(
        found.drops.as_slice(),
        &[whole - without_number, whole - without_word],
    );
}

#[test]
fn a_chat_template_and_other_words_before_the_answer_are_used() {
    let chat = ChatTemplate::default();
    let texts = AnswerTexts {
        problem_id: "p",
        before: before_think(Some(&chat), "How many?").unwrap(),
        answer_lead: "It is ",
        answer: "72",
        tokenizer: &ByteTokenizer,
        max_positions: 1000,
    };
    let row = texts.row("so $1$").unwrap();
    assert_eq!(
        ByteTokenizer.decode(&row.token_ids),
        format!(
            "<|im_start|>user\n{INSTRUCTION}\nHow many?<|im_end|>\n<|im_start|>assistant\n<think>\n\
             so $1$\n</think>\nIt is \\boxed{{72"
        )
    );
    assert_eq!(row.n_targets, 2);
}

#[test]
fn a_long_text_is_measured_window_by_window_and_nothing_is_lost() {
    let device = Device::flex();
    let roomy = CountLm::new(VOCAB, 1000, &device);
    let alone = |text: &str| {
        let found = annotator(&roomy, &device)
            .attribute(&problem("7"), &segment(text))
            .unwrap();
        found
            .drops
            .as_slice()
            .iter()
            .map(|d| f64::from(*d))
            .collect::<Vec<_>>()
    };
    // Room for seven tokens beside the answer's one.
    let tight = CountLm::new(VOCAB, n_before("") as usize + 1 + 7, &device);
    let found = annotator(&tight, &device)
        .attribute(&problem("7"), &segment("a 7 b. c d e. 7 7 f."))
        .unwrap();
    let expected = [alone("a 7 b."), alone("c d e."), alone("7 7 f.")].concat();
    assert_close(found.drops.as_slice(), &expected);
    assert_eq!(found.window_logprobs.len(), 3);

    let message = annotator(&tight, &device)
        .annotate(&problem("7"), &segment("a b. abcdefghi"))
        .unwrap_err()
        .to_string();
    assert!(message.contains("atoms 2 to 2"), "{message}");
}

#[test]
fn without_an_answer_there_is_nothing_to_go_by_and_without_atoms_nothing_to_label() {
    let device = Device::flex();
    let model = CountLm::new(VOCAB, 1000, &device);
    let annotator = annotator(&model, &device);
    let message = annotator
        .annotate(&problem(" "), &segment("a"))
        .unwrap_err()
        .to_string();
    assert_eq!(message, "problem `p` has no gold answer");
    let labels = annotator.annotate(&problem("7"), &segment("")).unwrap();
    assert_eq!(labels.as_slice(), [false; 0]);
}

#[test]
fn labels_stop_at_the_share_of_the_tokens_and_at_the_least_drop() {
    let drops = KeepScores::try_new(vec![2.0, -1.0, 0.5, 3.0], 4).unwrap();
    let labels = |keep_share: f64, min_drop: f32| {
        let keep_share = KeepRatio::try_new(keep_share).unwrap();
        let rule = AttributionRule {
            keep_share,
            min_drop,
        };
        rule.labels(&drops, &[2, 1, 3, 4]).as_slice().to_vec()
    };
    // By drop the atoms cost 4, 2, 3 and 1 of ten tokens; the one that reaches the share is kept.
    assert_eq!(labels(0.1, f32::MIN), [false, false, false, true]);
    assert_eq!(labels(0.4, f32::MIN), [false, false, false, true]);
    assert_eq!(labels(0.5, f32::MIN), [true, false, false, true]);
    assert_eq!(labels(0.7, f32::MIN), [true, false, true, true]);
    assert_eq!(labels(1.0, f32::MIN), [true; 4]);
    assert_eq!(labels(1.0, 0.0), [true, false, true, true]);
    assert_eq!(labels(1.0, 2.0), [true, false, false, true]);
    assert_eq!(labels(1.0, 3.5), [false; 4]);
}
