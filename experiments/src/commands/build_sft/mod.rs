//! `extracot build-sft`: traces to training examples; see docs/train_data.md.

mod report;
mod sources;
mod texts;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use extracot_core::budget::LevelQuotas;
use extracot_core::jsonl::write_jsonl;
use extracot_core::sft::formats::{LlamaFactoryFormat, read_llama_factory, write_llama_factory};
use extracot_core::sft::{QueueSettings, SftBuilder, SftExample, SftText, Tally, build_queues};
use extracot_core::{CoreError, KeepLevel};
use extracot_models::{DecoderConfig, HfTokenizer};

use super::compressor::SelectionArguments;
use super::model::chat_template;
use super::scorer::ScorerName;
use report::Report;

/// Makes training examples for supervised fine-tuning from chains of thought.
///
/// Reads traces {"id", "question", "think", "visible", "answer"}, and "options" of a multiple-choice
/// question: think is the think text, visible the answer behind it, which stays as it is, answer the gold
/// answer. Traces with a wrong answer are dropped, and texts that are no use (see docs/compress.md).
///
/// The fixed queue has every trace at every level; with --budgets the policy queue has every trace at the
/// teacher budget of its problem, as the level that the model chooses. Every example fits --max-tokens:
/// nothing is cut.
///
/// Writes DIR/NAME.jsonl and DIR/NAME.report.json, which says what was dropped and why; for
/// LLaMA-Factory also DIR/dataset_info.json.
#[derive(Debug, Args)]
pub struct BuildSft {
    /// Traces as JSON lines; - is standard input
    #[arg(long = "in", value_name = "FILE", required_unless_present = "from")]
    input: Option<PathBuf>,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name of the files and, for LLaMA-Factory, of the data set
    #[arg(long, default_value = "sft")]
    name: String,
    /// Form of the examples
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Folder of the model to train: its tokenizer counts and tokenizes, its chat template renders
    #[arg(long, value_name = "DIR")]
    tokenizer: PathBuf,
    /// What scores the atoms, as in `extracot compress`: a folder with a token classifier, llmlingua2:DIR,
    /// surprisal:DIR, heuristic, position, position-last or random
    #[arg(long, value_name = "SCORER")]
    scorer: Option<ScorerName>,
    /// Compressed texts instead of a scorer: what `extracot compress` wrote for these traces
    #[arg(long, value_name = "FILE", conflicts_with = "scorer")]
    compressed: Option<PathBuf>,
    /// Teacher budgets {"id", "budget"}, as `extracot budgets` writes them: gives the policy queue
    #[arg(long, value_name = "FILE")]
    budgets: Option<PathBuf>,
    /// Levels of the examples; 100 is the whole think text
    #[arg(long, value_delimiter = ',', value_parser = parse_level, default_value = "20,40,60,80,100")]
    levels: Vec<KeepLevel>,
    /// Only problems that have a text at every level
    #[arg(long)]
    same_problems: bool,
    /// The most examples of a level in the fixed queue: a number, or as in 20=500,100=200
    #[arg(long, value_name = "QUOTA")]
    quota: Option<LevelQuotas>,
    /// The most examples of a level in the policy queue, in the same form
    #[arg(long, value_name = "QUOTA", requires = "budgets")]
    policy_quota: Option<LevelQuotas>,
    /// Drop examples of more tokens, prompt and completion together; the positions of the model by
    /// default, if the folder of the tokenizer has a config.json
    #[arg(long, value_name = "N")]
    max_tokens: Option<usize>,
    /// System turn
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Examples in a format of LLaMA-Factory instead of traces: reads them back, to write them anew
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["input", "scorer", "compressed", "budgets", "same_problems", "quota"]
    )]
    from: Option<PathBuf>,
    #[command(flatten)]
    selection: SelectionArguments,
    /// flex (CPU), vulkan, wgpu or cuda; :N for a GPU of that number, :cpu for a software device
    #[arg(long, default_value = "flex")]
    device: String,
    /// Threads, all cores by default; no result depends on their number
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Print no progress and no summary
    #[arg(long)]
    quiet: bool,
}

/// The values of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// Token ids of prompt and completion, with problem, control token and level
    #[default]
    Extracot,
    /// alpaca of LLaMA-Factory: instruction, input, output
    #[value(alias = "alpaca")]
    Llamafactory,
    /// sharegpt of LLaMA-Factory: conversations
    Sharegpt,
}

fn parse_level(text: &str) -> Result<KeepLevel, String> {
    let percent = text.trim().parse();
    let percent = percent.map_err(|_| "a level is one of 20, 40, 60, 80, 100")?;
    KeepLevel::try_new(percent).map_err(|error| error.to_string())
}

/// Runs the command.
///
/// # Errors
///
/// If an argument, a file or a row cannot be used, by file and line, and if no example is left.
pub fn run(arguments: &BuildSft) -> Result<()> {
    crate::device::set_threads(arguments.threads)?;
    let folder = &arguments.tokenizer;
    let mut tokenizer = HfTokenizer::load(folder)?;
    // The ids that the model to train will have for them, too.
    let n_added = tokenizer.add_control_tokens()?.len();
    let chat = chat_template(folder, Some(&tokenizer), arguments.system.clone())?;
    let chat = chat.with_context(|| {
        format!(
            "{} has no chat template; put its chat_template.jinja there",
            folder.display()
        )
    })?;
    let builder = SftBuilder {
        chat: &chat,
        tokenizer: &tokenizer,
    };
    let max_tokens = match arguments.max_tokens {
        Some(n) => Some(n),
        None if folder.join("config.json").is_file() => {
            Some(DecoderConfig::load(folder)?.max_position_embeddings)
        }
        None => None,
    };
    let n_tokens = |text: &SftText| -> Result<usize, CoreError> {
        let example = builder.of_text(text)?;
        Ok(example.prompt_ids.len() + example.completion_ids.len())
    };
    let mut fits = |text: &SftText| match max_tokens {
        Some(max_tokens) => Ok(n_tokens(text)? <= max_tokens),
        None => Ok(true),
    };
    let mut report = Report::default();
    let texts = match &arguments.from {
        Some(path) => read_back(path, &mut fits, &mut report)?,
        None => from_traces(arguments, &builder, &tokenizer, &mut fits, &mut report)?,
    };
    report.max_tokens = max_tokens;
    report.tokens_added = n_added;
    for text in &texts {
        report.add(n_tokens(text)?);
    }
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot create {}", arguments.out.display()))?;
    // Before the examples, so that it is there if none is.
    report.write(
        &arguments
            .out
            .join(format!("{}.report.json", arguments.name)),
    )?;
    if !arguments.quiet {
        eprint!("{report}");
    }
    if texts.is_empty() {
        bail!(
            "no example is left; the report beside {} says why",
            arguments.out.display()
        );
    }
    write(arguments, &builder, &texts)
}

fn write(arguments: &BuildSft, builder: &SftBuilder<'_>, texts: &[SftText]) -> Result<()> {
    let (folder, name) = (&arguments.out, &arguments.name);
    let format = match arguments.format {
        Format::Extracot => {
            let examples = texts.iter().map(|text| builder.of_text(text));
            let examples = examples.collect::<Result<Vec<SftExample>, _>>()?;
            return Ok(write_jsonl(
                &folder.join(format!("{name}.jsonl")),
                &examples,
            )?);
        }
        Format::Llamafactory => LlamaFactoryFormat::Alpaca,
        Format::Sharegpt => LlamaFactoryFormat::ShareGpt,
    };
    write_llama_factory(folder, name, format, arguments.system.as_deref(), texts)?;
    Ok(())
}

type Fits<'a> = dyn FnMut(&SftText) -> Result<bool, CoreError> + 'a;

fn read_back(path: &Path, fits: &mut Fits<'_>, report: &mut Report) -> Result<Vec<SftText>> {
    let mut tally = Tally::default();
    let mut texts = Vec::new();
    for text in read_llama_factory(path)? {
        let outcome = if fits(&text)? {
            Ok(())
        } else {
            Err("too_long")
        };
        tally.count(outcome);
        texts.extend(outcome.ok().map(|()| text));
    }
    report.read_back = Some(tally);
    Ok(texts)
}

fn from_traces(
    arguments: &BuildSft,
    builder: &SftBuilder<'_>,
    tokenizer: &HfTokenizer,
    fits: &mut Fits<'_>,
    report: &mut Report,
) -> Result<Vec<SftText>> {
    let input = arguments.input.as_deref().context("--in is missing")?;
    let (traces, tally) = sources::read_traces(input, tokenizer, builder.chat.turn_close())?;
    report.traces = Some(tally);
    let mut levels = arguments.levels.clone();
    levels.sort_unstable();
    levels.dedup();
    let items = match &arguments.compressed {
        Some(path) => {
            let (items, tally) = texts::read(path, traces)?;
            report.compressed = Some(tally);
            items
        }
        None => texts::make(arguments, &levels, tokenizer, traces)?,
    };
    let budgets = match &arguments.budgets {
        Some(path) => Some(sources::read_budgets(path)?),
        None => None,
    };
    let settings = QueueSettings {
        levels,
        same_problems: arguments.same_problems,
        fixed_quotas: arguments.quota.clone().unwrap_or_default(),
        policy_quotas: arguments.policy_quota.clone().unwrap_or_default(),
    };
    let (texts, counts) = build_queues(&items, budgets.as_ref(), &settings, fits)?;
    report.queues = Some(counts);
    let ids: BTreeSet<&str> = items
        .iter()
        .map(|item| item.trace.problem.id.as_str())
        .collect();
    report.budgets_without_trace = budgets.map(|budgets| {
        budgets
            .keys()
            .filter(|id| !ids.contains(id.as_str()))
            .count()
    });
    Ok(texts)
}
