//! Sample rollouts: what the models wrote, and what they were paid for it.

use super::text::{escape, note, number, signed};
use crate::summary::{SampleRollout, Summary};

/// Rollouts shown; the run folder has all of them.
const MAX_SHOWN: usize = 60;

/// The sample rollouts as a table that becomes a stack of cards on a phone.
pub(super) fn html(summary: &Summary) -> String {
    if summary.samples.is_empty() {
        return note("No rollouts were kept for the report.");
    }
    let body: String = summary.samples.iter().take(MAX_SHOWN).map(line).collect();
    let mut out = format!(
        "<table class=\"samples\"><caption>Advantages are those of the main reward and of the \
         control head.</caption><thead><tr><th scope=\"col\">rollout</th><th scope=\"col\">question \
         and completion</th><th scope=\"col\">reward</th></tr></thead>\n<tbody>\n{body}</tbody>\
         </table>\n"
    );
    let n_left = summary.samples.len().saturating_sub(MAX_SHOWN);
    if n_left > 0 {
        out.push_str(&note(&format!(
            "{n_left} more rollouts are in the summary."
        )));
    }
    out
}

fn line(sample: &SampleRollout) -> String {
    let terms: String = sample
        .terms
        .iter()
        .map(|(name, value)| pair(&escape(name), &signed(*value, 3)))
        .collect();
    let [main, control] = sample.advantages.map(|advantage| signed(advantage, 3));
    format!(
        "<tr><td><b>{arm}</b><br>step {step}<br>{problem}<br><span class=\"verdict\">{verdict}</span>\
         <br>{tokens} think tokens</td>\n<td><p>{question}</p><pre>{text}</pre></td>\n\
         <td><dl class=\"terms\">{terms}{rewards}{advantages}</dl></td></tr>\n",
        arm = escape(&sample.arm),
        step = sample.step,
        problem = escape(&sample.problem_id),
        verdict = escape(&sample.verdict),
        tokens = sample.think_tokens,
        question = escape(&sample.question),
        text = escape(&sample.text),
        rewards = pair("<b>R main</b>", &number(sample.reward_main, 3))
            + &pair("<b>R control</b>", &number(sample.reward_control, 3)),
        advantages = pair("<b>A main</b>", &main) + &pair("<b>A control</b>", &control),
    )
}

fn pair(name: &str, value: &str) -> String {
    format!("<dt>{name}</dt><dd>{value}</dd>")
}
