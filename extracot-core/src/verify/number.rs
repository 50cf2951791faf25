//! Reads the text of an answer as an exact number.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Signed, Zero};

use super::normalize::simplify;
use super::unit::{Suffix, known_unit, ordinal_mark};

/// A number with more digits is not read.
const MAX_DIGITS: usize = 1000;
/// A power of ten beyond this is not read.
const MAX_EXPONENT: i32 = 1000;
/// Longer simplified text is not read.
pub(super) const MAX_NUMBER_BYTES: usize = 4096;

/// An exact number, and whether it was written as a percentage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    value: BigRational,
    is_percent: bool,
}

impl Number {
    /// The exact value; that of `25%` is 1/4.
    pub fn value(&self) -> &BigRational {
        &self.value
    }

    /// Whether it was written as a percentage.
    pub fn is_percent(&self) -> bool {
        self.is_percent
    }

    /// Whether two answers are the same number.
    ///
    /// Lenient about percent: where only one of the two is written as a percentage, `25%` equals
    /// both `0.25` and `25`, because questions ask for "the percentage" and gold answers leave the
    /// sign out. Symmetric, but for that reason not transitive.
    pub fn matches(&self, other: &Self) -> bool {
        if same(&self.value, &other.value) {
            return true;
        }
        let hundred = BigRational::from_integer(BigInt::from(100));
        match (self.is_percent, other.is_percent) {
            (true, false) => same(&(&self.value * hundred), &other.value),
            (false, true) => same(&self.value, &(&other.value * hundred)),
            _ => false,
        }
    }
}

/// Equality of reduced fractions; the ordering that `==` uses divides, which is slow on long ones.
fn same(a: &BigRational, b: &BigRational) -> bool {
    a.numer() == b.numer() && a.denom() == b.denom()
}

/// Reads an answer as a number; `None` if it is none or is beyond the bounds.
///
/// Reads integers, decimals, `a/b`, `\frac{a}{b}` and its variants, mixed numbers, `1.5e3`,
/// `1.5 \times 10^{3}`, percentages, thousands separators (`1,000`, `1 000`), a currency sign in
/// front, scale words (`5 million`, `5 dozen`) and units behind. Units are dropped, not converted: `5 m`
/// within `\text`, `5 apples` and `5` are one number, `1 km` and `1000 meters` are two.
///
/// Bounds: 1000 digits per literal, exponents up to 1000, 4096 bytes.
///
/// # Examples
///
/// ```
/// use extracot_core::verify::parse_number;
/// assert_eq!(parse_number("$1,234.50"), parse_number(r"\frac{2469}{2}"));
/// assert_eq!(parse_number("2x"), None);
/// ```
pub fn parse_number(text: &str) -> Option<Number> {
    read_number(&simplify(text))
}

/// [`parse_number`] on simplified text.
pub(super) fn read_number(simple: &str) -> Option<Number> {
    read_number_and_unit(simple).map(|(number, _)| number)
}

/// [`read_number`] and the unit behind it, if it is one that is known.
pub(super) fn read_number_and_unit(simple: &str) -> Option<(Number, Option<String>)> {
    if simple.len() > MAX_NUMBER_BYTES {
        return None;
    }
    let mut cursor = Cursor {
        rest: simple.trim(),
    };
    let sign = cursor.sign();
    let has_currency = ["$", "\u{20ac}", "\u{a3}", "\u{a5}"]
        .iter()
        .any(|sign| cursor.eat(sign));
    cursor.skip_blanks();
    // `-$5` and `$-5`, but not `-$-5`.
    let sign = if has_currency && sign.is_none() {
        cursor.sign()
    } else {
        sign
    };
    let mut value = cursor.magnitude()?;
    let suffix = Suffix::read(cursor.rest)?;
    value *= power_of_ten(i32::try_from(suffix.scale).ok()?);
    if suffix.is_dozen {
        value *= BigInt::from(12);
    }
    if suffix.is_percent {
        value /= BigInt::from(100);
    }
    if sign == Some('-') {
        value = -value;
    }
    let number = Number {
        value,
        is_percent: suffix.is_percent,
    };
    Some((number, known_unit(cursor.rest)))
}

fn power_of_ten(exponent: i32) -> BigRational {
    let power = BigRational::from_integer(Pow::pow(BigInt::from(10), exponent.unsigned_abs()));
    if exponent < 0 { power.recip() } else { power }
}

/// An unsigned literal such as `1,234.5`.
struct Literal {
    value: BigRational,
    is_integer: bool,
}

/// What is left to read. Methods that return `None` may have moved on.
struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn eat(&mut self, prefix: &str) -> bool {
        let stripped = self.rest.strip_prefix(prefix);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn sign(&mut self) -> Option<char> {
        let sign = self
            .rest
            .chars()
            .next()
            .filter(|c| matches!(c, '-' | '+'))?;
        self.rest = self.rest[1..].trim_start();
        Some(sign)
    }

    fn digits(&mut self) -> &'a str {
        let n_digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.rest.split_at(n_digits);
        self.rest = rest;
        digits
    }

    fn magnitude(&mut self) -> Option<BigRational> {
        if self.rest.starts_with(r"\frac") {
            return self.fraction();
        }
        let whole = self.literal()?;
        let after_whole = self.rest;
        self.skip_blanks();
        let is_spaced = self.rest.len() < after_whole.len();
        if whole.is_integer && self.rest.starts_with(r"\frac") {
            return mixed(whole.value, self.fraction()?);
        }
        if whole.is_integer && is_spaced && self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            let part = self.literal()?;
            return mixed(whole.value, self.over(part.value)?);
        }
        if self.rest.starts_with('/') {
            let slash = self.rest;
            if let Some(quotient) = self.over(whole.value.clone()) {
                return Some(quotient);
            }
            // `5/hour`: the unit reader takes it from here, and refuses `5/0`.
            self.rest = slash;
            return Some(whole.value);
        }
        if let Some(exponent) = self.scientific(&whole.value, is_spaced)? {
            return Some(whole.value * exponent);
        }
        self.rest = after_whole;
        Some(whole.value)
    }

    /// `/ b` behind `numerator`.
    fn over(&mut self, numerator: BigRational) -> Option<BigRational> {
        self.skip_blanks();
        if !self.eat("/") {
            return None;
        }
        self.skip_blanks();
        let denominator = self.signed_literal()?;
        (!denominator.is_zero()).then(|| numerator / denominator)
    }

    /// The power of ten behind a mantissa; `None` if one begins and cannot be read, `Some(None)` if
    /// there is none. For `10^k` it is what `10` has to be multiplied by.
    fn scientific(
        &mut self,
        mantissa: &BigRational,
        is_spaced: bool,
    ) -> Option<Option<BigRational>> {
        let ten = BigRational::from_integer(BigInt::from(10));
        if !is_spaced && self.rest.starts_with('^') {
            // `12^{\text{th}}`: the unit reader decides.
            if ordinal_mark(self.rest).is_some() {
                return Some(None);
            }
            if !same(mantissa, &ten) {
                return None;
            }
            self.eat("^");
            return Some(Some(power_of_ten(self.exponent()?) / ten));
        }
        if !is_spaced && self.rest.starts_with(['e', 'E']) {
            let mut ahead = Cursor {
                rest: &self.rest[1..],
            };
            // Anything but digits is a word, as in `5eggs`: the unit reader decides.
            let after_sign = ahead.rest.strip_prefix(['-', '+']).unwrap_or(ahead.rest);
            if after_sign.starts_with(|c: char| c.is_ascii_digit()) {
                let exponent = ahead.exponent()?;
                self.rest = ahead.rest;
                return Some(Some(power_of_ten(exponent)));
            }
            return Some(None);
        }
        if [r"\times", "*", "x "].iter().any(|times| self.eat(times)) {
            self.skip_blanks();
            if !self.eat("10^") {
                return None;
            }
            return Some(Some(power_of_ten(self.exponent()?)));
        }
        Some(None)
    }

    /// `5`, `-5` or `{-5}`.
    fn exponent(&mut self) -> Option<i32> {
        let is_braced = self.eat("{");
        let sign = self.sign();
        let exponent: i32 = self.digits().parse().ok().filter(|e| *e <= MAX_EXPONENT)?;
        if is_braced {
            self.skip_blanks();
            if !self.eat("}") {
                return None;
            }
        }
        Some(if sign == Some('-') {
            -exponent
        } else {
            exponent
        })
    }

    /// `\frac{a}{b}`, `\frac12`, `\frac1{72}`.
    fn fraction(&mut self) -> Option<BigRational> {
        self.eat(r"\frac");
        let numerator = self.argument()?;
        let denominator = self.argument()?;
        (!denominator.is_zero()).then(|| numerator / denominator)
    }

    fn argument(&mut self) -> Option<BigRational> {
        self.skip_blanks();
        if self.eat("{") {
            self.skip_blanks();
            let value = self.signed_literal()?;
            self.skip_blanks();
            return self.eat("}").then_some(value);
        }
        // Without braces an argument is one character.
        let digit = self.rest.chars().next()?.to_digit(10)?;
        self.rest = &self.rest[1..];
        Some(BigRational::from_integer(BigInt::from(digit)))
    }

    fn signed_literal(&mut self) -> Option<BigRational> {
        let sign = self.sign();
        let literal = self.literal()?;
        Some(if sign == Some('-') {
            -literal.value
        } else {
            literal.value
        })
    }

    fn literal(&mut self) -> Option<Literal> {
        let mut digits = self.digits().to_owned();
        if (1..=3).contains(&digits.len()) && !digits.starts_with('0') {
            self.thousands(&mut digits);
        }
        let n_whole = digits.len();
        let has_fraction = self
            .rest
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if has_fraction {
            self.eat(".");
            digits.push_str(self.digits());
        }
        if digits.is_empty() || digits.len() > MAX_DIGITS {
            return None;
        }
        let unscaled = BigInt::parse_bytes(digits.as_bytes(), 10)?;
        let n_decimals = digits.len() - n_whole;
        let denominator = Pow::pow(BigInt::from(10), n_decimals);
        Some(Literal {
            value: BigRational::new(unscaled, denominator),
            is_integer: !has_fraction,
        })
    }

    /// Groups of exactly three digits behind one and the same separator.
    fn thousands(&mut self, digits: &mut String) {
        let Some(separator) = self.rest.chars().next().filter(|c| matches!(c, ',' | ' ')) else {
            return;
        };
        while let Some(group) = self.rest.strip_prefix(separator) {
            if group.bytes().take_while(u8::is_ascii_digit).take(4).count() != 3 {
                return;
            }
            digits.push_str(&group[..3]);
            self.rest = &group[3..];
        }
    }
}

/// `2 1/2`; `2\frac{3}{2}` would rather be a product.
fn mixed(whole: BigRational, part: BigRational) -> Option<BigRational> {
    (!part.is_negative() && part < BigRational::one()).then(|| whole + part)
}

#[cfg(test)]
mod tests;
