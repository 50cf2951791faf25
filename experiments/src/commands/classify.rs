//! `extracot classify`: keep and drop logits of given tokens.

use anyhow::{Context, Result, bail};
use clap::Args;
use extracot_models::{ClassifierBatch, ClassifierCheckpoint, ClassifierRow, TokenClassifier};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{RowArguments, rows};
use crate::progress::Progress;

/// Runs a token classifier: Longformer, RoBERTa or XLM-RoBERTa.
///
/// Reads {"id", "input_ids", "global_attention_mask"}; without a mask no token is global, and only a
/// Longformer looks at it. Writes {"id", "logits"}: for every token one logit per label.
#[derive(Debug, Args)]
pub struct Classify {
    #[command(flatten)]
    rows: RowArguments,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: Value,
    input_ids: Vec<u32>,
    global_attention_mask: Option<Vec<u8>>,
}

#[derive(Debug, Serialize)]
struct Classified<'a> {
    id: &'a Value,
    logits: Vec<[f32; 2]>,
}

/// Runs the command.
///
/// # Errors
///
/// If the model or an input row cannot be used, by file and line, or the output cannot be written.
pub fn run(arguments: &Classify) -> Result<()> {
    let common = &arguments.rows;
    let device = common.device()?;
    let input: Vec<(usize, Row)> = rows::read(&common.input)?;
    let model = ClassifierCheckpoint::load(&common.model, &device)?.model;
    let progress = Progress::new("classify", input.len(), "rows", common.quiet);
    let mut classified = Vec::with_capacity(input.len());
    for (line, row) in &input {
        let classifier_row =
            checked(row, &model).with_context(|| format!("{}:{line}", common.input.display()))?;
        let batch = ClassifierBatch::collate(&[classifier_row]);
        let values = model.forward(&batch, &device).into_data();
        let values: Vec<f32> = values.iter::<f32>().collect();
        let (pairs, _) = values.as_chunks::<2>();
        classified.push(Classified {
            id: &row.id,
            logits: pairs.iter().copied().take(row.input_ids.len()).collect(),
        });
        progress.advance(1, "");
    }
    rows::write(&common.out, &classified)
}

/// A row that the model can take.
fn checked<'a>(row: &'a Row, model: &impl TokenClassifier) -> Result<ClassifierRow<'a>> {
    let n_tokens = row.input_ids.len();
    let (vocab_size, max_positions) = (model.vocab_size(), model.max_positions());
    if n_tokens == 0 {
        bail!("`input_ids` is empty");
    }
    if n_tokens > max_positions {
        bail!("{n_tokens} tokens, the model takes {max_positions}");
    }
    if let Some(id) = row.input_ids.iter().find(|id| **id as usize >= vocab_size) {
        bail!("token id {id} is not below the vocabulary's {vocab_size}");
    }
    let is_global = match &row.global_attention_mask {
        None => vec![false; n_tokens],
        Some(mask) if mask.len() != n_tokens => bail!(
            "`global_attention_mask` has {} entries for {n_tokens} tokens",
            mask.len()
        ),
        Some(mask) => mask
            .iter()
            .map(|entry| match entry {
                0 => Ok(false),
                1 => Ok(true),
                other => bail!("`global_attention_mask` has an entry {other}; it is 0 or 1"),
            })
            .collect::<Result<_>>()?,
    };
    Ok(ClassifierRow {
        token_ids: &row.input_ids,
        is_global,
    })
}
