//! `extracot score`: log-probabilities of given texts.

use anyhow::{Context, Result, bail};
use clap::Args;
use extracot_core::Tokenizer;
use extracot_models::score::score_tokens;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::{LoadedModel, WeightDtype};
use super::{RowArguments, rows};
use crate::progress::Progress;

/// Most likely next tokens that a row lists.
const N_TOP: usize = 5;

/// Scores texts by teacher forcing.
///
/// Reads {"id", "input_ids"} or {"id", "text"}. Writes {"id", "token_logprobs", "last_top"}: the
/// log-probability of every token but the first, in nats, and the five most likely next tokens with
/// their logits.
#[derive(Debug, Args)]
pub struct Score {
    #[command(flatten)]
    rows: RowArguments,
    /// Dtype of weights and computation
    #[arg(long, value_enum, default_value_t)]
    dtype: WeightDtype,
}

#[derive(Debug, Deserialize)]
struct Row {
    id: Value,
    input_ids: Option<Vec<u32>>,
    text: Option<String>,
}

#[derive(Debug, Serialize)]
struct Scored<'a> {
    id: &'a Value,
    token_logprobs: Vec<f32>,
    last_top: Vec<(u32, f32)>,
}

/// Runs the command.
///
/// # Errors
///
/// If the model or an input row cannot be used, by file and line, or the output cannot be written.
pub fn run(arguments: &Score) -> Result<()> {
    let common = &arguments.rows;
    let device = common.device()?;
    let input: Vec<(usize, Row)> = rows::read(&common.input)?;
    let model = LoadedModel::load(&common.model, None, arguments.dtype, &device)?;
    let progress = Progress::new("score", input.len(), "rows", common.quiet);
    let mut scored = Vec::with_capacity(input.len());
    for (line, row) in &input {
        let score = || {
            let token_ids = match (&row.input_ids, &row.text) {
                (Some(ids), None) => ids.clone(),
                (None, Some(text)) => model.tokenizer()?.encode(text),
                _ => bail!("a row needs one of `input_ids` and `text`"),
            };
            model.check_vocabulary(&token_ids)?;
            let id = row.id.to_string();
            Ok(score_tokens(
                &model.decoder,
                &id,
                &token_ids,
                N_TOP,
                &device,
            )?)
        };
        let found = score().with_context(|| format!("{}:{line}", common.input.display()))?;
        scored.push(Scored {
            id: &row.id,
            token_logprobs: found.token_logprobs,
            last_top: found.last_top,
        });
        progress.advance(1, "");
    }
    rows::write(&common.out, &scored)
}
