//! The two rewards: gates with shaped terms, and plain correctness.

use super::{
    ControlHeadReward, Reward, RewardBreakdown, RewardContext, RewardTerm, Stratum, TermScore,
    WeightedTerm,
};
use crate::{CoreError, Verdict};

/// The weight of correctness in [`HierarchicalReward`] spans the strata: the shaped part is held
/// inside this share of it on either side, so neighboring strata touch and never cross.
const HALF_STRATUM: f64 = 0.5;

/// Gates first, shaped terms inside the reached stratum:
///
/// ```text
/// malformed:  -w_acc
/// wrong:      clamp(sum_k w_k term_k, -w_acc/2, w_acc/2)
/// right:      w_acc + clamp(sum_k w_k term_k, -w_acc/2, w_acc/2)
/// ```
///
/// A rollout of a lower stratum never outscores one of a higher stratum.
///
/// # Source
///
/// Extra-CoT names the hierarchy; the clamp is inferred (`docs/decisions/0002`).
pub struct HierarchicalReward {
    w_acc: f64,
    terms: Vec<WeightedTerm>,
    control: Option<ControlHeadReward>,
}

impl std::fmt::Debug for HierarchicalReward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HierarchicalReward")
            .field("w_acc", &self.w_acc)
            .field("terms", &self.terms)
            .field("control", &self.control)
            .finish()
    }
}

impl HierarchicalReward {
    /// A reward of correctness alone, with the gates; add terms with [`Self::with_term`].
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if `w_acc` is not a positive number.
    pub fn try_new(w_acc: f64) -> Result<Self, CoreError> {
        if w_acc > 0.0 && w_acc.is_finite() {
            Ok(Self {
                w_acc,
                terms: Vec::new(),
                control: None,
            })
        } else {
            let found = w_acc.to_string();
            Err(CoreError::Setting {
                key: "reward.w_acc",
                found,
                allowed: "a positive number",
            })
        }
    }

    /// Adds a shaped term.
    ///
    /// # Errors
    ///
    /// [`CoreError::Setting`] if `weight` is negative or not finite.
    pub fn with_term(
        mut self,
        weight: f64,
        term: impl RewardTerm + 'static,
    ) -> Result<Self, CoreError> {
        self.terms.push(WeightedTerm::try_new(weight, term)?);
        Ok(self)
    }

    /// Adds the reward of the control token.
    #[must_use]
    pub fn with_control(mut self, control: ControlHeadReward) -> Self {
        self.control = Some(control);
        self
    }
}

impl Reward for HierarchicalReward {
    fn evaluate(&self, context: &RewardContext<'_>) -> Option<RewardBreakdown> {
        if matches!(context.verdict, Verdict::Undecided(_)) {
            return None;
        }
        let stratum = context.stratum();
        let acc = f64::from(u8::from(stratum == Stratum::Right));
        let mut terms = vec![TermScore {
            name: "acc".to_owned(),
            raw: acc,
            weighted: self.w_acc * acc,
        }];
        terms.extend(self.terms.iter().map(|term| match stratum {
            // A malformed rollout is judged by its gate alone.
            Stratum::Malformed => term.scored(0.0),
            Stratum::Wrong | Stratum::Right => term.score(context),
        }));
        let shaped: f64 = terms[1..].iter().map(|term| term.weighted).sum();
        let half = HALF_STRATUM * self.w_acc;
        let main = match stratum {
            Stratum::Malformed => -self.w_acc,
            Stratum::Wrong => shaped.clamp(-half, half),
            Stratum::Right => self.w_acc + shaped.clamp(-half, half),
        };
        let control = self.control.map_or(0.0, |control| control.score(context));
        Some(RewardBreakdown {
            stratum,
            terms,
            main,
            control,
        })
    }
}

/// 1 for a right answer, else 0: the reward of plain GRPO.
#[derive(Debug, Clone, Copy, Default)]
pub struct AccuracyReward;

impl Reward for AccuracyReward {
    fn evaluate(&self, context: &RewardContext<'_>) -> Option<RewardBreakdown> {
        if matches!(context.verdict, Verdict::Undecided(_)) {
            return None;
        }
        let acc = f64::from(u8::from(context.verdict.is_correct()));
        Some(RewardBreakdown {
            stratum: context.stratum(),
            terms: vec![TermScore {
                name: "acc".to_owned(),
                raw: acc,
                weighted: acc,
            }],
            main: acc,
            control: 0.0,
        })
    }
}

#[cfg(test)]
mod tests;
