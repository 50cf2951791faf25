//! The functions that formulas may hold.

/// A function; the arguments are those of the doc lines, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Function {
    /// x, n: the n-th root of x.
    Root,
    /// x.
    Sin,
    /// x.
    Cos,
    /// x.
    Tan,
    /// x.
    Cot,
    /// x.
    Sec,
    /// x.
    Csc,
    /// x.
    Arcsin,
    /// x.
    Arccos,
    /// x.
    Arctan,
    /// x.
    Sinh,
    /// x.
    Cosh,
    /// x.
    Tanh,
    /// x: the natural logarithm.
    Ln,
    /// x: a logarithm without a base, natural to some authors and decimal to others.
    Log,
    /// x, base.
    LogBase,
    /// x.
    Exp,
    /// x.
    Abs,
    /// x.
    Floor,
    /// x.
    Ceil,
    /// x.
    Factorial,
    /// n, k.
    Binomial,
    /// Any number of integers.
    Gcd,
    /// Any number of integers.
    Lcm,
    /// Any number of reals.
    Min,
    /// Any number of reals.
    Max,
    /// a, m: the remainder of a, from 0 to below m.
    Mod,
    /// variable, first, last, term.
    SumOver,
    /// variable, first, last, factor.
    ProductOver,
    /// A function that only its name is known of.
    Unknown(String),
}

impl Function {
    /// The function of a name as written in LaTeX (without the backslash) or in plain text.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sin" => Self::Sin,
            "cos" => Self::Cos,
            "tan" | "tg" => Self::Tan,
            "cot" | "ctg" => Self::Cot,
            "sec" => Self::Sec,
            "csc" | "cosec" => Self::Csc,
            "arcsin" | "asin" => Self::Arcsin,
            "arccos" | "acos" => Self::Arccos,
            "arctan" | "atan" | "arctg" => Self::Arctan,
            "sinh" => Self::Sinh,
            "cosh" => Self::Cosh,
            "tanh" => Self::Tanh,
            "ln" => Self::Ln,
            "log" => Self::Log,
            "exp" => Self::Exp,
            "gcd" => Self::Gcd,
            "lcm" => Self::Lcm,
            "min" => Self::Min,
            "max" => Self::Max,
            "abs" => Self::Abs,
            "floor" => Self::Floor,
            "ceil" => Self::Ceil,
            _ => return None,
        })
    }

    /// The inverse that an exponent of -1 stands for.
    pub(super) fn inverse(&self) -> Option<Self> {
        Some(match self {
            Self::Sin => Self::Arcsin,
            Self::Cos => Self::Arccos,
            Self::Tan => Self::Arctan,
            _ => return None,
        })
    }
}
