//! Chat templates against what transformers renders (`fixtures/make_chat.py`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use extracot_core::{ChatMessage, ChatRenderer, ChatTemplate, ControlToken};
use extracot_models::HfChat;
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/chat")
}

fn assert_renders(folder: &Path, golden: &str) {
    let cases = fs::read_to_string(fixtures().join(golden)).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
    assert!(cases.len() >= 30);
    for case in cases {
        let thinking = case["enable_thinking"].as_bool();
        let chat = HfChat::load(folder, thinking).unwrap().unwrap();
        let messages = case["messages"].as_array().unwrap().iter();
        let messages: Vec<ChatMessage<'_>> = messages
            .map(|message| ChatMessage {
                role: message["role"].as_str().unwrap(),
                content: message["content"].as_str().unwrap(),
            })
            .collect();
        let text = chat.render(&messages, case["open_answer"].as_bool().unwrap());
        assert_eq!(text.unwrap(), case["text"], "{case}");
    }
}

#[test]
fn a_template_renders_as_in_transformers() {
    assert_renders(&fixtures().join("own"), "own.json");
}

#[test]
#[ignore = "needs EXTRACOT_SHARED"]
fn the_template_of_qwen3_renders_as_in_transformers() {
    let folder = extracot_tests::named_by("EXTRACOT_SHARED").join("data/qwen3_tokenizer");
    assert_renders(&folder, "qwen3.json");
    let chat = HfChat::load(&folder, None).unwrap().unwrap();
    let chat = ChatTemplate::new(chat, None);
    let prompt = chat
        .prompt("How many?", Some(ControlToken::Policy))
        .unwrap();
    // The form of the embedded task is that of Qwen3.
    let embedded = ChatTemplate::default();
    assert_eq!(
        prompt,
        embedded
            .prompt("How many?", Some(ControlToken::Policy))
            .unwrap()
    );
    assert_eq!(chat.turn_close(), embedded.turn_close());
}

#[test]
fn what_a_template_refuses_is_an_error_with_its_words() {
    let chat = HfChat::load(&fixtures().join("own"), None)
        .unwrap()
        .unwrap();
    let message = ChatMessage {
        role: "tool",
        content: "",
    };
    let error = chat.render(&[message], false).unwrap_err().to_string();
    assert!(error.contains("unknown role tool"), "{error}");
    let broken = HfChat::try_new("{% if %}".to_owned(), None, "e".to_owned(), None);
    assert!(broken.unwrap_err().to_string().contains("chat template"));
}

#[test]
fn a_folder_without_a_template_has_none_and_one_without_an_end_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    assert!(HfChat::load(folder.path(), None).unwrap().is_none());
    let config = folder.path().join("tokenizer_config.json");
    fs::write(&config, r#"{"chat_template": "x"}"#).unwrap();
    let error = HfChat::load(folder.path(), None).unwrap_err().to_string();
    assert!(error.contains("no eos_token"), "{error}");
    // Of several templates the default one.
    let several = r#"{"eos_token": "e", "chat_template": [{"name": "default", "template": "D"}]}"#;
    fs::write(&config, several).unwrap();
    let chat = HfChat::load(folder.path(), None).unwrap().unwrap();
    assert_eq!(chat.render(&[], true).unwrap(), "D");
    fs::write(&config, "{").unwrap();
    assert!(HfChat::load(folder.path(), None).is_err());
}
