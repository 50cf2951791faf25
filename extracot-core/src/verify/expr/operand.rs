//! Numbers of a formula as they are written: decimals, repeating decimals, other bases.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::Pow;

/// More digits are not read.
const MAX_DIGITS: usize = 1000;

/// `12.50` as an exact number.
pub(super) fn decimal(raw: &str) -> Option<BigRational> {
    let (whole, part) = raw.split_once('.').unwrap_or((raw, ""));
    let digits = format!("{whole}{part}");
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return None;
    }
    let unscaled = BigInt::parse_bytes(digits.as_bytes(), 10)?;
    Some(BigRational::new(unscaled, ten_to(part.len())))
}

/// `0.1` with `6` repeated without end: 0.1666.. = 1/6.
pub(super) fn repeating(raw: &str, repeated: &str) -> Option<BigRational> {
    let start = decimal(raw)?;
    let n_decimals = raw.split_once('.')?.1.len();
    if repeated.is_empty() || repeated.len() > MAX_DIGITS {
        return None;
    }
    let block = BigInt::parse_bytes(repeated.as_bytes(), 10)?;
    let nines = ten_to(repeated.len()) - BigInt::from(1);
    Some(start + BigRational::new(block, nines * ten_to(n_decimals)))
}

/// `52` in base 8; `None` if a digit is too big for the base.
pub(super) fn in_base(digits: &str, base: u32) -> Option<BigRational> {
    let is_readable = (2..=36).contains(&base) && digits.len() <= MAX_DIGITS;
    let value = is_readable
        .then(|| BigInt::parse_bytes(digits.as_bytes(), base))
        .flatten()?;
    Some(BigRational::from_integer(value))
}

fn ten_to(exponent: usize) -> BigInt {
    Pow::pow(BigInt::from(10), exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(numerator: i64, denominator: i64) -> BigRational {
        BigRational::new(numerator.into(), denominator.into())
    }

    #[test]
    fn written_numbers_are_exact() {
        assert_eq!(decimal("12.50"), Some(ratio(25, 2)));
        assert_eq!(decimal(".5"), Some(ratio(1, 2)));
        assert_eq!(decimal("."), None);
        assert_eq!(decimal(&"9".repeat(1001)), None);
        // 1/6 and 5/11.
        assert_eq!(repeating("0.1", "6"), Some(ratio(1, 6)));
        assert_eq!(repeating("0.", "45"), Some(ratio(5, 11)));
        // 5 * 8 + 2.
        assert_eq!(in_base("52", 8), Some(ratio(42, 1)));
        assert_eq!(in_base("58", 8), None);
        assert_eq!(in_base("5", 1), None);
    }
}
