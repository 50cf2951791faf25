//! Training examples in the formats of LLaMA-Factory, and back: JSON lines beside a `dataset_info.json`
//! that names them.

mod rows;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::SftText;
use crate::CoreError;
use crate::dataset::source;
use crate::jsonl::{write_atomic, write_jsonl};
use rows::{AlpacaRow, ShareGptRow};

/// The file in which LLaMA-Factory looks its data sets up.
pub const DATASET_INFO: &str = "dataset_info.json";

/// A format of LLaMA-Factory.
///
/// Both hold the turns of the user and of the assistant as text. The chat template and the end of turn
/// are added by who trains; the control tokens have to be added to its tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LlamaFactoryFormat {
    /// `instruction`, `input`, `output`, and `system` if there is one.
    Alpaca,
    /// `conversations`: turns of `from` (`human`, `gpt`) and `value`; `system` if there is one.
    ShareGpt,
}

impl LlamaFactoryFormat {
    /// What `dataset_info.json` says of a file in this format.
    pub fn info(self, file_name: &str, has_system: bool) -> Value {
        let mut info = match self {
            Self::Alpaca => json!({
                "file_name": file_name,
                "formatting": "alpaca",
                "columns": {"prompt": "instruction", "query": "input", "response": "output"},
            }),
            Self::ShareGpt => json!({
                "file_name": file_name,
                "formatting": "sharegpt",
                "columns": {"messages": "conversations"},
                "tags": {
                    "role_tag": "from",
                    "content_tag": "value",
                    "user_tag": "human",
                    "assistant_tag": "gpt",
                },
            }),
        };
        if has_system {
            info["columns"]["system"] = "system".into();
        }
        info
    }
}

/// Writes `<name>.jsonl` and names it in the `dataset_info.json` beside it; what that file says of
/// other data sets stays. Gives the path of the examples.
///
/// # Errors
///
/// [`CoreError::Io`] if a file cannot be written, [`CoreError::JsonLine`] if a `dataset_info.json` that
/// is there is no JSON object.
pub fn write_llama_factory(
    folder: &Path,
    name: &str,
    format: LlamaFactoryFormat,
    system: Option<&str>,
    texts: &[SftText],
) -> Result<PathBuf, CoreError> {
    let file_name = format!("{name}.jsonl");
    let path = folder.join(&file_name);
    let info_path = folder.join(DATASET_INFO);
    let mut infos = read_info(&info_path)?;
    match format {
        LlamaFactoryFormat::Alpaca => {
            let rows: Vec<_> = texts
                .iter()
                .map(|text| AlpacaRow::new(text, system))
                .collect();
            write_jsonl(&path, &rows)?;
        }
        LlamaFactoryFormat::ShareGpt => {
            let rows: Vec<_> = texts
                .iter()
                .map(|text| ShareGptRow::new(text, system))
                .collect();
            write_jsonl(&path, &rows)?;
        }
    }
    infos.insert(name.to_owned(), format.info(&file_name, system.is_some()));
    write_atomic(&info_path, |out| {
        serde_json::to_writer_pretty(&mut *out, &infos)?;
        out.write_all(b"\n")
    })?;
    Ok(path)
}

fn read_info(path: &Path) -> Result<Map<String, Value>, CoreError> {
    if !path.is_file() {
        return Ok(Map::new());
    }
    let text = std::fs::read(path).map_err(CoreError::io("read", path))?;
    serde_json::from_slice(&text).map_err(|error| CoreError::JsonLine {
        path: path.to_owned(),
        line: error.line(),
        message: error.to_string(),
    })
}

/// Reads examples in either format, as JSON lines or as one JSON array: the fields of a row say which
/// it is. A row without `problem_id` gets `row-N`, from 1.
///
/// # Errors
///
/// [`CoreError::Io`], and [`CoreError::JsonLine`] for the first row that is no example of this
/// project's form: the instruction, a control token and the level that the answer begins with, or
/// neither, a think text.
pub fn read_llama_factory(path: &Path) -> Result<Vec<SftText>, CoreError> {
    let bytes = std::fs::read(path).map_err(CoreError::io("read", path))?;
    let source = source::rows(&bytes, path)?;
    let text = |(idx, (line, fields)): (usize, (usize, Map<String, Value>))| {
        example(fields, idx + 1).map_err(|message| CoreError::JsonLine {
            path: path.to_owned(),
            line,
            message,
        })
    };
    source.rows.into_iter().enumerate().map(text).collect()
}

fn example(fields: Map<String, Value>, row_no: usize) -> Result<SftText, String> {
    let is_alpaca = fields.contains_key("instruction");
    let is_sharegpt = fields.contains_key("conversations");
    let row = Value::Object(fields);
    let read = |error: serde_json::Error| error.to_string();
    let text = match (is_alpaca, is_sharegpt) {
        (true, false) => serde_json::from_value::<AlpacaRow>(row)
            .map_err(read)?
            .text(row_no),
        (false, true) => serde_json::from_value::<ShareGptRow>(row)
            .map_err(read)?
            .text(row_no),
        _ => Err("a row needs one of `instruction` (alpaca) and `conversations` (sharegpt)"),
    };
    text.map_err(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ControlToken, KeepLevel};

    fn texts() -> Vec<SftText> {
        let text = |control: Option<ControlToken>, level, think: &str| SftText {
            problem_id: format!("p\"{think}"),
            question: "How many \u{20ac}?\n  Say \"it\" ".to_owned(),
            control,
            level,
            think: think.to_owned(),
            visible: "\n\\boxed{1}\t".to_owned(),
        };
        let twenty = Some(KeepLevel::ALL[0]);
        vec![
            text(twenty.map(ControlToken::Level), twenty, "so $1$"),
            text(Some(ControlToken::Policy), twenty, " with\r\nbreaks\n"),
            text(None, None, "\u{1F600}"),
        ]
    }

    #[test]
    fn both_formats_come_back_byte_for_byte() {
        for format in [LlamaFactoryFormat::Alpaca, LlamaFactoryFormat::ShareGpt] {
            for system in [None, Some("Be brief.")] {
                let folder = tempfile::tempdir().unwrap();
                let path =
                    write_llama_factory(folder.path(), "sft", format, system, &texts()).unwrap();
                assert_eq!(read_llama_factory(&path).unwrap(), texts());
                // LLaMA-Factory's own files are arrays.
                let rows = std::fs::read_to_string(&path).unwrap();
                let array = format!("[{}]", rows.lines().collect::<Vec<_>>().join(",\n"));
                std::fs::write(&path, array).unwrap();
                assert_eq!(read_llama_factory(&path).unwrap(), texts());
            }
        }
    }

    #[test]
    fn a_row_has_the_documented_fields() {
        let folder = tempfile::tempdir().unwrap();
        let row = |format, system| -> Value {
            let path =
                write_llama_factory(folder.path(), "sft", format, system, &texts()[..1]).unwrap();
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        let instruction = "Please reason step by step, and put your final answer within \\boxed{}.";
        let asked = "How many \u{20ac}?\n  Say \"it\"  <COMP_20>";
        let answer = "<COMP_20>\n<think>\nso $1$\n</think>\n\n\\boxed{1}\t";
        let alpaca = json!({
            "problem_id": "p\"so $1$", "instruction": instruction, "input": asked, "output": answer,
        });
        assert_eq!(row(LlamaFactoryFormat::Alpaca, None), alpaca);
        let sharegpt = json!({
            "problem_id": "p\"so $1$",
            "conversations": [
                {"from": "human", "value": format!("{instruction}\n{asked}")},
                {"from": "gpt", "value": answer},
            ],
            "system": "Be brief.",
        });
        assert_eq!(
            row(LlamaFactoryFormat::ShareGpt, Some("Be brief.")),
            sharegpt
        );
    }

    #[test]
    fn other_data_sets_stay_in_the_info_file() {
        let folder = tempfile::tempdir().unwrap();
        let info = folder.path().join(DATASET_INFO);
        std::fs::write(&info, "{\"other\": {\"file_name\": \"x.json\"}}").unwrap();
        write_llama_factory(
            folder.path(),
            "sft",
            LlamaFactoryFormat::ShareGpt,
            None,
            &texts(),
        )
        .unwrap();
        let found: Value = serde_json::from_slice(&std::fs::read(&info).unwrap()).unwrap();
        assert_eq!(found["other"]["file_name"], "x.json");
        assert_eq!(found["sft"]["file_name"], "sft.jsonl");
        assert_eq!(found["sft"]["tags"]["assistant_tag"], "gpt");
        std::fs::write(&info, "[1]").unwrap();
        let again =
            write_llama_factory(folder.path(), "sft", LlamaFactoryFormat::Alpaca, None, &[]);
        assert!(
            again
                .unwrap_err()
                .to_string()
                .contains("dataset_info.json:1")
        );
    }

    #[test]
    fn a_foreign_row_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.jsonl");
        for (row, message) in [
            (json!({"text": "x"}), "a row needs one of"),
            (
                json!({"instruction": "Do.", "input": "q", "output": "a"}),
                "instruction to reason",
            ),
            (
                json!({"instruction": 1, "input": "q", "output": "a"}),
                "invalid type",
            ),
            (
                json!({"conversations": [{"from": "human", "value": "q"}]}),
                "one turn of",
            ),
        ] {
            std::fs::write(&path, format!("\n{row}\n")).unwrap();
            let found = read_llama_factory(&path).unwrap_err().to_string();
            assert!(
                found.contains("x.jsonl:2: ") && found.contains(message),
                "{found}"
            );
        }
    }
}
