//! The parts of plain-text formulas.

/// The part a token can play in a formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// `12`, `1,200.5`, `$5`, `2x`, `5kg`.
    Number,
    /// A variable, or an ellipsis.
    Value,
    /// `sqrt`, `sin`, `max`.
    Function,
    /// A LaTeX command with arguments.
    Command,
    /// A LaTeX command without arguments, or one that holds text.
    WeakCommand,
    /// A GSM8K calculator note, `<<48/2=24>>`.
    Note,
    /// A word after a number and before an operator.
    Unit,
    /// Any other word.
    Word,
    /// `* / ^ _` and the like.
    Binary,
    /// `+` and `-`.
    Sign,
    /// `=` and what reads like it.
    Equals,
    /// `<`, `>` and the like.
    Relation,
    /// `%`, the factorial.
    Postfix,
    /// A root or sum sign.
    Prefix,
    /// An opening bracket.
    Open,
    /// A closing bracket.
    Close,
    /// A comma.
    Comma,
    /// Ends every formula.
    Break,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) class: Class,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Whether it is one letter, perhaps with an index: `f` of `f(x)`.
    pub(super) is_letter: bool,
}

impl Token {
    pub(super) fn starts_value(&self) -> bool {
        use Class::{Command, Function, Note, Number, Open, Prefix, Unit, Value, WeakCommand};
        matches!(
            self.class,
            Number | Value | Function | Command | WeakCommand | Note | Unit | Prefix | Open
        )
    }

    pub(super) fn ends_value(&self) -> bool {
        use Class::{Close, Command, Function, Note, Number, Postfix, Unit, Value, WeakCommand};
        matches!(
            self.class,
            Number | Value | Function | Command | WeakCommand | Note | Unit | Postfix | Close
        )
    }

    pub(super) fn is_arithmetic(&self) -> bool {
        matches!(self.class, Class::Binary | Class::Sign | Class::Equals)
    }

    /// Whether a value may follow after a space, as in `sin x` and `\sin x`.
    pub(super) fn takes_argument(&self) -> bool {
        matches!(self.class, Class::Function | Class::WeakCommand)
    }

    pub(super) fn is_callable(&self) -> bool {
        self.class == Class::Function || self.is_letter
    }
}
