use super::*;

fn read(simple: &str) -> Answer {
    let mut work = Work::new();
    Reader::new(&mut work).read(simple)
}

#[test]
fn kinds_are_told_apart() {
    let is = |simple: &str, test: fn(&Kind) -> bool| assert!(test(&read(simple).kind), "{simple}");
    is(
        "1, 2",
        |kind| matches!(kind, Kind::List(parts) if parts.len() == 2),
    );
    is(
        r"\{1, 2\}",
        |kind| matches!(kind, Kind::Set(parts) if parts.len() == 2),
    );
    is("{1, 2}", |kind| matches!(kind, Kind::List(_)));
    is(
        "[1, 2)",
        |kind| matches!(kind, Kind::Tuple('[', ')', parts) if parts.len() == 2),
    );
    is("(1,234)", |kind| matches!(kind, Kind::Tuple(..)));
    is(r"(0,1) \cup (2,3)", |kind| matches!(kind, Kind::Union(_)));
    is(r"\mathbb{R} \setminus \{1\}", |kind| {
        matches!(kind, Kind::Without(..))
    });
    is("x < 3", |kind| matches!(kind, Kind::Relation(_)));
    is("2x + y = 3", |kind| matches!(kind, Kind::Relation(_)));
    is(
        r"1, 2 \pm 3",
        |kind| matches!(kind, Kind::List(parts) if parts.len() == 3),
    );
    is("(x + 1)", |kind| matches!(kind, Kind::Formula(_)));
    is(r"\text{5 m}", |kind| matches!(kind, Kind::Formula(_)));
    is("no solution", |kind| matches!(kind, Kind::Text));
    is("(1, 2", |kind| matches!(kind, Kind::Text));
}

#[test]
fn names_and_bases_are_kept_apart() {
    let answer = read("x_1 = 5");
    assert_eq!(answer.name.as_deref(), Some("x_1"));
    assert_eq!(answer.text, "5");
    assert!(answer.relation().is_none());
    assert!(read("y = 2x + 1").relation().is_some());
    assert_eq!(read("52_8").based, Some(("52".into(), "8".into())));
    assert_eq!(read("0.50").n_decimals, Some(2));
}

#[test]
fn deep_brackets_are_text() {
    let nested = |n: usize| format!("{}1, 2{}", "(3, ".repeat(n), ")".repeat(n));
    assert!(matches!(read(&nested(5)).kind, Kind::Tuple(..)));
    let mut part = read(&nested(40));
    for _ in 0..17 {
        let Kind::Tuple(_, _, parts) = part.kind else {
            panic!("{part:?}");
        };
        part = parts.into_iter().next_back().unwrap();
    }
    assert!(matches!(part.kind, Kind::Text), "{part:?}");
}
