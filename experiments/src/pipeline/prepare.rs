//! Stages 1 and 2 and the teacher budgets, one after the other: what every arm starts from.

use anyhow::Result;

use super::{
    Pipeline, base_model, collect_traces, compress_traces, fill_quotas, fixed_sft, measure_budgets,
    mixed_sft, train_compressor_stage,
};
use crate::run::StageFolder;

/// The stages that every arm starts from.
#[derive(Debug)]
pub struct Prepared {
    /// The base model.
    pub base: StageFolder,
    /// The base model's correct chains of thought.
    pub traces: StageFolder,
    /// The compressor.
    pub compressor: StageFolder,
    /// The chains of thought at every level.
    pub compressed: StageFolder,
    /// The model fine-tuned on the fixed levels.
    pub fixed: StageFolder,
    /// Teacher budgets of training problems, for the policy queue.
    pub warmup: StageFolder,
    /// The model fine-tuned on both queues: arms go on from it.
    pub sft: StageFolder,
    /// Teacher budgets of the problems of reinforcement learning.
    pub budgets: StageFolder,
    /// Those of them that it learns on.
    pub reinforce: StageFolder,
}

impl Prepared {
    /// Every stage that counted its rows by reason, in order.
    pub fn counted(&self) -> Vec<&StageFolder> {
        vec![
            &self.base,
            &self.traces,
            &self.compressor,
            &self.compressed,
            &self.fixed,
            &self.warmup,
            &self.sft,
            &self.budgets,
            &self.reinforce,
        ]
    }

    /// Every stage that trained a model, in order.
    pub fn trained(&self) -> Vec<&StageFolder> {
        vec![&self.base, &self.compressor, &self.fixed, &self.sft]
    }
}

/// Runs the stages before the arms.
///
/// # Errors
///
/// What the stages fail with.
pub fn prepare(pipeline: &mut Pipeline) -> Result<Prepared> {
    let base = base_model(pipeline)?;
    let pipeline = &*pipeline;
    let problems = &pipeline.problems;

    // Stage 1: the base model's own correct traces, compressed.
    let traces = collect_traces(pipeline, &base)?;
    let compressor = train_compressor_stage(pipeline, &base, &traces)?;
    let compressed = compress_traces(pipeline, &base, &traces, &compressor)?;

    // Stage 2: the fixed levels, then the policy queue at measured difficulty.
    let fixed = fixed_sft(pipeline, &base, &traces, &compressed)?;
    let n_warmup = pipeline.config.problems.n_warmup.min(problems.train.len());
    let warmup = &problems.train[..n_warmup];
    let warmup = measure_budgets(pipeline, "budgets_warmup", &fixed, &base, warmup)?;
    let sft = mixed_sft(pipeline, &fixed, &traces, &compressed, &warmup)?;

    // Stage 3 begins: what the fine-tuned model needs for each problem.
    let budgets = measure_budgets(pipeline, "budgets", &sft, &base, &problems.reinforce)?;
    let reinforce = fill_quotas(pipeline, &budgets)?;
    Ok(Prepared {
        base,
        traces,
        compressor,
        compressed,
        fixed,
        warmup,
        sft,
        budgets,
        reinforce,
    })
}
