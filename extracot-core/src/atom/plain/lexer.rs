//! Tokens of text that may hold plain-text formulas.

use std::ops::Range;

use super::number::number_len;
use super::token::{Class, Token};

pub(super) fn tokenize(text: &str, region: Range<usize>) -> Vec<Token> {
    let mut lexer = Lexer::new(text, region);
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next_token(tokens.last()) {
        tokens.push(token);
    }
    tokens
}

struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    end: usize,
    /// Matched braces inside the region, by opening position.
    braces: Vec<(usize, usize)>,
    /// The first `>>` or line break at or behind a position, found once and kept until passed.
    note_end: Option<(usize, bool)>,
}

impl<'a> Lexer<'a> {
    fn new(text: &'a str, region: Range<usize>) -> Self {
        let mut braces = Vec::new();
        let mut open = Vec::new();
        let mut escaped = false;
        for (offset, byte) in text[region.clone()].bytes().enumerate() {
            let pos = region.start + offset;
            match byte {
                b'{' if !escaped => open.push(pos),
                b'}' if !escaped => braces.extend(open.pop().map(|start| (start, pos))),
                // An argument does not go on in the next line.
                b'\n' => open.clear(),
                _ => {}
            }
            escaped = byte == b'\\' && !escaped;
        }
        braces.sort_unstable();
        Self {
            text,
            pos: region.start,
            end: region.end,
            braces,
            note_end: None,
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.pos..self.end]
    }

    fn next_token(&mut self, prev: Option<&Token>) -> Option<Token> {
        let blanks = self
            .rest()
            .bytes()
            .take_while(|b| b" \t\r".contains(b))
            .count();
        self.pos += blanks;
        let start = self.pos;
        let first = self.rest().chars().next()?;
        let touching = prev.filter(|prev| prev.end == start);
        let (class, len) = if first.is_alphabetic() {
            self.word()
        } else if let Some(len) = number_len(self.rest()) {
            (Class::Number, len)
        } else if first == '\\' {
            self.command()
        } else if let Some(len) = self.note_len() {
            (Class::Note, len)
        } else {
            self.symbol(first, prev, touching)
        };
        self.pos = start + len;
        let is_letter = class == Class::Value && first.is_alphabetic();
        Some(Token {
            class,
            start,
            end: self.pos,
            is_letter,
        })
    }

    fn word(&self) -> (Class, usize) {
        let rest = self.rest();
        let mut len = 0;
        let mut chars = rest.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let inner = matches!(c, '\'' | '_')
                && chars.peek().is_some_and(|(_, next)| next.is_alphanumeric());
            if !c.is_alphanumeric() && !inner {
                break;
            }
            len = at + c.len_utf8();
        }
        let word = &rest[..len];
        if FUNCTIONS.contains(&word) {
            return (Class::Function, len);
        }
        let n_letters = word.chars().take_while(|c| c.is_alphabetic()).count();
        let tail = word.trim_start_matches(char::is_alphabetic);
        let is_letter = n_letters == 1
            && word.starts_with(|c: char| c.is_ascii() || ('\u{370}'..'\u{400}').contains(&c))
            && (tail.chars().all(char::is_numeric) || (tail.starts_with('_') && tail.len() <= 4));
        // Segments and angles of geometry are named by capitals.
        let is_figure =
            (2..=4).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_uppercase());
        let touches = |c: Option<char>| c.is_some_and(|c| "=+^*{}".contains(c));
        let is_product = word.chars().count() == 2
            && (touches(rest[len..].chars().next())
                || touches(self.text[..self.pos].chars().next_back()));
        let is_value = is_letter || is_figure || is_product;
        (if is_value { Class::Value } else { Class::Word }, len)
    }

    fn command(&self) -> (Class, usize) {
        let rest = self.rest();
        let name = rest[1..]
            .bytes()
            .take_while(u8::is_ascii_alphabetic)
            .count();
        let mut len = 1 + name;
        match &rest[1..len] {
            "times" | "cdot" | "div" | "circ" | "cup" | "cap" | "bmod" => (Class::Binary, len),
            "pm" | "mp" => (Class::Sign, len),
            "approx" | "equiv" => (Class::Equals, len),
            "le" | "leq" | "ge" | "geq" | "ne" | "neq" | "lt" | "gt" | "in" => {
                (Class::Relation, len)
            }
            "lfloor" | "lceil" | "langle" => (Class::Open, len),
            "rfloor" | "rceil" | "rangle" => (Class::Close, len),
            "left" if rest[len..].starts_with(['(', '[', '|']) => (Class::Open, len + 1),
            "right" if rest[len..].starts_with([')', ']', '|']) => (Class::Close, len + 1),
            "left" | "right" | "quad" | "qquad" | "item" | "begin" | "end" | "textbf"
            | "textit" | "emph" => (Class::Break, len),
            "" => match rest[1..].chars().next() {
                Some('%') => (Class::Postfix, 2),
                Some('{') => (Class::Open, 2),
                Some('}') => (Class::Close, 2),
                Some(c) if c.is_ascii() && c != '\n' => (Class::Break, 2),
                _ => (Class::Break, 1),
            },
            name => {
                let is_text = name.starts_with("text") || name == "mathrm";
                let bare = len;
                if name == "sqrt" && rest[len..].starts_with('[') {
                    let index = rest[len..]
                        .bytes()
                        .take(8)
                        .take_while(|b| *b != b']')
                        .count();
                    if rest.as_bytes().get(len + index) == Some(&b']') {
                        len += index + 1;
                    }
                }
                while let Some(close) = self.brace_partner(self.pos + len) {
                    len = close + 1 - self.pos;
                }
                let is_weak = is_text || len == bare;
                (
                    if is_weak {
                        Class::WeakCommand
                    } else {
                        Class::Command
                    },
                    len,
                )
            }
        }
    }

    fn brace_partner(&self, open: usize) -> Option<usize> {
        let idx = self
            .braces
            .binary_search_by_key(&open, |(open, _)| *open)
            .ok()?;
        Some(self.braces[idx].1)
    }

    /// Bytes of `<<..>>` with the currency sign that GSM8K writes in front.
    fn note_len(&mut self) -> Option<usize> {
        let rest = self.rest();
        let marker = rest.strip_prefix('$').unwrap_or(rest);
        let body = self.end - marker.strip_prefix("<<")?.len();
        if self.note_end.is_none_or(|(at, _)| at < body) {
            let inside = &self.text[body..self.end];
            let line = inside.find('\n').unwrap_or(inside.len());
            let close = inside[..line].find(">>");
            self.note_end = Some((body + close.unwrap_or(line), close.is_some()));
        }
        let (at, is_close) = self.note_end?;
        let is_note = is_close && !self.text[body..at].trim().is_empty();
        is_note.then_some(at + 2 - self.pos)
    }

    fn symbol(
        &self,
        first: char,
        prev: Option<&Token>,
        touching: Option<&Token>,
    ) -> (Class, usize) {
        let rest = self.rest();
        let len = first.len_utf8();
        let after = rest[len..].chars().next();
        let spaced_after = after.is_none_or(char::is_whitespace);
        let glued = touching.is_some_and(Token::ends_value) && !spaced_after;
        let before = self.text[..self.pos].trim_end_matches([' ', '\t']);
        let opens_line = before.is_empty() || before.ends_with('\n');
        for (symbol, class) in PAIRS {
            if rest.starts_with(symbol) {
                return (class, symbol.len());
            }
        }
        let class = match first {
            '+' | '-' | '*' if opens_line && spaced_after => Class::Break,
            '+' | '-' | '\u{2212}' | '\u{2013}' | '\u{b1}' => Class::Sign,
            '*' if rest.starts_with("**") => {
                return (if glued { Class::Binary } else { Class::Break }, 2);
            }
            // Emphasis touches on one side only; so does a careless product of numbers.
            '*' if prev.is_some_and(|t| matches!(t.class, Class::Number | Class::Close))
                && rest[1..]
                    .trim_start_matches(' ')
                    .starts_with(|c: char| c.is_ascii_digit() || "($.".contains(c)) =>
            {
                Class::Binary
            }
            '*' if touching.is_some() == spaced_after => Class::Break,
            '*' | '/' | '^' | '\u{d7}' | '\u{b7}' | '\u{22c5}' | '\u{f7}' => Class::Binary,
            '\u{2208}' | '\u{222a}' | '\u{2229}' => Class::Binary,
            '_' if glued => Class::Binary,
            ':' if glued && after.is_some_and(|c| c.is_ascii_digit()) => Class::Binary,
            '=' | '\u{2248}' | '\u{2261}' => Class::Equals,
            '<' | '>' | '\u{2264}' | '\u{2265}' | '\u{2260}' => Class::Relation,
            '%' | '\u{b0}' if touching.is_some_and(Token::ends_value) => Class::Postfix,
            '\'' if touching.is_some_and(|t| t.is_letter) => Class::Postfix,
            '!' if touching.is_some_and(Token::ends_value)
                && rest[1..]
                    .trim_start_matches(' ')
                    .starts_with(|c| "=/*+-)^\u{d7}".contains(c)) =>
            {
                Class::Postfix
            }
            '\u{221a}' | '\u{221b}' | '\u{2211}' | '\u{222b}' => Class::Prefix,
            '\u{221e}' => Class::Value,
            '(' | '[' | '{' => Class::Open,
            ')' | ']' | '}' => Class::Close,
            '|' => self.bar(after),
            ',' => Class::Comma,
            _ => Class::Break,
        };
        (class, len)
    }

    /// A bar opens before what it touches, closes behind what it touches, and divides in between.
    fn bar(&self, after: Option<char>) -> Class {
        let before = self.text[..self.pos].chars().next_back();
        let is_operand =
            |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || "()[]-\\'".contains(c));
        match (is_operand(before), is_operand(after)) {
            (true, true) => Class::Binary,
            (false, true) => Class::Open,
            (true, false) => Class::Close,
            (false, false) => Class::Break,
        }
    }
}

const FUNCTIONS: [&str; 17] = [
    "sqrt", "sin", "cos", "tan", "log", "ln", "exp", "min", "max", "gcd", "lcm", "abs", "floor",
    "ceil", "Pr", "Var", "arctan",
];

const PAIRS: [(&str, Class); 14] = [
    ("...", Class::Value),
    ("\u{2026}", Class::Value),
    ("<=", Class::Relation),
    (">=", Class::Relation),
    ("!=", Class::Relation),
    ("==", Class::Equals),
    (":=", Class::Equals),
    ("=>", Class::Break),
    ("->", Class::Break),
    ("--", Class::Break),
    ("//", Class::Break),
    ("<<", Class::Break),
    (">>", Class::Break),
    ("__", Class::Break),
];
