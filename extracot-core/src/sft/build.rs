//! Trace + compressed think text + control token -> [`SftExample`].

use super::{SftExample, SftText};
use crate::{ChatTemplate, ControlToken, CoreError, KeepLevel, Problem, Tokenizer};

/// Renders and tokenizes training sequences; prompts come from the same [`ChatTemplate`] that
/// rollouts and evaluation use.
#[derive(Clone, Copy)]
pub struct SftBuilder<'a> {
    /// The chat template of the policy.
    pub chat: &'a ChatTemplate,
    /// The policy's tokenizer.
    pub tokenizer: &'a dyn Tokenizer,
}

impl std::fmt::Debug for SftBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SftBuilder")
            .field("chat", self.chat)
            .finish_non_exhaustive()
    }
}

impl SftBuilder<'_> {
    /// A sequence in which the model repeats the level that `control` asks for, or, for
    /// [`ControlToken::Policy`], writes `level` as its own choice.
    ///
    /// # Errors
    ///
    /// [`CoreError::Template`] if the chat template fails.
    pub fn controlled(
        &self,
        problem: &Problem,
        control: ControlToken,
        level: KeepLevel,
        think: &str,
        visible: &str,
    ) -> Result<SftExample, CoreError> {
        let prompt = self.chat.prompt(&problem.question, Some(control))?;
        let completion = self.chat.completion(Some(level), think, visible);
        Ok(self.example(problem, Some((control, level)), &prompt, &completion))
    }

    /// A sequence without control tokens, for the base model.
    ///
    /// # Errors
    ///
    /// [`CoreError::Template`] if the chat template fails.
    pub fn plain(
        &self,
        problem: &Problem,
        think: &str,
        visible: &str,
    ) -> Result<SftExample, CoreError> {
        let prompt = self.chat.prompt(&problem.question, None)?;
        let completion = self.chat.completion(None, think, visible);
        Ok(self.example(problem, None, &prompt, &completion))
    }

    /// A sequence of an example that is made already.
    ///
    /// # Errors
    ///
    /// [`CoreError::Template`] if the chat template fails.
    pub fn of_text(&self, text: &SftText) -> Result<SftExample, CoreError> {
        let prompt = self.chat.prompt(&text.question, text.control)?;
        let completion = text.answer() + self.chat.turn_close();
        Ok(SftExample {
            problem_id: text.problem_id.clone(),
            control: text.control,
            level: text.level,
            prompt_ids: self.tokenizer.encode(&prompt),
            completion_ids: self.tokenizer.encode(&completion),
        })
    }

    fn example(
        &self,
        problem: &Problem,
        tokens: Option<(ControlToken, KeepLevel)>,
        prompt: &str,
        completion: &str,
    ) -> SftExample {
        SftExample {
            problem_id: problem.id.clone(),
            control: tokens.map(|(control, _)| control),
            level: tokens.map(|(_, level)| level),
            prompt_ids: self.tokenizer.encode(prompt),
            completion_ids: self.tokenizer.encode(completion),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ByteTokenizer;

    #[test]
    fn a_policy_example_asks_for_a_choice_and_states_it() {
        let chat = ChatTemplate::default();
        let builder = SftBuilder {
            chat: &chat,
            tokenizer: &ByteTokenizer,
        };
        let problem = Problem {
            id: "p".into(),
            question: "2+2?".into(),
            solution: None,
            answer: "4".into(),
            difficulty: None,
            options: Vec::new(),
        };
        let level = KeepLevel::ALL[0];
        let example = builder
            .controlled(&problem, ControlToken::Policy, level, "t", "4")
            .unwrap();
        let prompt = ByteTokenizer.decode(&example.prompt_ids);
        assert!(prompt.contains("2+2? <COMP_POLICY><|im_end|>"), "{prompt}");
        let completion = ByteTokenizer.decode(&example.completion_ids);
        assert_eq!(completion, "<COMP_20>\n<think>\nt\n</think>\n4<|im_end|>");
        let text = SftText {
            problem_id: "p".into(),
            question: problem.question.clone(),
            control: Some(ControlToken::Policy),
            level: Some(level),
            think: "t".into(),
            visible: "4".into(),
        };
        assert_eq!(builder.of_text(&text).unwrap(), example);
        assert!(
            !ByteTokenizer
                .decode(&builder.plain(&problem, "t", "4").unwrap().prompt_ids)
                .contains("COMP")
        );
    }
}
