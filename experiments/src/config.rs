//! Settings of the ablation: presets in TOML, `--set` on top, every key checked.

use anyhow::{Context, Result, anyhow, bail};
use extracot_core::KeepLevel;
use extracot_core::budget::BudgetRule;
use extracot_core::digest::sha256;
use extracot_core::reward::ModeConstants;
use extracot_core::sft::{MixedRatio, Stage, StageKeys, StagedMixture};
use extracot_models::DecoderSize;
use extracot_train::loss::ClipRange;
use extracot_train::policy_trainer::PolicyConfig;
use extracot_train::update::Updater;
use extracot_train::{CompressorConfig, SftConfig};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Presets of `chrpo_ablation`, by name.
pub const PRESETS: [(&str, &str); 2] = [
    (
        "default",
        include_str!("../configs/chrpo_ablation/default.toml"),
    ),
    (
        "smoke",
        include_str!("../configs/chrpo_ablation/smoke.toml"),
    ),
];

/// All settings of `chrpo_ablation`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AblationConfig {
    /// Numbers of problems.
    pub problems: ProblemsConfig,
    /// The base model.
    pub base: BaseConfig,
    /// Decoding.
    pub decode: DecodeConfig,
    /// Stage 1.
    pub compressor: CompressorStageConfig,
    /// Stage 2.
    pub sft: SftStageConfig,
    /// Teacher budgets.
    pub budgets: BudgetsConfig,
    /// Rewards of stage 3.
    pub reward: RewardConfig,
    /// Stage 3.
    pub chrpo: ChrpoConfig,
}

/// Numbers of problems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemsConfig {
    /// Problems whose traces are compressed.
    pub n_train: usize,
    /// Training problems whose difficulty is measured for the policy queue.
    pub n_warmup: usize,
    /// Problems whose teacher budgets are measured for reinforcement learning.
    pub n_reinforce: usize,
    /// The most of them with the same teacher budget that reinforcement learning takes.
    pub reinforce_quota: usize,
    /// Problems of the table.
    pub n_evaluate: usize,
    /// Where the problems of the table come from.
    pub evaluate_on: EvaluationSplit,
}

/// The split that the table speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationSplit {
    /// For choosing settings.
    Develop,
    /// For reporting. Whoever chooses settings by it has no test left.
    Test,
}

impl EvaluationSplit {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Develop => "develop",
            Self::Test => "test",
        }
    }
}

/// Where the base model comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseSource {
    /// The checkpoint that is part of the source tree (`build_base` rebuilds it).
    Shipped,
    /// Trained in the run.
    Trained,
}

/// The base model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseConfig {
    /// Where it comes from. A problem file needs `trained`.
    pub source: BaseSource,
    /// Entries of its tokenizer before the added tokens, at most.
    pub vocab_size: usize,
    /// Its sizes.
    pub decoder: DecoderSize,
    /// The first part of its training.
    pub first: BasePart,
    /// The second part, with a new optimizer; 0 steps for none.
    pub second: BasePart,
}

/// A part of the base model's training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasePart {
    /// Share of drills among the generator's examples, from stage to stage.
    pub drills: Vec<DrillStage>,
    /// Share of brief chains of thought among the other examples: the question asks for them.
    pub brief_share: f64,
    /// A story has as many steps as the largest of so many draws from 1 to 6: above 1, long ones
    /// are more frequent.
    pub longest_of: u32,
    /// The loop.
    pub sft: SftConfig,
}

/// Share of drills in a stage of training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillStage {
    /// Share of the steps after which it begins; the first begins at 0.
    pub from: f64,
    /// Share of drills, [0, 1].
    pub share: f64,
}

impl BasePart {
    /// The share of drills at a progress in [0, 1].
    pub fn drill_share(&self, progress: f64) -> f64 {
        let open = self
            .drills
            .iter()
            .rev()
            .find(|stage| stage.from <= progress);
        open.map_or(0.0, |stage| stage.share)
    }

    fn check(&self, key: &str) -> Result<()> {
        let starts: Vec<f64> = self.drills.iter().map(|stage| stage.from).collect();
        if starts.first() != Some(&0.0) || !starts.is_sorted_by(|a, b| a < b) {
            bail!("{key}.drills: `from` has to rise, beginning with 0; found {starts:?}");
        }
        if let Some(stage) = self.drills.iter().find(|s| !(0.0..=1.0).contains(&s.share)) {
            bail!(
                "{key}.drills: share = {} is not allowed: [0, 1]",
                stage.share
            );
        }
        if !(0.0..=1.0).contains(&self.brief_share) {
            bail!(
                "{key}.brief_share = {} is not allowed: [0, 1]",
                self.brief_share
            );
        }
        if self.longest_of == 0 {
            bail!("{key}.longest_of = 0 is not allowed: at least 1");
        }
        Ok(())
    }
}

/// Decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecodeConfig {
    /// Tokens after which a sample is cut.
    pub max_new_tokens: usize,
    /// Rows decoded together.
    pub batch_rows: usize,
}

/// Stage 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompressorStageConfig {
    /// Width of the classifier.
    pub hidden_size: usize,
    /// Inner width of its feed-forward.
    pub intermediate_size: usize,
    /// Its layers.
    pub n_layers: usize,
    /// Its heads.
    pub n_heads: usize,
    /// Its attention window.
    pub window: usize,
    /// Its training.
    pub train: CompressorConfig,
}

/// Stage 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftStageConfig {
    /// Stages of the curriculum over the fixed levels.
    pub stages: Vec<StageKeys>,
    /// Fine-tuning on the fixed levels.
    pub fixed: SftConfig,
    /// Share of policy examples in the second part.
    pub policy_share: f64,
    /// Share of policy examples whose level is drawn evenly instead of measured: a level that the
    /// warm-up never shows is never found by reinforcement learning.
    pub explore: f64,
    /// Fine-tuning on both queues.
    pub mixed: SftConfig,
}

impl SftStageConfig {
    /// The curriculum over the fixed levels.
    ///
    /// # Errors
    ///
    /// If a weight or a share is not allowed.
    pub fn curriculum(&self) -> Result<StagedMixture> {
        let stages = self.stages.iter().map(|keys| {
            let levels: Vec<_> = KeepLevel::ALL.into_iter().zip(keys.weights).collect();
            let mixture = MixedRatio::try_new(&levels, keys.policy_share)?;
            Ok(Stage {
                from: keys.from,
                mixture,
            })
        });
        Ok(StagedMixture::try_new(stages.collect::<Result<Vec<_>>>()?)?)
    }
}

/// Teacher budgets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetsConfig {
    /// Samples per level (K).
    pub n_samples: usize,
    /// Their temperature.
    pub temperature: f64,
    /// Which levels must pass.
    pub rule: BudgetRule,
}

/// Rewards of stage 3.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardConfig {
    /// Weight of correctness.
    pub w_acc: f64,
    /// Weight of calibration.
    pub w_cal: f64,
    /// Weight of the mode term.
    pub w_mode: f64,
    /// Weight of integrity.
    pub w_int: f64,
    /// Weight of the control-head reward.
    pub w_ctrl: f64,
    /// Reward of the control head per unit of ratio saved by a right answer.
    pub saving: f64,
    /// Tolerance of calibration.
    pub tau: f64,
    /// Constants of the mode term.
    pub mode: ModeConstants,
}

/// Stage 3.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChrpoConfig {
    /// Weight of the control-head loss.
    pub alpha: f64,
    /// Weight of the divergence from the fine-tuned model.
    pub beta: f64,
    /// Bounds of the importance weights.
    pub clip: ClipRange,
    /// The loop.
    pub policy: PolicyConfig,
}

impl AblationConfig {
    /// A preset with overrides (`key=value`, dotted keys).
    ///
    /// # Errors
    ///
    /// If the preset is unknown, a key is unknown (the nearest is named), or a value is not allowed.
    pub fn preset(name: &str, overrides: &[String]) -> Result<Self> {
        let known = PRESETS.map(|(name, _)| name);
        let Some((_, text)) = PRESETS.iter().find(|(preset, _)| *preset == name) else {
            bail!(
                "unknown preset `{name}`; known are {}{}",
                known.join(", "),
                nearest(name, &known)
            );
        };
        let config: Self = parse(text, overrides)
            .with_context(|| format!("preset `{name}`{}", with_overrides(overrides)))?;
        config.check()?;
        Ok(config)
    }

    /// Everything that can be told before the first stage runs. Constants of the method are checked
    /// where they are used: the parts are built once, and dropped.
    fn check(&self) -> Result<()> {
        let policy = &self.chrpo.policy;
        for (key, value, least) in [
            ("problems.n_train", self.problems.n_train, 1),
            ("problems.n_warmup", self.problems.n_warmup, 1),
            ("problems.n_reinforce", self.problems.n_reinforce, 1),
            ("problems.reinforce_quota", self.problems.reinforce_quota, 1),
            ("problems.n_evaluate", self.problems.n_evaluate, 1),
            ("budgets.n_samples", self.budgets.n_samples, 1),
            ("decode.max_new_tokens", self.decode.max_new_tokens, 1),
            ("decode.batch_rows", self.decode.batch_rows, 1),
            (
                "compressor.train.batch_size",
                self.compressor.train.batch_size,
                1,
            ),
            ("sft.fixed.batch_size", self.sft.fixed.batch_size, 1),
            ("sft.mixed.batch_size", self.sft.mixed.batch_size, 1),
            ("chrpo.policy.prompts_per_step", policy.prompts_per_step, 1),
            ("chrpo.policy.group_size", policy.group_size, 2),
            ("chrpo.policy.updates_per_step", policy.updates_per_step, 1),
            ("chrpo.policy.batch_rows", policy.batch_rows, 1),
            ("chrpo.policy.max_new_tokens", policy.max_new_tokens, 1),
        ] {
            if value < least {
                bail!("{key} = {value} is not allowed: at least {least}");
            }
        }
        // Five budgets, and none.
        let n_most = 6 * self.problems.reinforce_quota;
        if n_most < policy.prompts_per_step {
            bail!(
                "problems.reinforce_quota = {} leaves at most {n_most} problems, and a step takes \
                 chrpo.policy.prompts_per_step = {}",
                self.problems.reinforce_quota,
                policy.prompts_per_step
            );
        }
        for (key, value) in [
            ("budgets.temperature", self.budgets.temperature),
            ("chrpo.alpha", self.chrpo.alpha),
            ("chrpo.beta", self.chrpo.beta),
        ] {
            if !value.is_finite() || value < 0.0 {
                bail!("{key} = {value} is not allowed: at least 0");
            }
        }
        for (key, sft) in [
            ("base.first.sft.ema_decay", &self.base.first.sft),
            ("base.second.sft.ema_decay", &self.base.second.sft),
            ("sft.fixed.ema_decay", &self.sft.fixed),
            ("sft.mixed.ema_decay", &self.sft.mixed),
        ] {
            let value = sft.ema_decay;
            if !(0.0..1.0).contains(&value) {
                bail!("{key} = {value} is not allowed: at least 0 and below 1");
            }
        }
        let room = self.base.decoder.max_position_embeddings;
        for (key, value) in [
            ("decode.max_new_tokens", self.decode.max_new_tokens),
            ("chrpo.policy.max_new_tokens", policy.max_new_tokens),
        ] {
            if value >= room {
                bail!("{key} = {value} is not allowed: less than the model's {room} positions");
            }
        }
        if self.problems.n_warmup > self.problems.n_train {
            bail!("problems.n_warmup exceeds problems.n_train");
        }
        if !(0.0..=1.0).contains(&self.sft.explore) {
            bail!("sft.explore = {} is not allowed: [0, 1]", self.sft.explore);
        }
        for (key, n_steps, update) in [
            (
                "base.first.sft.update",
                self.base.first.sft.n_steps,
                &self.base.first.sft.update,
            ),
            (
                "base.second.sft.update",
                self.base.second.sft.n_steps,
                &self.base.second.sft.update,
            ),
            (
                "compressor.train.update",
                self.compressor.train.n_steps,
                &self.compressor.train.update,
            ),
            (
                "sft.fixed.update",
                self.sft.fixed.n_steps,
                &self.sft.fixed.update,
            ),
            (
                "sft.mixed.update",
                self.sft.mixed.n_steps,
                &self.sft.mixed.update,
            ),
            ("chrpo.policy.update", policy.n_steps, &policy.update),
        ] {
            Updater::try_new(update, n_steps).with_context(|| key.to_owned())?;
        }
        self.base.first.check("base.first")?;
        self.base.second.check("base.second")?;
        self.sft.curriculum().context("sft.stages")?;
        MixedRatio::even(self.sft.policy_share).context("sft.policy_share")?;
        crate::pipeline::full_chrpo(self)?;
        Ok(())
    }

    /// The resolved settings as TOML.
    ///
    /// # Errors
    ///
    /// If they cannot be serialized.
    pub fn to_toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }
}

fn with_overrides(overrides: &[String]) -> String {
    match overrides {
        [] => String::new(),
        _ => format!(" with --set {}", overrides.join(" --set ")),
    }
}

/// Parses TOML, applies overrides, and reports an unknown key with the nearest known one.
///
/// # Errors
///
/// If the text or an override does not parse or does not fit `T`.
pub fn parse<T: DeserializeOwned>(text: &str, overrides: &[String]) -> Result<T> {
    parse_over(text, "", overrides)
}

/// As [`parse`], with the keys of `over` in place of those of `text`: a file of settings over defaults.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_over<T: DeserializeOwned>(text: &str, over: &str, overrides: &[String]) -> Result<T> {
    let mut table: toml::Table = text.parse()?;
    replace(&mut table, over.parse()?);
    for setting in overrides {
        let (key, value) = setting
            .split_once('=')
            .ok_or_else(|| anyhow!("--set {setting}: expected key=value"))?;
        let value = format!("v = {value}")
            .parse::<toml::Table>()
            .ok()
            .and_then(|mut table| table.remove("v"))
            .unwrap_or_else(|| toml::Value::String(value.to_owned()));
        set(&mut table, key, value).with_context(|| format!("--set {setting}"))?;
    }
    T::deserialize(table).map_err(|error| anyhow!("{}", explain(&error.to_string())))
}

/// Puts every value of `over` in its place, section by section.
fn replace(table: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(over)) => replace(inner, over),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

fn set(table: &mut toml::Table, key: &str, value: toml::Value) -> Result<()> {
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut table = table;
    for part in parts {
        let known: Vec<String> = table.keys().cloned().collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        table = match table.get_mut(part) {
            Some(toml::Value::Table(inner)) => inner,
            _ => bail!(
                "unknown section `{part}` in `{key}`{}",
                nearest(part, &known)
            ),
        };
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

/// Adds the nearest key to serde's message about an unknown one.
fn explain(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((unknown, known)) if message.contains("unknown field") => {
            format!("{}{}", message.trim_end(), nearest(unknown, known))
        }
        _ => message.trim_end().to_owned(),
    }
}

fn nearest(word: &str, known: &[&str]) -> String {
    let best = known
        .iter()
        .min_by_key(|candidate| strsim::damerau_levenshtein(word, candidate));
    best.map_or_else(String::new, |best| format!("; did you mean `{best}`?"))
}

/// A short hash of anything serializable: names stages and configs.
///
/// # Errors
///
/// If the value cannot be serialized.
pub fn content_hash(value: &impl Serialize) -> Result<String> {
    Ok(sha256(&serde_json::to_vec(value)?)[..16].to_owned())
}

/// The levels that traces are compressed to.
pub fn compressed_levels() -> impl Iterator<Item = KeepLevel> {
    KeepLevel::ALL
        .into_iter()
        .filter(|level| *level != KeepLevel::FULL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(preset: &str, overrides: &[&str]) -> String {
        let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
        format!(
            "{:#}",
            AblationConfig::preset(preset, &overrides).unwrap_err()
        )
    }

    #[test]
    fn presets_parse_and_survive_a_round_trip() {
        for (name, _) in PRESETS {
            let config = AblationConfig::preset(name, &[]).unwrap();
            let again: AblationConfig = parse(&config.to_toml().unwrap(), &[]).unwrap();
            assert_eq!(config, again);
            assert_eq!(config.reward.mode, ModeConstants::default());
        }
    }

    #[test]
    fn wrong_keys_name_the_nearest() {
        let found = message("default", &["reward.w_cals=0.2"]);
        assert!(found.contains("did you mean `w_cal`"), "{found}");
        let found = message("default", &["rewards.w_cal=0.2"]);
        assert!(found.contains("did you mean `reward`"), "{found}");
        let found = message("smok", &[]);
        assert!(found.contains("did you mean `smoke`"), "{found}");
        assert!(message("smoke", &["w"]).contains("key=value"));
        assert!(message("smoke", &["problems.n_evaluate=0"]).contains("at least 1"));
        assert!(message("smoke", &["chrpo.clip=[2.0, 0.2]"]).contains("0 < low < 1"));
        assert!(message("smoke", &["chrpo.policy.group_size=1"]).contains("at least 2"));
        assert!(message("smoke", &["chrpo.beta=-0.1"]).contains("chrpo.beta = -0.1"));
        assert!(message("smoke", &["sft.stages=[]"]).contains("sft.stages"));
        assert!(message("smoke", &["base.first.drills=[]"]).contains("base.first.drills"));
        assert!(message("smoke", &["sft.fixed.update.clip_norm=0.0"]).contains("clip_norm"));
        let found = message("smoke", &["chrpo.policy.max_new_tokens=1024"]);
        assert!(found.contains("1024 positions"), "{found}");
    }

    #[test]
    fn a_file_takes_the_place_of_the_keys_it_has() {
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Inner {
            a: u32,
            b: u32,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Outer {
            first: u32,
            inner: Inner,
        }
        let defaults = "first = 1\n[inner]\na = 2\nb = 3\n";
        let read = |over: &str, overrides: &[&str]| {
            let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
            parse_over::<Outer>(defaults, over, &overrides)
        };
        let found = read("[inner]\nb = 4\n", &["inner.a=5"]).unwrap();
        let inner = Inner { a: 5, b: 4 };
        assert_eq!(found, Outer { first: 1, inner });
        let error = read("[inner]\nbb = 4\n", &[]).unwrap_err().to_string();
        assert!(error.contains("did you mean `b`"), "{error}");
    }

    #[test]
    fn an_override_reaches_its_key() {
        let config = AblationConfig::preset("smoke", &["reward.tau=0.25".to_owned()]).unwrap();
        assert_eq!(config.reward.tau, 0.25);
    }
}
