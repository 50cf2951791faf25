//! What a formula is made of: numbers, variables, fractions, roots, groups, matrices.

use num_rational::BigRational;
use num_traits::{One, Signed};

use super::Parser;
use crate::verify::expr::lexer::Token;
use crate::verify::expr::operand::{decimal, in_base, repeating};
use crate::verify::expr::{Constant, Expr, Function};

/// Letters that are read as functions where a bracket follows.
const FUNCTION_LETTERS: [char; 3] = ['f', 'g', 'h'];

impl Parser {
    pub(super) fn primary(&mut self) -> Option<Expr> {
        match self.peek()?.clone() {
            Token::Number(_) => self.number(),
            Token::Letter(letter) => {
                self.at += 1;
                self.letter(letter)
            }
            Token::Points(points) => {
                self.at += 1;
                self.with_marks(points).map(Expr::Variable)
            }
            Token::Symbol('(' | '[' | '{') => self.group(),
            Token::Symbol('|') => {
                self.at += 1;
                self.bars(|parser| parser.eat('|'))
            }
            Token::Name(name) => {
                self.at += 1;
                self.deeper(|parser| parser.named(&name))
            }
            _ => None,
        }
    }

    /// A number, with a repeating part, a base or a fraction behind it.
    pub(super) fn number(&mut self) -> Option<Expr> {
        let Some(Token::Number(raw)) = self.peek().cloned() else {
            return None;
        };
        self.at += 1;
        if raw.contains('.') && self.eat_name(&["overline"]) {
            let is_braced = self.eat('{');
            let Some(Token::Number(block)) = self.peek().cloned() else {
                return None;
            };
            self.at += 1;
            return (!is_braced || self.eat('}'))
                .then(|| repeating(&raw, &block).map(Expr::Number))?;
        }
        if self.eat('_') {
            let Expr::Number(base) = self.argument()? else {
                return None;
            };
            let base = base
                .is_integer()
                .then(|| u32::try_from(base.numer()).ok())??;
            return in_base(&raw, base).map(Expr::Number);
        }
        let value = decimal(&raw)?;
        let whole_ends = self.at;
        if value.is_integer() && self.eat_name(&["frac"]) {
            // `2\frac{1}{2}` is a mixed number, `2\frac{3}{2}` a product.
            if let Some((numerator, denominator)) = self.plain_fraction()
                && numerator.is_positive()
                && numerator < denominator
            {
                return Some(Expr::Number(value + numerator / denominator));
            }
            self.at = whole_ends;
        }
        Some(Expr::Number(value))
    }

    /// Two arguments of `\frac` that are nothing but digits; changes no token, so that going back
    /// stays possible.
    fn plain_fraction(&mut self) -> Option<(BigRational, BigRational)> {
        if let Some(Token::Number(raw)) = self.peek()
            && raw.len() == 2
        {
            let parts = (decimal(&raw[..1])?, decimal(&raw[1..])?);
            self.at += 1;
            return Some(parts);
        }
        Some((self.plain_argument()?, self.plain_argument()?))
    }

    fn plain_argument(&mut self) -> Option<BigRational> {
        let is_braced = self.eat('{');
        let value = match self.peek()? {
            Token::Number(raw) if is_braced || raw.len() == 1 => decimal(raw)?,
            _ => return None,
        };
        self.at += 1;
        let is_closed = !is_braced || self.eat('}');
        (is_closed && value.is_integer()).then_some(value)
    }

    fn letter(&mut self, letter: char) -> Option<Expr> {
        if FUNCTION_LETTERS.contains(&letter) && self.next_is('(') {
            let arguments = self.arguments()?;
            return Some(Expr::Call(Function::Unknown(letter.to_string()), arguments));
        }
        let name = letter.to_string();
        Some(match letter {
            'e' if !self.next_is('_') => Expr::Constant(Constant::E),
            'i' if !self.next_is('_') => Expr::Constant(Constant::I),
            _ => Expr::Variable(self.with_marks(name)?),
        })
    }

    /// A variable's name with its primes and subscript.
    pub(super) fn with_marks(&mut self, mut name: String) -> Option<String> {
        while self.eat('\'') {
            name.push('\'');
        }
        if self.eat('_') {
            let start = self.at;
            self.deeper(Self::argument)?;
            name.push('_');
            for token in &self.tokens[start..self.at] {
                match token {
                    Token::Number(text) | Token::Name(text) | Token::Points(text) => {
                        name.push_str(text);
                    }
                    Token::Letter(letter) => name.push(*letter),
                    Token::Symbol('{' | '}') | Token::RowBreak => {}
                    Token::Symbol(symbol) => name.push(*symbol),
                }
            }
        }
        Some(name)
    }

    /// The absolute value behind an open bar.
    pub(super) fn bars(&mut self, close: impl FnOnce(&mut Self) -> bool) -> Option<Expr> {
        self.open_bars += 1;
        let inner = self.sum()?;
        self.open_bars -= 1;
        close(self).then(|| Expr::Call(Function::Abs, vec![inner]))
    }

    pub(super) fn fraction(&mut self) -> Option<Expr> {
        let numerator = self.argument()?;
        let denominator = self.argument()?;
        Some(Expr::over(numerator, denominator))
    }

    pub(super) fn root(&mut self) -> Option<Expr> {
        let degree = if self.eat('[') {
            let degree = self.sum()?;
            self.eat(']').then_some(degree)?
        } else {
            Expr::Number(BigRational::one() + BigRational::one())
        };
        let radicand = match self.peek()? {
            Token::Symbol('(' | '[') => self.group()?,
            _ => self.argument()?,
        };
        Some(Expr::Call(Function::Root, vec![radicand, degree]))
    }

    /// The rows behind `\begin`.
    pub(super) fn matrix(&mut self) -> Option<Expr> {
        const KINDS: [&str; 6] = [
            "matrix",
            "pmatrix",
            "bmatrix",
            "Bmatrix",
            "array",
            "smallmatrix",
        ];
        let kind = self.environment()?;
        if !KINDS.contains(&kind.as_str()) {
            return None;
        }
        if kind == "array" && self.eat('{') {
            // The columns' layout.
            while !self.eat('}') {
                self.peek()?;
                self.at += 1;
            }
        }
        let mut rows: Vec<Vec<Expr>> = vec![Vec::new()];
        loop {
            while self.eat_name(&["hline"]) {}
            if self.eat_name(&["end"]) {
                break;
            }
            let cell = self.sum()?;
            rows.last_mut()?.push(cell);
            let mut is_new_row = false;
            while self.peek() == Some(&Token::RowBreak) {
                self.at += 1;
                is_new_row = true;
            }
            if is_new_row {
                rows.push(Vec::new());
            } else if !self.eat('&') && !matches!(self.peek(), Some(Token::Name(n)) if n == "end") {
                return None;
            }
        }
        if rows.last().is_some_and(Vec::is_empty) {
            rows.pop();
        }
        let n_columns = rows.first()?.len();
        let is_even = n_columns > 0 && rows.iter().all(|row| row.len() == n_columns);
        (self.environment()? == kind && is_even).then_some(Expr::Matrix(rows))
    }

    /// The kind of matrix behind `\begin` or `\end`.
    fn environment(&mut self) -> Option<String> {
        let Some(Token::Name(name)) = self.peek().cloned() else {
            return None;
        };
        self.at += 1;
        Some(name)
    }
}
