//! The loss of DAPO: GRPO with a wider upper bound and no divergence term.

use super::Grpo;
use crate::loss::ClipRange;

impl Grpo {
    /// Clip-higher: weights between 0.8 and 1.28, mean over all action tokens, no reference policy.
    ///
    /// The other parts of DAPO are
    /// [`AdditiveReward::dapo`](extracot_core::reward::AdditiveReward::dapo), group-normalized
    /// advantages and [`PolicyConfig::extra_rounds`](crate::policy_trainer::PolicyConfig::extra_rounds).
    ///
    /// # Source
    ///
    /// DAPO (arXiv 2503.14476), eq. 8; bounds: section 4.1; no divergence: section 2.3; token mean:
    /// section 3.3.
    pub const DAPO: Self = Self {
        clip: ClipRange::DAPO,
        beta: 0.0,
    };
}
