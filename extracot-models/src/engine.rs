//! `LocalEngine`: batched decoding of ragged prompts with a key-value cache.

use std::sync::Mutex;

use burn::tensor::{DType, Device, ExecutionError, Int, Tensor, TensorData};
use extracot_core::{
    FinishReason, Prompt, Rollout, RolloutEngine, RolloutGroup, SamplingParams, Seed, Tokenizer,
};
use extracot_kernels::{map_rows, on_workers, prefer_large_pages};

use crate::sampling::{sample_token, uniform};
use crate::{CausalLm, ModelError, RaggedBatch};

/// Padding id; padded slots are masked, so any id does.
const PAD: i32 = 0;
/// Finished rows are dropped from the batch once at most this share of it is still running.
const COMPACT_BELOW: f64 = 0.7;
/// Decoding steps from which on a rollout asks for large pages: a tenth of fewer does not pay for moving the weights.
const STEPS_FOR_LARGE_PAGES: usize = 512;
/// Rows from which on a long rollout asks for large pages: decoding of fewer gains next to nothing.
pub const ROWS_FOR_LARGE_PAGES: usize = 8;

/// Where generation of a row ends before its limit.
#[derive(Clone, Default)]
pub struct StopRule<'a> {
    /// After one of these ids.
    pub ids: Vec<u32>,
    /// After the token with which one of these strings is complete; the tokenizer reads them.
    pub strings: Option<(&'a [String], &'a dyn Tokenizer)>,
}

impl std::fmt::Debug for StopRule<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StopRule")
            .field("ids", &self.ids)
            .field("strings", &self.strings.map(|(strings, _)| strings))
            .finish()
    }
}

impl StopRule<'_> {
    /// After one id.
    pub fn at(id: u32) -> Self {
        Self {
            ids: vec![id],
            strings: None,
        }
    }

    /// Why a row ends with its last token, if it does.
    fn check(&self, token_ids: &[u32]) -> Option<FinishReason> {
        if token_ids.last().is_some_and(|id| self.ids.contains(id)) {
            return Some(FinishReason::EndToken);
        }
        let (strings, tokenizer) = self.strings?;
        let longest = strings.iter().map(String::len).max()?;
        // A token has at least a byte, but for pieces of a character.
        let tail = &token_ids[token_ids.len().saturating_sub(longest + 4)..];
        let text = tokenizer.decode(tail);
        let is_complete = strings.iter().any(|stop| text.contains(stop.as_str()));
        is_complete.then_some(FinishReason::StopString)
    }
}

/// Samples from a model on this machine.
pub struct LocalEngine<'a, M> {
    /// The model, without autodiff.
    pub model: &'a M,
    /// The model's device, without autodiff.
    pub device: &'a Device,
    /// Where a row ends, besides its limit.
    pub stop: StopRule<'a>,
    /// Rows decoded together.
    pub batch_rows: usize,
    /// Batches decoded side by side; no result depends on it.
    pub n_workers: usize,
    /// Told the number of generated tokens and finished prompts after every batch.
    pub progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl<M> std::fmt::Debug for LocalEngine<'_, M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalEngine")
            .field("stop", &self.stop)
            .field("batch_rows", &self.batch_rows)
            .field("n_workers", &self.n_workers)
            .finish_non_exhaustive()
    }
}

impl<M: CausalLm> LocalEngine<'_, M> {
    /// Refuses a prompt that cannot be completed: all are checked before the first is decoded.
    ///
    /// # Errors
    ///
    /// [`ModelError::EmptyPrompt`], and [`ModelError::PromptTooLong`] if prompt and completion exceed
    /// the model's positions.
    pub fn check_prompt(&self, prompt: &Prompt, params: &SamplingParams) -> Result<(), ModelError> {
        let (prompt_id, n_tokens) = (prompt.id.clone(), prompt.token_ids.len());
        let (max_new_tokens, max_positions) = (params.max_new_tokens, self.model.max_positions());
        if n_tokens == 0 {
            return Err(ModelError::EmptyPrompt { prompt_id });
        }
        if n_tokens + max_new_tokens > max_positions {
            return Err(ModelError::PromptTooLong {
                prompt_id,
                n_tokens,
                max_new_tokens,
                max_positions,
            });
        }
        Ok(())
    }
}

impl<M: CausalLm + Sync> RolloutEngine for LocalEngine<'_, M> {
    type Error = ModelError;

    fn rollout(
        &self,
        prompts: &[Prompt],
        params: &SamplingParams,
        seed: Seed,
    ) -> Result<Vec<RolloutGroup>, ModelError> {
        for prompt in prompts {
            self.check_prompt(prompt, params)?;
        }
        // burn 0.22 with fusion gives other threads wrong values of what this one has queued.
        self.device.flush().map_err(device_error)?;
        let per_batch = (self.batch_rows / params.group_size.max(1)).max(1);
        let n_rows = prompts.len() * params.group_size;
        let n_steps = prompts.len().div_ceil(per_batch) * params.max_new_tokens;
        if n_rows >= ROWS_FOR_LARGE_PAGES && n_steps >= STEPS_FOR_LARGE_PAGES {
            prefer_large_pages(self.model);
        }
        // Similar lengths share a batch: the padding is small.
        let mut order: Vec<usize> = (0..prompts.len()).collect();
        order.sort_by_key(|idx| prompts[*idx].token_ids.len());
        let queue = Mutex::new(order.chunks(per_batch));
        let finished = Mutex::new(Vec::with_capacity(prompts.len()));
        let results = on_workers(self.device, self.n_workers.max(1), || {
            loop {
                // Not `while let`: that would hold the lock while decoding.
                let Some(batch) = lock(&queue).next() else {
                    return Ok::<(), ModelError>(());
                };
                let members: Vec<&Prompt> = batch.iter().map(|i| &prompts[*i]).collect();
                let groups = self.decode(&members, params, seed)?;
                let n_tokens = groups
                    .iter()
                    .flat_map(|group| &group.rollouts)
                    .map(|rollout| rollout.token_ids.len())
                    .sum();
                (self.progress)(n_tokens, batch.len());
                lock(&finished).extend(batch.iter().copied().zip(groups));
            }
        });
        results.into_iter().collect::<Result<(), ModelError>>()?;
        let mut groups = finished
            .into_inner()
            .unwrap_or_else(|poison| poison.into_inner());
        groups.sort_by_key(|(idx, _)| *idx);
        Ok(groups.into_iter().map(|(_, group)| group).collect())
    }
}

fn device_error(error: ExecutionError) -> ModelError {
    ModelError::Device {
        message: error.to_string(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A row that is still running.
struct Row {
    prompt_idx: usize,
    sample_idx: usize,
    n_pad: usize,
    seed: Seed,
    token_ids: Vec<u32>,
    logprobs: Vec<f32>,
    finish: Option<FinishReason>,
}

impl<M: CausalLm> LocalEngine<'_, M> {
    /// Decodes one batch: one prefill per prompt, shared by its group.
    fn decode(
        &self,
        prompts: &[&Prompt],
        params: &SamplingParams,
        seed: Seed,
    ) -> Result<Vec<RolloutGroup>, ModelError> {
        let longest = prompts.iter().map(|p| p.token_ids.len()).max().unwrap_or(0);
        let n_pads: Vec<usize> = prompts
            .iter()
            .map(|p| longest - p.token_ids.len())
            .collect();
        let mut padded = Vec::with_capacity(prompts.len() * longest);
        for (prompt, n_pad) in prompts.iter().zip(&n_pads) {
            padded.extend(std::iter::repeat_n(PAD, *n_pad));
            padded.extend(prompt.token_ids.iter().map(|id| *id as i32));
        }
        let mut cache = self.model.new_cache(prompts.len(), self.device);
        let ragged = RaggedBatch {
            n_pads: n_pads.clone(),
        };
        let logits = self.model.extend(
            self.ints2(padded, [prompts.len(), longest]),
            &ragged,
            &mut cache,
        );

        let mut rows: Vec<Row> = Vec::new();
        for (prompt_idx, prompt) in prompts.iter().enumerate() {
            for sample_idx in 0..params.group_size {
                rows.push(Row {
                    prompt_idx,
                    sample_idx,
                    n_pad: n_pads[prompt_idx],
                    seed: seed.derive(&prompt.id, sample_idx as u64),
                    token_ids: Vec::new(),
                    logprobs: Vec::new(),
                    finish: None,
                });
            }
        }
        let shared = self.row_index(rows.iter().map(|row| row.prompt_idx));
        cache = cache.select_rows(&shared);
        let mut logits = logits.select(0, shared);
        let mut done: Vec<Row> = Vec::new();
        for position in 0..params.max_new_tokens {
            self.sample(&mut rows, logits, params, position, prompts)?;
            let n_running = rows.iter().filter(|row| row.finish.is_none()).count();
            if n_running == 0 {
                break;
            }
            if (n_running as f64) <= COMPACT_BELOW * rows.len() as f64 {
                let running = rows
                    .iter()
                    .enumerate()
                    .filter(|(_, row)| row.finish.is_none());
                cache = cache.select_rows(&self.row_index(running.map(|(idx, _)| idx)));
                let (still, ended) = rows.into_iter().partition(|row| row.finish.is_none());
                rows = still;
                done.extend::<Vec<Row>>(ended);
            }
            let last = rows
                .iter()
                .map(|row| row.token_ids.last().map_or(PAD, |id| *id as i32));
            let token_ids = self.ints2(last.collect(), [rows.len(), 1]);
            let ragged = RaggedBatch {
                n_pads: rows.iter().map(|row| row.n_pad).collect(),
            };
            logits = self.model.extend(token_ids, &ragged, &mut cache);
        }
        done.extend(rows);
        done.sort_by_key(|row| (row.prompt_idx, row.sample_idx));
        let mut groups: Vec<RolloutGroup> = prompts
            .iter()
            .map(|prompt| RolloutGroup {
                prompt: (*prompt).clone(),
                rollouts: Vec::new(),
            })
            .collect();
        for row in done {
            groups[row.prompt_idx].rollouts.push(Rollout {
                sample_idx: row.sample_idx,
                token_ids: row.token_ids,
                logprobs: row.logprobs,
                finish: row.finish.unwrap_or(FinishReason::MaxTokens),
            });
        }
        Ok(groups)
    }

    fn sample(
        &self,
        rows: &mut [Row],
        logits: Tensor<2>,
        params: &SamplingParams,
        position: usize,
        prompts: &[&Prompt],
    ) -> Result<(), ModelError> {
        let [_, vocab] = logits.dims();
        let values = logits
            .try_into_data()
            .map_err(device_error)?
            .try_into_vec::<f32>()
            .map_err(|error| ModelError::Device {
                message: format!("{error:?}"),
            })?;
        let places: Vec<(&Row, &[f32])> = rows.iter().zip(values.chunks_exact(vocab)).collect();
        let tokens = map_rows(&places, values.len(), |(row, logits)| match row.finish {
            Some(_) => None,
            None => sample_token(logits, params, uniform(row.seed, position)),
        });
        for (row, token) in rows.iter_mut().zip(tokens) {
            if row.finish.is_some() {
                continue;
            }
            let token = token.ok_or_else(|| {
                let prompt_id = prompts[row.prompt_idx].id.clone();
                ModelError::NonFiniteLogits {
                    prompt_id,
                    position,
                }
            })?;
            row.token_ids.push(token.id);
            row.logprobs.push(token.logprob);
            row.finish = self.stop.check(&row.token_ids);
        }
        Ok(())
    }

    fn row_index(&self, rows: impl Iterator<Item = usize>) -> Tensor<1, Int> {
        let rows: Vec<i32> = rows.map(|row| row as i32).collect();
        let n_rows = rows.len();
        Tensor::from_data(TensorData::new(rows, [n_rows]), (self.device, DType::I32))
    }

    fn ints2(&self, values: Vec<i32>, shape: [usize; 2]) -> Tensor<2, Int> {
        Tensor::from_data(TensorData::new(values, shape), (self.device, DType::I32))
    }
}
