//! Examples from a file, and the order in which they are drawn.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};
use extracot_core::jsonl::read_numbered_jsonl;
use extracot_core::sft::{RatioCurriculum, SftExample, StagedMixture};
use extracot_core::{ControlToken, Seed, Tokenizer};
use extracot_models::{CausalLm, PolicyCheckpoint};
use extracot_train::SftConfig;
use extracot_train::sft_trainer::ExampleDraw;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::settings::Settings;
use crate::commands::training::{explain_rows, share_of};

/// What is trained on and what is looked at.
#[derive(Debug)]
pub(super) struct Examples {
    pub(super) train: Vec<SftExample>,
    pub(super) held_out: Vec<SftExample>,
    /// Tokens of the longest, prompt and completion together.
    pub(super) longest: usize,
}

impl Examples {
    /// Reads examples and takes apart what is held out: all examples of a question go the same way.
    ///
    /// # Errors
    ///
    /// By file and line: a row that is no example, an example of another tokenizer, and one that does not
    /// fit the model's positions. Nothing is ever cut.
    pub(super) fn read(
        path: &Path,
        checkpoint: &PolicyCheckpoint,
        settings: &Settings,
        seed: Seed,
    ) -> Result<Self> {
        let mut examples = Self {
            train: vec![],
            held_out: vec![],
            longest: 0,
        };
        let rows = read_numbered_jsonl::<SftExample>(path).map_err(|error| {
            explain_rows(
                error,
                "examples have `problem_id`, `control`, `level`, `prompt_ids` and `completion_ids`; \
                 `extracot build-sft --from FILE` makes them of LLaMA-Factory's formats",
            )
        })?;
        for (line, example) in rows {
            if let Err(message) = check(&example, checkpoint) {
                bail!("{}:{line}: {message}", path.display());
            }
            examples.longest = examples.longest.max(n_tokens(&example));
            let share = settings.held_out_share;
            match share_of(&question_key(&example, checkpoint), share, seed) {
                true => examples.held_out.push(example),
                false => examples.train.push(example),
            }
        }
        let (n_train, n_held_out) = (examples.train.len(), examples.held_out.len());
        if n_train == 0 || (n_held_out == 0 && settings.held_out_share > 0.0) {
            bail!(
                "{} with held_out_share = {} gives {n_train} examples to train on and {n_held_out} to \
                 look at; choose another share or seed, or 0 to look at none",
                path.display(),
                settings.held_out_share
            );
        }
        Ok(examples)
    }

    /// The order of the examples to train on.
    ///
    /// # Errors
    ///
    /// If the curriculum asks for a control token that no example has.
    pub(super) fn order(&self, settings: &Settings, seed: Seed) -> Result<Order<'_>> {
        let Some(curriculum) = settings.curriculum()? else {
            return Ok(Order::Passes(Passes {
                examples: &self.train,
                seed,
                current: RefCell::default(),
            }));
        };
        let mut queues: BTreeMap<ControlToken, Vec<&SftExample>> = BTreeMap::new();
        for example in &self.train {
            if let Some(control) = example.control {
                queues.entry(control).or_default().push(example);
            }
        }
        for keys in &settings.stages {
            let levels = extracot_core::KeepLevel::ALL.map(ControlToken::Level);
            let mut asked: Vec<(ControlToken, f64)> =
                levels.into_iter().zip(keys.weights).collect();
            asked.push((ControlToken::Policy, keys.policy_share));
            for (control, weight) in asked {
                if weight > 0.0 && !queues.contains_key(&control) {
                    bail!(
                        "the stage from {} asks for {control}, and no example to train on has it; \
                         give it no weight",
                        keys.from
                    );
                }
            }
        }
        Ok(Order::Curriculum(queues, curriculum))
    }
}

/// Which example is drawn: a function of its place in the run, so that a run that goes on draws the same.
#[derive(Debug)]
pub(super) enum Order<'a> {
    /// Every example once per pass.
    Passes(Passes<'a>),
    /// A control token by the curriculum, then any example that has it.
    Curriculum(BTreeMap<ControlToken, Vec<&'a SftExample>>, StagedMixture),
}

impl Order<'_> {
    /// The example of a draw.
    pub(super) fn example(&self, draw: ExampleDraw) -> &SftExample {
        match self {
            Self::Passes(passes) => passes.example(draw.index),
            Self::Curriculum(queues, curriculum) => {
                let mut rng = draw.seed.rng();
                let queue = &queues[&curriculum.choose(draw.progress, &mut rng)];
                queue[rng.random_range(0..queue.len())]
            }
        }
    }

    /// Examples that a whole run draws, by control token.
    pub(super) fn drawn(&self, config: &SftConfig, seed: Seed) -> BTreeMap<String, u64> {
        let mut drawn = BTreeMap::new();
        for index in 0..config.n_steps * config.batch_size {
            let example = self.example(ExampleDraw::of_run(index, config, seed));
            let name = example.control.map_or("none".to_owned(), |c| c.to_string());
            *drawn.entry(name).or_default() += 1;
        }
        drawn
    }
}

/// Every example once per pass, in a new random order each time.
#[derive(Debug)]
pub(super) struct Passes<'a> {
    examples: &'a [SftExample],
    seed: Seed,
    /// The pass that was drawn from last, with its order.
    current: RefCell<Option<(usize, Vec<usize>)>>,
}

impl Passes<'_> {
    fn example(&self, index: usize) -> &SftExample {
        let n = self.examples.len();
        let pass = index / n;
        let mut current = self.current.borrow_mut();
        if current.as_ref().is_none_or(|(found, _)| *found != pass) {
            let mut order: Vec<usize> = (0..n).collect();
            order.shuffle(&mut self.seed.derive("pass", pass as u64).rng());
            *current = Some((pass, order));
        }
        let order = current.as_ref().map_or(&[][..], |(_, order)| order);
        &self.examples[order[index % n]]
    }
}

/// The prompt without its control token: examples of one question have one key, whatever their ids.
fn question_key(example: &SftExample, checkpoint: &PolicyCheckpoint) -> String {
    let control = example.control.map(|control| control.to_string());
    let control = control.and_then(|token| checkpoint.tokenizer.token_id(&token));
    let ids = example.prompt_ids.iter();
    let ids: Vec<String> = ids
        .filter(|id| Some(**id) != control)
        .map(u32::to_string)
        .collect();
    ids.join(" ")
}

fn n_tokens(example: &SftExample) -> usize {
    example.prompt_ids.len() + example.completion_ids.len()
}

fn check(example: &SftExample, checkpoint: &PolicyCheckpoint) -> Result<(), String> {
    if example.prompt_ids.is_empty() || example.completion_ids.is_empty() {
        return Err("an example without tokens in its prompt or its completion".to_owned());
    }
    let vocab_size = checkpoint.model.vocab_size();
    let mut ids = example.prompt_ids.iter().chain(&example.completion_ids);
    if let Some(id) = ids.find(|id| **id as usize >= vocab_size) {
        return Err(format!(
            "token id {id} is not below the vocabulary's {vocab_size}"
        ));
    }
    if let Some(control) = example.control {
        let id = checkpoint.tokenizer.token_id(&control.to_string());
        if !id.is_some_and(|id| example.prompt_ids.contains(&id)) {
            return Err(format!(
                "{control} is not among the tokens of the prompt: the example was made with another \
                 tokenizer; make it anew with `extracot build-sft --tokenizer` and this model"
            ));
        }
    }
    let (n, room) = (n_tokens(example), checkpoint.model.max_positions());
    if n > room {
        return Err(format!(
            "an example of {n} tokens, and the model has {room} positions; leave it out with \
             `extracot build-sft --max-tokens {room}`"
        ));
    }
    Ok(())
}
