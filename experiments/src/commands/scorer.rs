//! `--scorer`: its names, and what they load.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Result, bail};
use burn::tensor::Device;
use extracot_core::compress::llmlingua2::LlmLingua2Config;
use extracot_core::compress::{
    HeuristicScorer, PositionScorer, RandomScorer, SentenceContextScorer,
};
use extracot_core::{KeepScorer, Seed, Tokenizer};
use extracot_models::scorer::separator_id;
use extracot_models::{
    ClassifierCheckpoint, ClassifierScorer, FolderClassifier, HfTokenizer, LlmLingua2, Pooling,
    SurprisalScorer, TokenClassifier,
};

use super::model::{LoadedModel, WeightDtype};

/// The values of `--scorer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ScorerName {
    /// Formulas, numbers and the last sentence.
    Heuristic,
    /// A beginning or an end.
    Position(PositionScorer),
    /// Drawn.
    Random,
    /// Self-information under a causal model.
    Surprisal(PathBuf),
    /// Words by a classifier's percentile.
    LlmLingua2(PathBuf),
    /// A token classifier.
    Classifier(PathBuf),
}

impl FromStr for ScorerName {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.split_once(':') {
            Some(("surprisal", folder)) => Self::Surprisal(folder.into()),
            Some(("llmlingua2", folder)) => Self::LlmLingua2(folder.into()),
            _ => match text {
                "heuristic" => Self::Heuristic,
                "position" => Self::Position(PositionScorer::First),
                "position-last" => Self::Position(PositionScorer::Last),
                "random" => Self::Random,
                folder if Path::new(folder).is_dir() => Self::Classifier(folder.into()),
                other => {
                    return Err(format!(
                        "`{other}` is neither a folder nor one of heuristic, position, \
                         position-last, random, surprisal:DIR and llmlingua2:DIR"
                    ));
                }
            },
        })
    }
}

impl fmt::Display for ScorerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heuristic => f.write_str("heuristic"),
            Self::Position(PositionScorer::First) => f.write_str("position"),
            Self::Position(PositionScorer::Last) => f.write_str("position-last"),
            Self::Random => f.write_str("random"),
            Self::Surprisal(folder) => write!(f, "surprisal:{}", folder.display()),
            Self::LlmLingua2(folder) => write!(f, "llmlingua2:{}", folder.display()),
            Self::Classifier(folder) => write!(f, "{}", folder.display()),
        }
    }
}

impl ScorerName {
    /// The folder of the scorer's model.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Surprisal(folder) | Self::LlmLingua2(folder) | Self::Classifier(folder) => {
                Some(folder)
            }
            Self::Heuristic | Self::Position(_) | Self::Random => None,
        }
    }
}

/// What the scorers are built from.
pub(super) struct ScorerSettings<'a> {
    pub(super) pooling: Pooling,
    /// Texts scored together.
    pub(super) batch_size: usize,
    pub(super) seed: Seed,
    /// Whether what a classifier would drop is ranked by its sentence.
    pub(super) has_sentence_context: bool,
    /// The policy's, for classifiers without one of their own.
    pub(super) tokenizer: &'a HfTokenizer,
    pub(super) device: &'a Device,
}

/// Tokens of a batch of surprisal, padding included.
const SURPRISAL_BATCH_TOKENS: usize = 4096;

/// Loads a scorer and hands it to `work`.
pub(super) fn with_scorer<T>(
    name: &ScorerName,
    settings: &ScorerSettings<'_>,
    work: impl FnOnce(&dyn KeepScorer) -> Result<T>,
) -> Result<T> {
    let device = settings.device;
    match name {
        ScorerName::Heuristic => work(&HeuristicScorer),
        ScorerName::Position(scorer) => work(scorer),
        ScorerName::Random => work(&RandomScorer::new(settings.seed)),
        ScorerName::Surprisal(folder) => {
            let model = LoadedModel::load(folder, None, WeightDtype::F32, device)?;
            work(&SurprisalScorer {
                model: &model.decoder,
                device,
                tokenizer: model.tokenizer()?,
                chat: model.chat().ok(),
                batch_tokens: SURPRISAL_BATCH_TOKENS,
            })
        }
        ScorerName::LlmLingua2(_) => {
            bail!("llmlingua2 selects words by itself and scores no atoms")
        }
        ScorerName::Classifier(folder) => {
            let classifier = ClassifierCheckpoint::load(folder, device)?;
            let own = own_tokenizer(folder)?;
            let tokenizer = own.as_ref().unwrap_or(settings.tokenizer);
            check_vocabulary(folder, &classifier, tokenizer)?;
            let scorer = ClassifierScorer {
                classifier: &classifier.model,
                device,
                tokenizer,
                separator_id: separator_id(tokenizer)?,
                batch_size: settings.batch_size,
                pooling: settings.pooling,
            };
            match settings.has_sentence_context {
                true => work(&SentenceContextScorer::new(scorer)),
                false => work(&scorer),
            }
        }
    }
}

/// Fails for a tokenizer with ids that the classifier has no row for.
fn check_vocabulary(
    folder: &Path,
    classifier: &ClassifierCheckpoint,
    tokenizer: &HfTokenizer,
) -> Result<()> {
    let (n_rows, n_ids) = (classifier.model.vocab_size(), tokenizer.vocab_size());
    if n_ids > n_rows {
        bail!(
            "the classifier in {} has {n_rows} token rows and the tokenizer {n_ids} ids; put the \
             tokenizer.json that it was trained with beside it",
            folder.display()
        );
    }
    Ok(())
}

/// The tokenizer beside a classifier.
fn own_tokenizer(folder: &Path) -> Result<Option<HfTokenizer>> {
    match folder.join("tokenizer.json").is_file() {
        true => Ok(Some(HfTokenizer::load(folder)?)),
        false => Ok(None),
    }
}

/// The classifier of LLMLingua-2 and its tokenizer.
pub(super) struct WordSelector {
    classifier: ClassifierCheckpoint,
    tokenizer: HfTokenizer,
    device: Device,
    reserve_digits: bool,
}

impl WordSelector {
    pub(super) fn load(folder: &Path, reserve_digits: bool, device: &Device) -> Result<Self> {
        let classifier = ClassifierCheckpoint::load(folder, device)?;
        let tokenizer = HfTokenizer::load(folder)?;
        check_vocabulary(folder, &classifier, &tokenizer)?;
        Ok(Self {
            classifier,
            tokenizer,
            device: device.clone(),
            reserve_digits,
        })
    }

    pub(super) fn baseline(&self, batch_size: usize) -> LlmLingua2<'_, FolderClassifier> {
        LlmLingua2 {
            classifier: &self.classifier.model,
            device: &self.device,
            tokenizer: &self.tokenizer,
            enclosing_ids: ["<s>", "</s>"]
                .map(|token| self.tokenizer.token_id(token))
                .into(),
            batch_size,
            config: LlmLingua2Config {
                reserve_digits: self.reserve_digits,
                ..LlmLingua2Config::default()
            },
        }
    }
}
