//! Chat templates of Hugging Face checkpoints, rendered from the checkpoint's own Jinja.

use std::path::Path;

use extracot_core::prompt::ChatRenderer;
use extracot_core::{ChatMessage, CoreError};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde_json::Value as Json;

use crate::ModelError;

/// File name of a template of its own, the newer place for it.
const TEMPLATE_FILE: &str = "chat_template.jinja";
/// File name of the tokenizer's settings, the older place.
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// Name of the template within its environment, shown in errors.
const NAME: &str = "chat_template";

/// The chat template of a model folder.
#[derive(Debug)]
pub struct HfChat {
    environment: Environment<'static>,
    bos_token: Option<String>,
    eos_token: String,
    enable_thinking: Option<bool>,
}

impl HfChat {
    /// Reads the template of a model folder: `chat_template.jinja`, else the `chat_template` of
    /// `tokenizer_config.json` (of several the one named `default`). `None` if it has neither.
    ///
    /// `enable_thinking` is given to the template if it is set: Qwen3 writes an empty think text for
    /// `false`.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or does not parse, and [`ModelError::Tokenizer`] if a folder with a
    /// template names no `eos_token`.
    pub fn load(folder: &Path, enable_thinking: Option<bool>) -> Result<Option<Self>, ModelError> {
        let read = |name: &str| {
            let path = folder.join(name);
            match path.is_file() {
                false => Ok(None),
                true => std::fs::read_to_string(&path)
                    .map(Some)
                    .map_err(CoreError::io("read", &path)),
            }
        };
        let config: Json = match read(TOKENIZER_CONFIG)? {
            None => Json::Null,
            Some(text) => serde_json::from_str(&text).map_err(|source| ModelError::Json {
                path: folder.join(TOKENIZER_CONFIG),
                source,
            })?,
        };
        let source = match read(TEMPLATE_FILE)? {
            Some(source) => Some(source),
            None => template_of(&config["chat_template"]),
        };
        let Some(source) = source else {
            return Ok(None);
        };
        // A special token is a string, or an object with its text.
        let token = |key: &str| {
            let value = &config[key];
            let text = value.as_str().or_else(|| value["content"].as_str());
            text.map(str::to_owned)
        };
        let Some(eos_token) = token("eos_token") else {
            return Err(ModelError::Tokenizer {
                message: format!(
                    "{}: no eos_token, at which an answer ends",
                    folder.join(TOKENIZER_CONFIG).display()
                ),
            });
        };
        Self::try_new(source, token("bos_token"), eos_token, enable_thinking).map(Some)
    }

    /// A template from its text.
    ///
    /// # Errors
    ///
    /// [`ModelError::Core`] if it is no valid template.
    pub fn try_new(
        source: String,
        bos_token: Option<String>,
        eos_token: String,
        enable_thinking: Option<bool>,
    ) -> Result<Self, ModelError> {
        let mut environment = Environment::new();
        // As transformers sets up Jinja.
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()
            .map_err(template_error)?;
        environment.set_syntax(syntax);
        environment
            .set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| {
            Err::<Value, Error>(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment
            .add_template_owned(NAME, source)
            .map_err(template_error)?;
        Ok(Self {
            environment,
            bos_token,
            eos_token,
            enable_thinking,
        })
    }
}

fn template_of(value: &Json) -> Option<String> {
    let named = |list: &Vec<Json>| {
        let default = list.iter().find(|entry| entry["name"] == "default")?;
        default["template"].as_str().map(str::to_owned)
    };
    match value {
        Json::String(source) => Some(source.clone()),
        Json::Array(list) => named(list),
        _ => None,
    }
}

fn template_error(error: Error) -> CoreError {
    CoreError::Template {
        message: format!("{error:#}"),
    }
}

impl ChatRenderer for HfChat {
    fn render(&self, messages: &[ChatMessage<'_>], open_answer: bool) -> Result<String, CoreError> {
        let thinking = match self.enable_thinking {
            Some(enable_thinking) => context! { enable_thinking },
            None => context! {},
        };
        let turns: Vec<Value> = messages
            .iter()
            .map(|message| context! { role => message.role, content => message.content })
            .collect();
        let variables = context! {
            messages => turns,
            add_generation_prompt => open_answer,
            bos_token => self.bos_token.clone(),
            eos_token => self.eos_token.clone(),
            ..thinking
        };
        self.environment
            .get_template(NAME)
            .and_then(|template| template.render(variables))
            .map_err(template_error)
    }

    fn turn_close(&self) -> &str {
        &self.eos_token
    }
}
