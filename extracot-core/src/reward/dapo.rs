//! The reward of DAPO: correctness and a soft punishment of overlong completions.

use super::{AdditiveReward, RewardContext, RewardTerm};
use crate::CoreError;

/// A charge on completions that come close to the limit. With `n` the generated tokens:
///
/// ```text
/// 0                                       n <= max - buffer
/// ((max - buffer) - n) / buffer           max - buffer < n <= max
/// -1                                      n > max
/// ```
///
/// # Source
///
/// DAPO (arXiv 2503.14476), section 3.4, eq. 13: `max` 20480, `buffer` 4096 (section 4.1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlong {
    max_tokens: usize,
    buffer_tokens: usize,
}

impl Overlong {
    /// A charge within the last `buffer_tokens` of `max_tokens`, the limit of new tokens.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] unless `1 <= buffer_tokens <= max_tokens`.
    pub fn try_new(max_tokens: usize, buffer_tokens: usize) -> Result<Self, CoreError> {
        if (1..=max_tokens).contains(&buffer_tokens) {
            return Ok(Self {
                max_tokens,
                buffer_tokens,
            });
        }
        Err(CoreError::Setting {
            key: "reward.overlong",
            found: format!("a buffer of {buffer_tokens} tokens out of {max_tokens}"),
            allowed: "a buffer of at least 1 token and no more than the limit",
        })
    }
}

impl RewardTerm for Overlong {
    fn name(&self) -> &'static str {
        "overlong"
    }

    fn range(&self) -> (f64, f64) {
        (-1.0, 0.0)
    }

    fn score(&self, context: &RewardContext<'_>) -> f64 {
        let free = self.max_tokens - self.buffer_tokens;
        let beyond = context.response.total_tokens.saturating_sub(free);
        -(beyond as f64 / self.buffer_tokens as f64).min(1.0)
    }
}

impl AdditiveReward {
    /// 1 for a right answer and -1 for a wrong one, plus [`Overlong`].
    ///
    /// # Errors
    ///
    /// As [`Overlong::try_new`].
    ///
    /// # Source
    ///
    /// DAPO (arXiv 2503.14476), section 2.4, eq. 7 and section 3.4.
    pub fn dapo(max_tokens: usize, buffer_tokens: usize) -> Result<Self, CoreError> {
        Self::try_new(1.0, -1.0)?.with_term(1.0, Overlong::try_new(max_tokens, buffer_tokens)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{Case, evaluate};
    use super::*;

    #[test]
    fn the_charge_grows_over_the_buffer_and_stops_at_the_limit() {
        let reward = AdditiveReward::dapo(100, 20).unwrap();
        let main = |case: Case| evaluate(&reward, &case).unwrap().main;
        // Free up to 80; 85 is a quarter of the way, 100 all of it.
        let wanted = [(1, 1.0), (80, 1.0), (85, 0.75), (100, 0.0), (500, 0.0)];
        for (n_tokens, want) in wanted {
            assert!((main(Case::right(40, n_tokens)) - want).abs() < 1e-9);
            assert!((main(Case::wrong(40, n_tokens)) - (want - 2.0)).abs() < 1e-9);
        }
        assert!(AdditiveReward::dapo(100, 0).is_err());
        assert!(AdditiveReward::dapo(100, 101).is_err());
    }

    proptest! {
        #[test]
        fn right_is_never_below_wrong_and_length_never_pays(
            short in 1usize..200, more in 0usize..200, max in 1usize..150, share in 0.0f64..1.0,
        ) {
            let buffer = ((max as f64 * share) as usize).max(1);
            let reward = AdditiveReward::dapo(max, buffer).unwrap();
            let main = |case: Case| evaluate(&reward, &case).unwrap().main;
            prop_assert!(main(Case::right(40, short + more)) >= main(Case::wrong(40, short)));
            prop_assert!(main(Case::right(40, short)) >= main(Case::right(40, short + more)));
            prop_assert!(main(Case::wrong(40, short)) >= main(Case::wrong(40, short + more)));
        }
    }
}
