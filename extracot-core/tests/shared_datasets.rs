//! Problem files of others, where `EXTRACOT_SHARED` names a folder with them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use extracot_core::MathVerifier;
use extracot_core::dataset::{DatasetKind, leakage, read_problems, verify_problem};

/// `EXTRACOT_SHARED` names a folder with real data sets in `data`.
#[test]
#[ignore = "needs EXTRACOT_SHARED"]
fn real_files_load_whole() {
    let Some(folder) = std::env::var_os("EXTRACOT_SHARED") else {
        panic!("EXTRACOT_SHARED is not set; see \"Optional tests\" in CONTRIBUTING.md");
    };
    for (name, kind, n) in [
        ("gsm8k/train.jsonl", DatasetKind::Gsm8k, 7473),
        ("math_test_minus500/test.jsonl", DatasetKind::Math, 4500),
        ("svamp/test.jsonl", DatasetKind::Svamp, 1000),
        ("champ/problems.jsonl", DatasetKind::Champ, 270),
    ] {
        let path = Path::new(&folder).join("data").join(name);
        let found = read_problems(&path, None).unwrap();
        assert_eq!((found.kind, found.problems.len()), (kind, n), "{name}");
        let unequal = found.problems.iter().filter(|problem| {
            let visible = format!("\\boxed{{{}}}", problem.answer);
            !MathVerifier
                .verify_answer(&problem.answer, &problem.answer)
                .is_correct()
                || !verify_problem(&MathVerifier, &visible, problem).is_correct()
        });
        assert_eq!(
            unequal.count(),
            0,
            "{name}: gold answers that do not equal themselves"
        );
        assert_eq!(leakage(&found.problems[..1], &found.problems).n_shared, 1);
        eprintln!("{name}: {:?}", found.counts);
    }
}
