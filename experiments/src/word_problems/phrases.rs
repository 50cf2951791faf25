//! The wording of the embedded task. Placeholders: `@name`, `@she`, `@her`, `@things`, and `@0`,
//! `@1`, `@2` for the numbers of the sentence (in a step: operand, value before, value after).

use rand::RngExt;
use rand::seq::IndexedRandom;

const NAMES: &[(&str, bool)] = &[
    ("Mia", true),
    ("Tom", false),
    ("Ana", true),
    ("Ben", false),
    ("Eva", true),
    ("Leo", false),
    ("Ida", true),
    ("Max", false),
    ("Zoe", true),
    ("Sam", false),
];

const THINGS: &[&str] = &[
    "apples", "books", "cards", "coins", "shells", "stamps", "stones", "pens", "eggs", "plums",
];

/// Who and what a problem is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wording {
    name: &'static str,
    female: bool,
    things: &'static str,
}

impl Wording {
    pub(super) fn draw(rng: &mut impl RngExt) -> Self {
        let (name, female) = NAMES.choose(rng).copied().unwrap_or(NAMES[0]);
        let things = THINGS.choose(rng).copied().unwrap_or(THINGS[0]);
        Self {
            name,
            female,
            things,
        }
    }
}

/// Fills the placeholders of a phrase.
pub(super) fn fill(phrase: &str, wording: &Wording, numbers: &[u32]) -> String {
    let (she, her) = if wording.female {
        ("she", "her")
    } else {
        ("he", "his")
    };
    let mut text = phrase
        .replace("@name", wording.name)
        .replace("@things", wording.things)
        .replace("@she", she)
        .replace("@her", her);
    for (idx, number) in numbers.iter().enumerate() {
        text = text.replace(&format!("@{idx}"), &number.to_string());
    }
    text
}

/// The phrases of one kind of step.
#[derive(Debug)]
pub(super) struct StepPhrases {
    /// In the question, and restated in the chain of thought.
    pub(super) told: &'static [&'static str],
    /// Why it is this operation.
    pub(super) link: &'static [&'static str],
    /// The inverse operation, in words.
    pub(super) check: &'static [&'static str],
}

pub(super) const START: &[&str] = &[
    "@name has @0 @things.",
    "@name starts with @0 @things.",
    "At first @name owns @0 @things.",
    "There are @0 @things in the box of @name.",
];

pub(super) const ASK: &[&str] = &[
    "How many @things does @name have now?",
    "How many @things are there in the end?",
    "What is the number of @things at the end?",
];

pub(super) const ADD: StepPhrases = StepPhrases {
    told: &[
        "@name gets @0 more @things.",
        "Then @she finds @0 more.",
        "A friend brings @name @0 @things.",
        "After that @she buys @0 @things.",
    ],
    link: &[
        "This is added to what @she had before.",
        "The number grows, so this is an addition.",
        "More @things come in, so I add.",
    ],
    check: &[
        "To check, @2 minus @0 is @1 again.",
        "Going back gives @1, fine.",
    ],
};

pub(super) const SUBTRACT: StepPhrases = StepPhrases {
    told: &[
        "@name gives away @0 @things.",
        "Then @she loses @0 of them.",
        "After that @she sells @0 @things.",
        "A friend takes @0 of the @things.",
    ],
    link: &[
        "This is taken from what @she had before.",
        "The number shrinks, so this is a subtraction.",
        "Some @things go away, so I subtract.",
    ],
    check: &[
        "To check, @2 plus @0 is @1 again.",
        "Going back gives @1, fine.",
    ],
};

pub(super) const MULTIPLY: StepPhrases = StepPhrases {
    told: &[
        "Then the number becomes @0 times as large.",
        "@name now makes it @0 times as many.",
        "After that @she has @0 times as many @things.",
    ],
    link: &[
        "What @she had before is multiplied.",
        "It becomes a multiple, so this is a multiplication.",
    ],
    check: &[
        "To check, @2 split into @0 parts is @1 again.",
        "Going back gives @1, fine.",
    ],
};

pub(super) const FRACTION: StepPhrases = StepPhrases {
    told: &[
        "Then @she keeps just one part out of @0 equal parts.",
        "@name shares them in @0 equal parts and keeps one part.",
        "After that only one of @0 equal parts is left.",
    ],
    link: &[
        "What @she had before is divided.",
        "One part of it means that I divide.",
    ],
    check: &[
        "To check, @0 times @2 is @1 again.",
        "Going back gives @1, fine.",
    ],
};

pub(super) const PERCENT: StepPhrases = StepPhrases {
    told: &[
        "Then @she keeps only @0 percent of them.",
        "After that just @0 percent of the @things are left.",
    ],
    link: &[
        "This is a part of what @she had before.",
        "That means so many out of every hundred.",
    ],
    check: &[
        "To check, @2 is @0 percent of @1.",
        "Going back gives @1, fine.",
    ],
};

// What stands at one place of these lists goes with the phrase of the question at the same place.

pub(super) const OPENING: &[&str] = &[
    "Okay, let me think about this step by step.",
    "Let me go through this slowly and with care.",
    "Alright, I will follow the story of @name.",
    "Let me see, one thing at a time.",
];

pub(super) const RESTATE_START: &[&str] = &[
    "At the start @name has @0 @things.",
    "The first number is @0.",
    "First of all, @name begins with @0 @things.",
    "In the beginning there are @0 @things.",
];

pub(super) const RESULT: &[&str] = &["This gives", "That is", "So we get", "I compute"];

pub(super) const CONCLUDE: &[&str] = &[
    "So now there are @2 @things.",
    "So @name has @2 @things now.",
    "Good, the number is @2 after this.",
];

pub(super) const LOOK_BACK: &[&str] = &[
    "That was all, every change was used exactly once.",
    "That was the last step, and nothing in the story is missing.",
    "There is nothing more to do, so I can stop here.",
];

pub(super) const FINAL: &[&str] = &[
    "Therefore the answer is @0.",
    "So the final number is @0.",
    "In the end @name has @0 @things.",
];
