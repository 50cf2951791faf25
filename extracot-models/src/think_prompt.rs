//! What stands in front of a think text whose tokens are scored.

use extracot_core::prompt::{INSTRUCTION, THINK_OPEN};
use extracot_core::{ChatTemplate, CoreError};

/// The prompt of `question` and the tag that opens the think text.
///
/// With a chat template it is the prompt that rollouts and training use, without a control token;
/// else instruction and question, a line each. The tag is not repeated where the template has opened
/// the think text itself.
///
/// # Errors
///
/// [`CoreError::Template`] if the template fails.
pub(crate) fn before_think(
    chat: Option<&ChatTemplate>,
    question: &str,
) -> Result<String, CoreError> {
    let prompt = match chat {
        Some(chat) => chat.prompt(question, None)?,
        None => format!("{INSTRUCTION}\n{question}\n"),
    };
    let is_open = prompt.trim_end().ends_with(THINK_OPEN);
    Ok(match is_open {
        true => prompt,
        false => format!("{prompt}{THINK_OPEN}\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HfChat;

    #[test]
    fn the_think_text_is_opened_once() {
        assert_eq!(
            before_think(None, "How many?").unwrap(),
            format!("{INSTRUCTION}\nHow many?\n<think>\n")
        );
        assert_eq!(
            before_think(Some(&ChatTemplate::default()), "How many?").unwrap(),
            format!(
                "<|im_start|>user\n{INSTRUCTION}\nHow many?<|im_end|>\n<|im_start|>assistant\n\
                 <think>\n"
            )
        );
        let opens = "{{ messages[0]['content'] }}\n<think>\n".to_owned();
        let opens = HfChat::try_new(opens, None, "</s>".to_owned(), None).unwrap();
        let chat = ChatTemplate::new(opens, None);
        let expected = format!("{INSTRUCTION}\nHow many?\n<think>");
        assert_eq!(
            before_think(Some(&chat), "How many?").unwrap().trim_end(),
            expected
        );
    }
}
