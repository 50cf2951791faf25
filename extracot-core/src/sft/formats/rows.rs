//! One row of either format of LLaMA-Factory.

use serde::{Deserialize, Serialize};

use crate::prompt::{INSTRUCTION, user_text};
use crate::sft::SftText;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AlpacaRow {
    #[serde(default)]
    problem_id: Option<String>,
    instruction: String,
    #[serde(default)]
    input: String,
    output: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system: Option<String>,
}

impl AlpacaRow {
    pub(super) fn new(text: &SftText, system: Option<&str>) -> Self {
        Self {
            problem_id: Some(text.problem_id.clone()),
            instruction: INSTRUCTION.to_owned(),
            input: text.asked(),
            output: text.answer(),
            system: system.map(str::to_owned),
        }
    }

    pub(super) fn text(self, row_no: usize) -> Result<SftText, &'static str> {
        // As LLaMA-Factory joins them: an empty part gives no line break.
        let user = match self.input.is_empty() {
            true => self.instruction,
            false => format!("{}\n{}", self.instruction, self.input),
        };
        SftText::read_turns(id_or(self.problem_id, row_no), &user, &self.output)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Turn {
    from: String,
    value: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ShareGptRow {
    #[serde(default)]
    problem_id: Option<String>,
    conversations: Vec<Turn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system: Option<String>,
}

impl ShareGptRow {
    pub(super) fn new(text: &SftText, system: Option<&str>) -> Self {
        let turn = |from: &str, value: String| Turn {
            from: from.to_owned(),
            value,
        };
        Self {
            problem_id: Some(text.problem_id.clone()),
            conversations: vec![
                turn("human", user_text(&text.question, text.control)),
                turn("gpt", text.answer()),
            ],
            system: system.map(str::to_owned),
        }
    }

    pub(super) fn text(self, row_no: usize) -> Result<SftText, &'static str> {
        match &self.conversations[..] {
            [user, answer] if user.from == "human" && answer.from == "gpt" => {
                let id = id_or(self.problem_id, row_no);
                SftText::read_turns(id, &user.value, &answer.value)
            }
            _ => Err("a conversation has to be one turn of `human` and one of `gpt`"),
        }
    }
}

fn id_or(problem_id: Option<String>, row_no: usize) -> String {
    problem_id.unwrap_or_else(|| format!("row-{row_no}"))
}
