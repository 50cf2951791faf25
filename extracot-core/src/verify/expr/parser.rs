//! Tokens to a formula.

mod call;
mod primary;

use super::Expr;
use super::lexer::{Token, tokens};

/// Deeper formulas are not read.
const MAX_DEPTH: usize = 48;
/// Formulas with more divisions and postfix operators, each of which makes the tree deeper without any
/// recursion here, are not read.
const MAX_WRAPS: usize = 100;
/// Formulas of more tokens are not read.
const MAX_TOKENS: usize = 2000;

/// Reads a simplified text as one formula; `None` if it is none, or too long or too deep.
pub(in crate::verify) fn parse(simple: &str) -> Option<Expr> {
    let tokens = tokens(simple)?;
    if tokens.is_empty() || tokens.len() > MAX_TOKENS {
        return None;
    }
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        n_wraps: 0,
        open_bars: 0,
    };
    let expr = parser.content()?;
    (parser.at == parser.tokens.len()).then_some(expr)
}

/// Recursive descent. Methods that return `None` may have moved on.
struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    n_wraps: usize,
    /// Bars of absolute values that are open: in one, a bar closes.
    open_bars: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next_is(&self, symbol: char) -> bool {
        self.peek() == Some(&Token::Symbol(symbol))
    }

    fn eat(&mut self, symbol: char) -> bool {
        let is_next = self.next_is(symbol);
        self.at += usize::from(is_next);
        is_next
    }

    fn eat_name(&mut self, names: &[&str]) -> bool {
        let is_next =
            matches!(self.peek(), Some(Token::Name(name)) if names.contains(&name.as_str()));
        self.at += usize::from(is_next);
        is_next
    }

    /// Runs one level deeper; every recursion passes here.
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth == MAX_DEPTH {
            return None;
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Counts an operator that wraps what was read so far.
    fn wrap(&mut self) -> Option<()> {
        self.n_wraps += 1;
        (self.n_wraps <= MAX_WRAPS).then_some(())
    }

    fn sum(&mut self) -> Option<Expr> {
        self.deeper(|parser| {
            let mut terms = vec![parser.signed_term()?];
            loop {
                if parser.eat('+') {
                    terms.push(parser.signed_term()?);
                } else if parser.eat('-') {
                    terms.push(parser.signed_term()?.negated());
                } else {
                    break;
                }
            }
            Some(match terms.len() {
                1 => terms.remove(0),
                _ => Expr::Sum(terms),
            })
        })
    }

    fn signed_term(&mut self) -> Option<Expr> {
        let mut is_negative = false;
        loop {
            if self.eat('-') {
                is_negative = !is_negative;
            } else if !self.eat('+') {
                break;
            }
        }
        let term = self.term()?;
        Some(if is_negative { term.negated() } else { term })
    }

    fn term(&mut self) -> Option<Expr> {
        let mut product = vec![self.power()?];
        loop {
            if self.eat('*') || self.eat_name(&["times", "cdot", "ast", "cdotp"]) {
                product.push(self.signed_factor()?);
            } else if self.eat('/') || self.eat_name(&["div"]) {
                self.wrap()?;
                let divisor = self.signed_factor()?;
                let dividend = one_product(product);
                product = vec![Expr::over(dividend, divisor)];
            } else if self.eat_name(&["bmod", "mod"]) {
                self.wrap()?;
                let modulus = self.power()?;
                let dividend = one_product(product);
                product = vec![Expr::Call(super::Function::Mod, vec![dividend, modulus])];
            } else if self.begins_factor() {
                // Two numbers side by side are no product.
                if matches!(self.peek(), Some(Token::Number(_)))
                    && matches!(self.tokens.get(self.at - 1), Some(Token::Number(_)))
                {
                    return None;
                }
                product.push(self.power()?);
            } else {
                return Some(one_product(product));
            }
        }
    }

    /// A factor behind an operator: `2 * -3`.
    fn signed_factor(&mut self) -> Option<Expr> {
        let is_negative = self.eat('-');
        let factor = self.power()?;
        Some(if is_negative {
            factor.negated()
        } else {
            factor
        })
    }

    /// Whether what follows is multiplied without an operator.
    fn begins_factor(&self) -> bool {
        match self.peek() {
            Some(Token::Number(_) | Token::Letter(_) | Token::Points(_)) => true,
            Some(Token::Symbol(symbol)) => {
                matches!(symbol, '(' | '[' | '{') || (*symbol == '|' && self.open_bars == 0)
            }
            Some(Token::Name(name)) => !matches!(
                name.as_str(),
                "times"
                    | "cdot"
                    | "cdotp"
                    | "ast"
                    | "div"
                    | "bmod"
                    | "choose"
                    | "mod"
                    | "end"
                    | "rfloor"
                    | "rceil"
                    | "rvert"
            ),
            Some(Token::RowBreak) | None => false,
        }
    }

    /// A primary with what stands behind it: `x^2`, `5!`, a degree sign.
    fn power(&mut self) -> Option<Expr> {
        let mut base = self.primary()?;
        loop {
            if self.eat('!') {
                self.wrap()?;
                base = Expr::Call(super::Function::Factorial, vec![base]);
            } else if self.eat('\u{b0}') {
                self.wrap()?;
                base = Expr::Product(vec![
                    base,
                    Expr::Quotient(
                        Box::new(Expr::Constant(super::Constant::Pi)),
                        Box::new(Expr::integer(180)),
                    ),
                ]);
            } else if self.eat('%') {
                self.wrap()?;
                base = Expr::Quotient(Box::new(base), Box::new(Expr::integer(100)));
            } else if self.eat('^') {
                self.wrap()?;
                let exponent = self.deeper(Self::exponent)?;
                base = Expr::Power(Box::new(base), Box::new(exponent));
            } else {
                return Some(base);
            }
        }
    }

    fn exponent(&mut self) -> Option<Expr> {
        if self.eat('-') {
            return Some(self.exponent_operand()?.negated());
        }
        self.exponent_operand()
    }

    fn exponent_operand(&mut self) -> Option<Expr> {
        let base = match self.peek()? {
            // Plain text writes `x^10`.
            Token::Number(_) => self.number()?,
            _ => self.argument()?,
        };
        // `2^3^2` is 2^9.
        if self.eat('^') {
            let exponent = self.deeper(Self::exponent)?;
            return Some(Expr::Power(Box::new(base), Box::new(exponent)));
        }
        Some(base)
    }

    /// An argument as LaTeX takes it: a group, or one digit, letter or command.
    fn argument(&mut self) -> Option<Expr> {
        if self.next_is('{') {
            return self.group();
        }
        if let Some(Token::Number(raw)) = self.tokens.get_mut(self.at)
            && raw.len() > 1
        {
            let digit = raw.remove(0).to_digit(10)?;
            return Some(Expr::integer(i64::from(digit)));
        }
        // `A^TB` is A^T times B.
        if let Some(Token::Points(points)) = self.tokens.get_mut(self.at)
            && points.len() > 1
        {
            return Some(Expr::Variable(points.remove(0).to_string()));
        }
        self.deeper(Self::primary)
    }

    /// What a group or the whole text holds: a sum, or two with `\choose` between.
    fn content(&mut self) -> Option<Expr> {
        let above = self.sum()?;
        if self.eat_name(&["choose"]) {
            let below = self.sum()?;
            return Some(Expr::Call(super::Function::Binomial, vec![above, below]));
        }
        Some(above)
    }

    /// `(..)`, `[..]` or `{..}`; round and square ones may close each other.
    fn group(&mut self) -> Option<Expr> {
        let is_brace = self.next_is('{');
        self.at += 1;
        let bars = std::mem::take(&mut self.open_bars);
        let inner = self.content()?;
        self.open_bars = bars;
        let is_closed = match is_brace {
            true => self.eat('}'),
            false => self.eat(')') || self.eat(']'),
        };
        is_closed.then_some(inner)
    }
}

fn one_product(mut factors: Vec<Expr>) -> Expr {
    match factors.len() {
        1 => factors.remove(0),
        _ => Expr::Product(factors),
    }
}

#[cfg(test)]
mod tests;
