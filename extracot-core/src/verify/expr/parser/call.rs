//! Commands and functions with their arguments.

use super::Parser;
use crate::verify::expr::lexer::Token;
use crate::verify::expr::{Constant, Expr, Function};

/// Commands for letters and other symbols without arguments.
const SYMBOLS: [&str; 41] = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "vartheta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "rho",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "varphi",
    "chi",
    "psi",
    "omega",
    "Gamma",
    "Delta",
    "Theta",
    "Lambda",
    "Xi",
    "Pi",
    "Sigma",
    "Phi",
    "Psi",
    "Omega",
    "ell",
    "hbar",
    "dots",
    "ldots",
    "cdots",
    "varnothing",
];

/// Commands that mark what follows as another variable.
const ACCENTS: [&str; 9] = [
    "overline",
    "vec",
    "hat",
    "bar",
    "tilde",
    "overrightarrow",
    "widehat",
    "mathbb",
    "mathcal",
];

/// One spelling for the corners: `\angle ABC` is `\angle CBA`, those of a triangle have no order.
fn corners(name: &str, points: String) -> String {
    let mut letters: Vec<char> = points.chars().collect();
    if !letters.iter().all(char::is_ascii_uppercase) {
        return points;
    }
    if name == "triangle" {
        letters.sort_unstable();
    } else if letters.first() > letters.last() {
        letters.reverse();
    }
    letters.into_iter().collect()
}

impl Parser {
    /// Behind a command or a plain name.
    pub(super) fn named(&mut self, name: &str) -> Option<Expr> {
        match name {
            "frac" => self.fraction(),
            "sqrt" => self.root(),
            "binom" => {
                let n = self.argument()?;
                let k = self.argument()?;
                Some(Expr::Call(Function::Binomial, vec![n, k]))
            }
            "pi" => Some(Expr::Constant(Constant::Pi)),
            "infty" | "infinity" | "inf" => Some(Expr::Constant(Constant::Infinity)),
            "begin" => self.matrix(),
            "lfloor" => self.between("rfloor", Function::Floor),
            "lceil" => self.between("rceil", Function::Ceil),
            "lvert" => {
                let inner = self.bars(|parser| parser.eat_name(&["rvert"]))?;
                Some(inner)
            }
            "sum" => self.big_operator(Function::SumOver),
            "prod" => self.big_operator(Function::ProductOver),
            "angle" | "triangle" => {
                let inner = match self.term()? {
                    Expr::Variable(points) => Expr::Variable(corners(name, points)),
                    other => other,
                };
                Some(Expr::Call(Function::Unknown(name.to_owned()), vec![inner]))
            }
            _ if SYMBOLS.contains(&name) => self.with_marks(name.to_owned()).map(Expr::Variable),
            _ if ACCENTS.contains(&name) => {
                let inner = self.argument()?;
                Some(Expr::Call(Function::Unknown(name.to_owned()), vec![inner]))
            }
            _ => self.function(Function::named(name)?),
        }
    }

    fn between(&mut self, close: &str, function: Function) -> Option<Expr> {
        let inner = self.sum()?;
        self.eat_name(&[close])
            .then(|| Expr::Call(function, vec![inner]))
    }

    /// `\sin x`, `\sin^2(x)`, `\sin^{-1} x`, `\log_2 8`.
    fn function(&mut self, function: Function) -> Option<Expr> {
        let base = if self.eat('_') {
            Some(self.argument()?)
        } else {
            None
        };
        let exponent = if self.eat('^') {
            Some(self.exponent()?)
        } else {
            None
        };
        let mut arguments = self.arguments()?;
        let mut function = function;
        if let Some(base) = base {
            if function != Function::Log {
                return None;
            }
            function = Function::LogBase;
            arguments.push(base);
        }
        if exponent == Some(Expr::integer(-1))
            && let Some(inverse) = function.inverse()
        {
            return Some(Expr::Call(inverse, arguments));
        }
        let call = Expr::Call(function, arguments);
        Some(match exponent {
            Some(exponent) => Expr::Power(Box::new(call), Box::new(exponent)),
            None => call,
        })
    }

    /// `(a, b)`, or all factors up to an operator or another function: `\sin 2x \cos x`.
    pub(super) fn arguments(&mut self) -> Option<Vec<Expr>> {
        if self.next_is('(') || self.next_is('[') {
            self.at += 1;
            let bars = std::mem::take(&mut self.open_bars);
            let mut arguments = vec![self.sum()?];
            while self.eat(',') {
                arguments.push(self.sum()?);
            }
            self.open_bars = bars;
            return (self.eat(')') || self.eat(']')).then_some(arguments);
        }
        if self.next_is('{') {
            return Some(vec![self.group()?]);
        }
        let is_negative = self.eat('-');
        let mut factors = vec![self.deeper(Self::power)?];
        while self.begins_factor()
            && !matches!(self.peek(), Some(Token::Name(name)) if Function::named(name).is_some())
            && !matches!(self.peek(), Some(Token::Symbol('(' | '[' | '|')))
        {
            factors.push(self.deeper(Self::power)?);
        }
        let argument = super::one_product(factors);
        Some(vec![if is_negative {
            argument.negated()
        } else {
            argument
        }])
    }

    /// `_{k=1}^{n} term` behind `\sum` or `\prod`.
    fn big_operator(&mut self, function: Function) -> Option<Expr> {
        if !(self.eat('_') && self.eat('{')) {
            return None;
        }
        let variable = match self.primary()? {
            Expr::Constant(Constant::I) => Expr::Variable("i".to_owned()),
            variable => variable,
        };
        variable.as_variable()?;
        let first = self.eat('=').then(|| self.sum())??;
        if !(self.eat('}') && self.eat('^')) {
            return None;
        }
        let last = self.exponent()?;
        let term = self.term()?;
        Some(Expr::Call(function, vec![variable, first, last, term]))
    }
}
