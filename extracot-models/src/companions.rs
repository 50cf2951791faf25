//! The files of a model folder that other tools read beside config, weights and tokenizer.

use std::collections::BTreeMap;
use std::path::Path;

use extracot_core::CoreError;
use extracot_core::jsonl::write_atomic;
use extracot_core::prompt::TURN_CLOSE;
use serde_json::json;

use crate::ModelError;

/// What is passed on from a folder that is read to a folder that is written.
///
/// `added_tokens.json`, `vocab.json` and `merges.txt` are not: `tokenizer.json` holds all of them,
/// and copies would lack the control tokens.
const NAMES: [&str; 4] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
];

/// ChatML as Jinja: what [`extracot_core::ChatMl`] renders.
const CHAT_ML: &str = "{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
";

/// Tokenizer settings, chat template and generation settings, as texts by file name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompanionFiles {
    texts: BTreeMap<&'static str, String>,
}

impl CompanionFiles {
    /// Those that `folder` has.
    ///
    /// # Errors
    ///
    /// [`ModelError::Core`] if one cannot be read.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        let mut texts = BTreeMap::new();
        for name in NAMES {
            let path = folder.join(name);
            if path.is_file() {
                let text = std::fs::read_to_string(&path).map_err(CoreError::io("read", &path))?;
                texts.insert(name, text);
            }
        }
        Ok(Self { texts })
    }

    /// Those of a model that was trained here: it speaks ChatML and stops at the turn's end, whose
    /// id is `stop_id`.
    pub fn chat_ml(stop_id: u32, max_positions: usize) -> Self {
        let tokenizer = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": TURN_CLOSE,
            "pad_token": TURN_CLOSE,
            "model_max_length": max_positions,
            "clean_up_tokenization_spaces": false,
        });
        let generation = json!({"eos_token_id": stop_id, "pad_token_id": stop_id});
        Self {
            texts: BTreeMap::from([
                ("tokenizer_config.json", format!("{tokenizer:#}\n")),
                ("generation_config.json", format!("{generation:#}\n")),
                ("chat_template.jinja", CHAT_ML.to_owned()),
            ]),
        }
    }

    /// Writes them to `folder`. Those of an earlier model go: its chat template must not be read with
    /// this one.
    ///
    /// # Errors
    ///
    /// [`ModelError::Core`] if a file cannot be written or removed.
    pub fn save(&self, folder: &Path) -> Result<(), ModelError> {
        for path in NAMES.map(|name| folder.join(name)) {
            let name = path.file_name().and_then(|name| name.to_str());
            match name.and_then(|name| self.texts.get(name)) {
                Some(text) => write_atomic(&path, |out| out.write_all(text.as_bytes()))?,
                None if path.is_file() => {
                    std::fs::remove_file(&path).map_err(CoreError::io("remove", &path))?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HfChat;
    use extracot_core::prompt::ChatRenderer;
    use extracot_core::{ChatMessage, ChatMl};

    #[test]
    fn the_written_template_renders_what_chat_ml_renders() {
        let folder = tempfile::tempdir().unwrap();
        CompanionFiles::chat_ml(7, 64).save(folder.path()).unwrap();
        let written = HfChat::load(folder.path(), None).unwrap().unwrap();
        let messages = [
            ("system", "Be brief."),
            ("user", " two\nlines "),
            ("assistant", "<think>\nso $1+1=2$\n</think>\n"),
            ("user", "{{ no template }}"),
        ];
        let messages = messages.map(|(role, content)| ChatMessage { role, content });
        for open_answer in [true, false] {
            for n in 1..=messages.len() {
                assert_eq!(
                    written.render(&messages[..n], open_answer).unwrap(),
                    ChatMl.render(&messages[..n], open_answer).unwrap(),
                );
            }
        }
        assert_eq!(written.turn_close(), ChatMl.turn_close());
    }

    #[test]
    fn what_was_read_is_written_and_nothing_else() {
        let (source, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(source.path().join("generation_config.json"), "{\"a\": 1}").unwrap();
        std::fs::write(source.path().join("added_tokens.json"), "{}").unwrap();
        // Left by another model.
        std::fs::write(copy.path().join("chat_template.jinja"), "old").unwrap();
        let files = CompanionFiles::load(source.path()).unwrap();
        files.save(copy.path()).unwrap();
        let names: Vec<_> = std::fs::read_dir(copy.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["generation_config.json"]);
        assert_eq!(CompanionFiles::load(copy.path()).unwrap(), files);
    }
}
