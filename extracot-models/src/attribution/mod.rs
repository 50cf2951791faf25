//! Keep labels from a language model alone: an atom matters as much as the gold answer becomes less
//! likely without it.

mod shared_prefix;
#[cfg(test)]
mod tests;
mod texts;

use burn::tensor::Device;
use extracot_core::{
    Annotator, AtomizedCot, ChatTemplate, CoreError, KeepLabels, KeepRatio, KeepScores, Problem,
    Tokenizer,
};

use crate::think_prompt::before_think;
use crate::{CausalLm, ModelError};

use shared_prefix::tail_logprobs;
use texts::AnswerTexts;

const NAME: &str = "attribution annotator";

/// The words in front of the boxed answer, for models whose own are not known.
pub const ANSWER_LEAD: &str = "The final answer is ";

/// [`AttributionRule::keep_share`] where nothing speaks for another.
///
/// # Source
///
/// Our own choice: with 20 solutions of GSM8K and SmolLM2-135M, what is labeled makes the gold answer
/// about as likely for every share from 0.1 to 0.5 (-0.7 to -0.8 nats; the whole text -1.2, the same
/// share at random -4.2). 0.3 is in the middle.
pub const KEEP_SHARE: f64 = 0.3;

/// [`AttributionRule::min_drop`] where nothing speaks for another: an atom without which the answer
/// is more likely is not labeled.
pub const MIN_DROP: f32 = 0.0;

/// Labels the atoms whose absence makes the gold answer less likely.
///
/// ```text
/// drop of an atom = log p(gold answer | question, think text)
///                 - log p(gold answer | question, think text without the atom)      in nats
/// ```
///
/// The answer is scored in the text
///
/// ```text
/// PROMPT<think>
/// THINK TEXT
/// </think>
/// The final answer is \boxed{GOLD}
/// ```
///
/// where `PROMPT` is the chat template's, else instruction and question, a line each, and only the
/// tokens that hold a byte of `GOLD` count. What is left of a think text is rendered as a compressed
/// one is ([`extracot_core::compress::render()`]). Each text is tokenized as a whole.
///
/// A think text beyond the model's positions goes into windows at sentence ends
/// ([`extracot_core::atom::windows`]), each between question and answer as if it were the whole: every
/// atom gets a drop, but one that only counts together with another window is not seen. What stands
/// twice in a text hides itself: either alone can go.
///
/// # Cost
///
/// One row per atom. Rows share what is in front of their atom, so a text costs about half of its
/// tokens times its atoms: quadratic in its length.
///
/// # Source
///
/// Our own: labels without a labeling model and without worked solutions. Measuring a part by what its
/// absence does is erasure, Li et al. 2016 (arXiv 1612.08220).
pub struct AttributionAnnotator<'a, M> {
    /// The language model, without autodiff.
    pub model: &'a M,
    /// The model's device, without autodiff.
    pub device: &'a Device,
    /// The model's tokenizer.
    pub tokenizer: &'a dyn Tokenizer,
    /// The model's chat template, if it has one.
    pub chat: Option<&'a ChatTemplate>,
    /// The words in front of the boxed answer, best those the model was trained on:
    /// [`ANSWER_LEAD`] if they are not known.
    pub answer_lead: &'a str,
    /// Which atoms are labeled.
    pub rule: AttributionRule,
    /// Tokens computed together, padding included; one row at least. No result depends on it.
    pub batch_tokens: usize,
}

impl<M> std::fmt::Debug for AttributionAnnotator<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AttributionAnnotator")
            .field("chat", &self.chat)
            .field("answer_lead", &self.answer_lead)
            .field("rule", &self.rule)
            .field("batch_tokens", &self.batch_tokens)
            .finish_non_exhaustive()
    }
}

/// From drops to labels: the atoms with the largest drops, whole, until either limit.
///
/// The atom that reaches `keep_share` is still labeled, so the labels exceed the share by less than
/// one atom and the largest drop is always among them if it is not below `min_drop`: labels are what
/// matters, not a text that has to fit a budget, and what matters most is often one long formula. A
/// smaller share labels a subset of what a larger one does. Ties go to the earlier atom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttributionRule {
    /// No atom is added once those labeled keep have this share of the think text's tokens;
    /// see [`KEEP_SHARE`].
    pub keep_share: KeepRatio,
    /// The least drop of an atom that is labeled keep, in nats, such as [`MIN_DROP`].
    pub min_drop: f32,
}

impl AttributionRule {
    /// The labels of atoms with these drops and costs.
    ///
    /// # Panics
    ///
    /// If the number of costs is not the number of drops.
    pub fn labels(&self, drops: &KeepScores, costs: &[usize]) -> KeepLabels {
        assert_eq!(costs.len(), drops.len(), "one cost per drop");
        let drops = drops.as_slice();
        let mut order: Vec<usize> = (0..drops.len()).collect();
        // Stable; -0.0 and 0.0 are equal as drops.
        order.sort_by(|a, b| (drops[*b] + 0.0).total_cmp(&(drops[*a] + 0.0)));
        let wanted = self.keep_share.value() * costs.iter().sum::<usize>() as f64;
        let mut is_kept = vec![false; drops.len()];
        let mut cost = 0;
        for atom_idx in order {
            if drops[atom_idx] < self.min_drop || cost as f64 >= wanted {
                break;
            }
            is_kept[atom_idx] = true;
            cost += costs[atom_idx];
        }
        KeepLabels::new(is_kept)
    }
}

/// What leaving out each atom of a think text does to its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribution {
    /// By how many nats the gold answer becomes less likely, one per atom; below 0 it becomes more
    /// likely.
    pub drops: KeepScores,
    /// Tokens of each atom, its leading white space included.
    pub costs: Vec<usize>,
    /// Log-probability of the gold answer behind each window; there is one unless the text is longer
    /// than the model's positions.
    pub window_logprobs: Vec<f64>,
    /// Calls of the model.
    pub n_calls: usize,
    /// Tokens that went through it, padding included.
    pub n_tokens: usize,
}

impl<M: CausalLm> AttributionAnnotator<'_, M> {
    /// Measures the drop of every atom.
    ///
    /// # Errors
    ///
    /// - [`CoreError::NothingToAnnotate`] if the gold answer is empty;
    /// - [`CoreError::Template`] if the chat template fails;
    /// - [`CoreError::NoRoom`] if an atom does not fit into the model's positions beside question and
    ///   answer;
    /// - [`ModelError::EmptyPrompt`], [`ModelError::Tokenizer`], [`ModelError::TokenId`] if the
    ///   tokenizer is not the model's;
    /// - [`ModelError::Device`] and [`ModelError::NonFiniteLogits`] if the model computes no numbers.
    pub fn attribute(
        &self,
        problem: &Problem,
        cot: &AtomizedCot,
    ) -> Result<Attribution, ModelError> {
        let answer = problem.answer.trim();
        if answer.is_empty() {
            let nothing = CoreError::NothingToAnnotate {
                problem_id: problem.id.clone(),
                wanted: "gold answer",
            };
            return Err(nothing.into());
        }
        let texts = AnswerTexts {
            problem_id: &problem.id,
            before: before_think(self.chat, &problem.question)?,
            answer_lead: self.answer_lead,
            answer,
            tokenizer: self.tokenizer,
            max_positions: self.model.max_positions(),
        };
        let costs: Vec<usize> = (0..cot.n_atoms())
            .map(|atom_idx| self.tokenizer.n_tokens(cot.atom_text(atom_idx)))
            .collect();
        let mut drops = Vec::with_capacity(cot.n_atoms());
        let mut window_logprobs = Vec::new();
        let (mut n_calls, mut n_tokens) = (0, 0);
        for rows in texts.rows(cot, &costs)? {
            let place = (self.model, self.device);
            let scores = tail_logprobs(place, &problem.id, &rows, self.batch_tokens)?;
            let Some((whole, without)) = scores.logprobs.split_first() else {
                continue;
            };
            drops.extend(without.iter().map(|logprob| (whole - logprob) as f32));
            window_logprobs.push(*whole);
            n_calls += scores.n_calls;
            n_tokens += scores.n_tokens;
        }
        Ok(Attribution {
            drops: KeepScores::try_new(drops, cot.n_atoms())?,
            costs,
            window_logprobs,
            n_calls,
            n_tokens,
        })
    }
}

impl<M: CausalLm> Annotator for AttributionAnnotator<'_, M> {
    /// Labels the atoms of one think text of `problem`.
    ///
    /// # Errors
    ///
    /// As [`AttributionAnnotator::attribute`]; what is not of the core comes as
    /// [`CoreError::Scorer`].
    fn annotate(&self, problem: &Problem, cot: &AtomizedCot) -> Result<KeepLabels, CoreError> {
        let found = self
            .attribute(problem, cot)
            .map_err(|error| error.of_scorer(NAME))?;
        Ok(self.rule.labels(&found.drops, &found.costs))
    }

    fn name(&self) -> &'static str {
        "attribution"
    }
}
