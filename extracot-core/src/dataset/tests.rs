use super::*;
use crate::{MathVerifier, Verdict};

fn read(text: &str, kind: Option<DatasetKind>) -> Result<Dataset, CoreError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("problems.jsonl");
    std::fs::write(&path, text).unwrap();
    read_problems(&path, kind)
}

/// The file as that kind, recognized and asked for.
fn known(text: &str, kind: DatasetKind) -> Vec<Problem> {
    let found = read(text, None).unwrap();
    assert_eq!(found.kind, kind);
    assert_eq!(read(text, Some(kind)).unwrap(), found);
    found.problems
}

fn message(text: &str, kind: Option<DatasetKind>) -> String {
    read(text, kind).unwrap_err().to_string()
}

const GSM8K: &str = r##"{"question": "Ann has 2 pens and buys 3. How many?", "answer": "She has 2+3=<<2+3=5>>5 pens.\n#### 5"}
{"question": "Two boxes hold 600 each. How many?", "answer": "600*2=<<600*2=1200>>1200\n#### 1,200"}"##;

#[test]
fn gsm8k() {
    let problems = known(GSM8K, DatasetKind::Gsm8k);
    assert_eq!(problems[0].id, "line-1");
    let solution = problems[0].solution.as_deref();
    assert_eq!(solution, Some("She has 2+3=<<2+3=5>>5 pens."));
    assert_eq!(problems[0].answer, "5");
    assert_eq!(problems[1].answer, "1,200");
    // With the parts apart.
    let parts =
        r#"{"id": "g-1", "question": "How many?", "solution": "<<1+1=2>>2", "answer": "2"}"#;
    let problems = known(parts, DatasetKind::Gsm8k);
    assert_eq!(problems[0].id, "g-1");
    assert_eq!(problems[0].solution.as_deref(), Some("<<1+1=2>>2"));
    // A solution without the marks is plain, unless the user says what it is.
    let plain = r#"{"question": "How many?", "solution": "1+1=2", "answer": "2"}"#;
    assert_eq!(read(plain, None).unwrap().kind, DatasetKind::Plain);
    let asked = read(plain, Some(DatasetKind::Gsm8k)).unwrap();
    assert_eq!(asked.problems, read(plain, None).unwrap().problems);
    let without = format!("{GSM8K}\n{{\"question\": \"q\", \"answer\": \"5\"}}");
    assert!(message(&without, None).ends_with(":3: `answer` has to end with a line `#### answer`"));
}

#[test]
fn math() {
    let problems = known(
        r#"{"problem": "Find $x$.", "solution": "First \\boxed{1}, so $\\boxed{\\frac{1}{2}}$.", "level": "Level 5", "type": "Algebra"}
{"problem": "Find $y$.", "solution": "So \\boxed{(1,2)}.", "answer": "\\left(1,2\\right)", "subject": "Algebra", "level": 3, "unique_id": "test/algebra/7.json"}
{"problem": "Find $z$.", "solution": "\\boxed{0}", "level": "Level ?", "type": "Geometry"}"#,
        DatasetKind::Math,
    );
    assert_eq!(problems[0].answer, r"\frac{1}{2}");
    assert_eq!(problems[0].difficulty, Some(5));
    assert_eq!(problems[1].answer, r"\left(1,2\right)");
    assert_eq!(
        (problems[1].id.as_str(), problems[1].difficulty),
        ("test/algebra/7.json", Some(3))
    );
    assert_eq!(problems[2].difficulty, None);
    let unboxed = r#"{"problem": "p", "solution": "It is \\boxed{1."}"#;
    assert!(message(unboxed, None).contains(r"jsonl:1: `solution` has no closed \boxed{..}"));
}

#[test]
fn amc23() {
    let problems = known(
        r#"{"id": 0, "problem": "How many?", "answer": 27.0, "url": "https://example.org/1"}
{"id": 1, "problem": "How much?", "answer": 0.5}
{"id": 2, "problem": "How far?", "answer": "-3"}"#,
        DatasetKind::Amc23,
    );
    let answers: Vec<_> = problems.iter().map(|p| p.answer.as_str()).collect();
    assert_eq!(answers, ["27", "0.5", "-3"]);
    assert_eq!(problems[0].id, "0");
    let question = r#"{"question": "How many?", "answer": 27.0, "url": "https://example.org/1"}"#;
    assert_eq!(known(question, DatasetKind::Amc23)[0].question, "How many?");
    // Without the address it is plain, unless the user says what it is.
    let bare = r#"{"question": "How many?", "answer": 27}"#;
    assert_eq!(read(bare, None).unwrap().kind, DatasetKind::Plain);
    assert!(read(bare, Some(DatasetKind::Amc23)).is_ok());
}

#[test]
fn metamath() {
    let text = r##"{"query": "How many pens?", "response": "The answer is: not yet. 2+3=5\n#### 5\nThe answer is: 5", "type": "GSM_Rephrased", "original_question": "q"}
{"query": "Find $x$.", "response": "Thus $\\boxed{3}$ or half: The answer is: \\frac{3}{2}", "type": "MATH_AnsAug"}
{"query": "Cut off?", "response": "2+3 =", "type": "GSM_SV"}
{"query": "Nothing?", "response": "The answer is: ", "type": "GSM_SV"}"##;
    let found = read(text, Some(DatasetKind::Metamath)).unwrap();
    let problems = known(text, DatasetKind::Metamath);
    assert_eq!(problems.len(), 2);
    assert_eq!(problems[0].answer, "5");
    assert_eq!(
        problems[0].solution.as_deref(),
        Some("The answer is: not yet. 2+3=5\n#### 5")
    );
    assert_eq!(problems[1].answer, r"\frac{3}{2}");
    assert_eq!(
        found.counts["dropped: no answer behind `The answer is:`"],
        2
    );
    assert_eq!((found.counts["rows read"], found.counts["used"]), (4, 2));
}

#[test]
fn mmlu() {
    let problems = known(
        r#"{"question": "What is 1/4 + 1/4?", "choices": ["1/8", "1/2", "1", "2"], "answer": 1, "subject": "elementary_mathematics"}
{"question": "Which?", "options": ["x", "y", 3], "answer": "c"}
{"question": "Which type?", "choices": ["B", "A", "AB", "O"], "answer": "(A)"}
{"question": "Same?", "choices": ["5", "5", "6"], "answer": "B."}
{"question": "By content?", "choices": ["red", "blue"], "answer": "blue"}"#,
        DatasetKind::Mmlu,
    );
    assert_eq!(
        problems[0].question,
        "What is 1/4 + 1/4?\n(A) 1/8\n(B) 1/2\n(C) 1\n(D) 2"
    );
    let answers: Vec<_> = problems.iter().map(|p| p.answer.as_str()).collect();
    assert_eq!(answers, ["B", "C", "A", "B", "B"]);
    assert_eq!(option_text(&problems[0]), Some("1/2"));
    assert_eq!(accepted_answers(&problems[0]), ["B", "1/2"]);
    assert_eq!(accepted_answers(&problems[1]), ["C", "3"]);
    // The content of option A reads as the letter of another, that of B is also option A.
    assert_eq!(accepted_answers(&problems[2]), ["A"]);
    assert_eq!(accepted_answers(&problems[3]), ["B"]);

    // What is written is read again as it was.
    let written = serde_json::to_string(&problems).unwrap();
    assert_eq!(known(&written, DatasetKind::Mmlu), problems);

    let verify = |visible: &str| verify_problem(&MathVerifier, visible, &problems[0]);
    assert_eq!(verify(r"So \boxed{B}."), Verdict::Correct);
    assert_eq!(verify(r"So \boxed{0.5}."), Verdict::Correct);
    assert_eq!(verify(r"So \boxed{C}."), Verdict::Incorrect);
    assert_eq!(verify(r"So \boxed{1/8}."), Verdict::Incorrect);
    assert_eq!(verify("I do not know."), Verdict::NoAnswer);

    let outside = r#"{"question": "q", "choices": ["a", "b"], "answer": 2}"#;
    assert!(message(outside, None).contains("`answer` is no index, letter or content"));
    let single = r#"{"question": "q", "choices": ["a"], "answer": 0}"#;
    assert!(message(single, None).contains("`choices` has to hold 2 to 10 options"));
    let no_list = r#"{"question": "q", "choices": "a, b", "answer": 0}"#;
    assert!(message(no_list, None).contains("`choices` has to be a list"));
}

#[test]
fn svamp_and_champ() {
    let problems = known(
        r#"{"ID": "chal-1", "Body": "A box holds 8 pens. ", "Question": "How many are left if 3 go?", "Equation": "( 8.0 - 3.0 )", "Answer": 5.0, "Type": "Subtraction"}"#,
        DatasetKind::Svamp,
    );
    assert_eq!(problems[0].id, "chal-1");
    assert_eq!(
        problems[0].question,
        "A box holds 8 pens. How many are left if 3 go?"
    );
    assert_eq!(problems[0].answer, "5");
    let joined =
        r#"{"id": "c", "question": "How many?", "answer": "5", "equation": "( 8.0 - 3.0 )"}"#;
    assert_eq!(known(joined, DatasetKind::Svamp)[0].answer, "5");
    let champ = r#"{"id": "P_1", "question": "How many strings?", "category": "Combinatorics", "answer": "2^n", "steps": ["Each place has 2.", "Thus 2^n."], "hints_concepts": []}"#;
    let problems = known(champ, DatasetKind::Champ);
    assert_eq!(
        problems[0].solution.as_deref(),
        Some("Each place has 2.\nThus 2^n.")
    );
}

#[test]
fn plain_rows_in_lines_or_an_array() {
    let lines = r#"{"id": 7, "question": "1+1?", "answer": 2, "difficulty": 3}
{"id": "b", "question": "1+2?", "solution": "1+2=3", "answer": "3"}"#;
    let problems = known(lines, DatasetKind::Plain);
    assert_eq!(
        (problems[0].id.as_str(), problems[0].difficulty),
        ("7", Some(3))
    );
    assert_eq!(problems[1].solution.as_deref(), Some("1+2=3"));
    let array = format!("\u{feff}[\n{}\n]", lines.replace('\n', ",\n"));
    assert_eq!(known(&array, DatasetKind::Plain), problems);
    assert_ne!(
        read(&array, None).unwrap().hash,
        read(lines, None).unwrap().hash
    );
    // The first 16 digits that `sha256sum` prints.
    let one = "{\"question\":\"q\",\"answer\":1}\n";
    assert_eq!(read(one, None).unwrap().hash, "7e502244a162d315");
    // In an array all rows may be on one line.
    let array = "[{\"question\":\"q\",\"answer\":1}, {\"question\":\"r\",\"answer\":1}]";
    assert_eq!(known(array, DatasetKind::Plain)[1].id, "row-2");
    let bad = "[{\"question\":\"q\",\"answer\":1},\n{\"question\":\"r\"}]";
    assert!(message(bad, None).ends_with("problems.jsonl:2: no `answer`, or nothing in it"));
    let difficulty = r#"{"question": "q", "answer": 1, "difficulty": "hard"}"#;
    assert!(message(difficulty, None).contains("`difficulty` has to be an integer"));
    let huge = r#"{"question": "q", "answer": 123456789012345678901234567890}"#;
    assert!(message(huge, None).contains("too large to be read exactly"));
    let nested = r#"{"question": "q", "answer": [1]}"#;
    assert!(message(nested, None).contains("`answer` has to be a text or a number"));
}

#[test]
fn every_row_is_counted() {
    let text = "\n{\"question\":\"Q  a\",\"answer\":1}\n \n{\"question\":\"q A\",\"answer\":1}\n\
                {\"question\":\"q a\",\"answer\":2}\n{\"question\":\" \",\"answer\":null}\n\
                {\"question\":\"q - a\",\"answer\":1}\n";
    let found = read(text, None).unwrap();
    let counts: Vec<_> = found
        .counts
        .iter()
        .map(|(reason, n)| (reason.as_str(), *n))
        .collect();
    assert_eq!(
        counts,
        [
            ("blank lines", 2),
            ("dropped: blank row", 1),
            ("dropped: same question as an earlier row", 1),
            (
                "dropped: same question as an earlier row, another answer",
                1
            ),
            ("rows read", 5),
            ("used", 2),
        ]
    );
    let ids: Vec<_> = found.problems.iter().map(|p| p.id.as_str()).collect();
    assert_eq!(ids, ["line-2", "line-7"]);
}

#[test]
fn wrong_files_are_named_with_a_remedy() {
    let found = message(GSM8K, Some(DatasetKind::Math));
    assert!(
        found.ends_with(
            "problems.jsonl:1: a file of the kind `math` has problem, solution; found are answer, \
             question; it looks like `gsm8k`"
        ),
        "{found}"
    );
    let found = message("{\"text\":\"x\",\"label\":1}", None);
    assert!(found.contains("jsonl:1: rows with the fields label, text are of no known kind"));
    assert!(found.contains("gsm8k (question, answer with ####)") && found.contains("metamath ("));
    assert!(message("{\"text\":\"x\"}", Some(DatasetKind::Champ)).ends_with("found are text"));
    assert!(message("", None).ends_with("problems.jsonl has no problem to use ()"));
    assert!(message("\n\n", None).ends_with("(blank lines: 2)"));
    assert!(message("[]", None).contains("no problem to use"));
    let twice = "{\"id\":1,\"question\":\"a\",\"answer\":1}\n{\"id\":\"1\",\"question\":\"b\",\"answer\":1}";
    assert!(message(twice, None).ends_with("problems.jsonl:2: the id `1` stands twice"));
    assert!(
        message("{\"question\":\"a\",\"answer\":1}\n7", None).contains("jsonl:2: invalid type")
    );
    let missing = read_problems(Path::new("/no/such/file"), None).unwrap_err();
    assert!(missing.to_string().contains("/no/such/file"));
    assert!("aime".parse::<DatasetKind>().is_err());
    for kind in DatasetKind::ALL {
        assert_eq!(kind.to_string().parse::<DatasetKind>().unwrap(), kind);
    }
}
