//! The three stages of Extra-CoT, one function each; every stage reads and writes plain files in
//! its folder, so that each intermediate can be read by eye and reused.

mod arms;
mod base;
mod baseline_arms;
mod budgets;
mod compressor;
mod compressor_arms;
mod compressor_table;
mod evaluation;
mod prepare;
mod sft;
mod table;
mod traces;

use anyhow::Result;
use burn::module::Module;
use burn::tensor::Device;
use extracot_core::verify::MathVerifier;
use extracot_core::{
    ChatTemplate, Prompt, ResponseParser, RolloutEngine, RolloutGroup, SamplingParams, Seed,
};
use extracot_models::checkpoint::save_json;
use extracot_models::{Decoder, LocalEngine, PolicyCheckpoint, StopRule};
use extracot_train::evaluate::TaskContext;

pub(crate) use arms::slug;
pub use arms::{
    Arm, LoggedRollout, TrainedArm, accuracy_only, arm_names, full_chrpo, named_arm, train_arm,
    without_control, without_mode_and_control,
};
pub(crate) use base::write_shipped_base;
pub use base::{BasePreset, TrainedBase, base_model, shipped_tokenizer, train_base};
pub use baseline_arms::{dapo, dr_grpo, l1_exact, thinkless};
pub(crate) use budgets::has_thought;
pub use budgets::{fill_quotas, measure_budgets};
pub use compressor::{CompressedTrace, compress_traces, train_compressor_stage};
pub use compressor_arms::{
    ArmCompressor, ArmText, Atoms, ClassifierRecipe, CompressorArm, compress_arm,
};
pub use compressor_table::compare_compressors;
pub use evaluation::{EvaluatedRow, Evaluations, evaluate_all, evaluate_levels, evaluate_model};
pub use prepare::{Prepared, prepare};
pub use sft::{fixed_sft, fixed_sft_by, level_sft, mixed_sft};
pub use table::{aims, higher_accuracy, summarize};
pub use traces::collect_traces;

use crate::config::AblationConfig;
use crate::problem_source::ProblemSets;
use crate::progress::Progress;
use crate::report::{render_html, render_table};
use crate::run::{Run, StageFolder, write_text};
use crate::summary::Summary;

/// What all stages of a run share.
#[derive(Debug)]
pub struct Pipeline {
    /// The run folder.
    pub run: Run,
    /// The settings.
    pub config: AblationConfig,
    /// The experiment's name.
    pub experiment: String,
    /// The preset's name.
    pub preset: String,
    /// The root of all random streams.
    pub seed: Seed,
    /// Where tensors live, without autodiff.
    pub device: Device,
    /// Batches decoded side by side; no result depends on it.
    pub n_workers: usize,
    /// Print no progress.
    pub quiet: bool,
    /// The problems.
    pub problems: ProblemSets,
}

/// A policy with what turns problems into prompts and completions into verdicts.
pub(crate) struct Policy {
    pub(crate) checkpoint: PolicyCheckpoint,
    chat: ChatTemplate,
    parser: ResponseParser,
}

impl Policy {
    pub(crate) fn new(checkpoint: PolicyCheckpoint) -> Result<Self> {
        let chat = ChatTemplate::default();
        let parser = ResponseParser::try_new(&checkpoint.tokenizer, chat.turn_close())?;
        Ok(Self {
            checkpoint,
            chat,
            parser,
        })
    }

    pub(crate) fn context(&self) -> TaskContext<'_> {
        TaskContext {
            tokenizer: &self.checkpoint.tokenizer,
            chat: &self.chat,
            parser: &self.parser,
            verifier: &MathVerifier,
        }
    }
}

impl Pipeline {
    /// Loads the model that a stage left.
    pub(crate) fn policy(&self, stage: &StageFolder) -> Result<Policy> {
        Policy::new(PolicyCheckpoint::load(&stage.model, &self.device)?)
    }

    pub(crate) fn progress(&self, stage: &str, n: usize, unit: &str) -> Progress {
        Progress::new(stage, n, unit, self.quiet)
    }

    /// The autodiff side of the device, and a trainable copy of a model on it.
    pub(crate) fn trainable(&self, model: &Decoder) -> (Device, Decoder) {
        let device = self.device.clone().autodiff();
        (device, model.clone().train())
    }

    pub(crate) fn sampling(&self, temperature: f64, group_size: usize) -> SamplingParams {
        SamplingParams::at(temperature, group_size, self.config.decode.max_new_tokens)
    }

    /// A local engine over `policy` that reports to `progress`.
    pub(crate) fn rollout(
        &self,
        policy: &Policy,
        prompts: &[Prompt],
        params: &SamplingParams,
        seed: Seed,
        progress: &Progress,
    ) -> Result<Vec<RolloutGroup>> {
        let report = |n_tokens, n_prompts| progress.advance_tokens(n_tokens, n_prompts);
        Ok(self
            .engine(policy, &report)
            .rollout(prompts, params, seed)?)
    }

    pub(crate) fn engine<'a>(
        &'a self,
        policy: &'a Policy,
        report: &'a (dyn Fn(usize, usize) + Sync),
    ) -> LocalEngine<'a, Decoder> {
        LocalEngine {
            model: &policy.checkpoint.model,
            device: &self.device,
            stop: StopRule::at(policy.parser.turn_close()),
            batch_rows: self.config.decode.batch_rows,
            n_workers: self.n_workers,
            progress: report,
        }
    }
}

impl Pipeline {
    /// Writes `summary.json`, `report.html`, the joined logs and, last, the manifest. Returns the
    /// table for the terminal.
    ///
    /// # Errors
    ///
    /// If a file cannot be written.
    pub fn finish(
        &self,
        summary: &Summary,
        prepared: &Prepared,
        arms: &[TrainedArm],
    ) -> Result<String> {
        let folder = self.run.folder();
        let mut stages = prepared.trained();
        stages.extend(arms.iter().map(|arm| &arm.stage));
        self.run.gather(&stages, "events.jsonl")?;
        self.run.gather(&stages, "rollouts.jsonl")?;
        save_json(summary, &folder.join("summary.json"))?;
        write_text(&folder.join("report.html"), &render_html(summary))?;
        self.run
            .finish(&summary.experiment, summary.config_hash.clone())?;
        Ok(format!(
            "{}\nreport: {}\n",
            render_table(summary),
            folder.join("report.html").display()
        ))
    }
}
