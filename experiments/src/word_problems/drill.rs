//! Pretraining texts of bare equations: arithmetic is learned from far fewer tokens than in verbose
//! chains of thought.

use extracot_core::Problem;

use super::{Operation, Plan, WordProblem};

/// A plan as a chain of equations.
pub fn drill(plan: &Plan, id: String) -> WordProblem {
    let mut value = plan.start;
    let mut asked = Vec::new();
    let mut equations = Vec::new();
    for operation in &plan.operations {
        asked.push(match operation {
            Operation::Add(n) => format!("+{n}"),
            Operation::Subtract(n) => format!("-{n}"),
            Operation::Multiply(n) => format!("\\times {n}"),
            Operation::Fraction(n) => format!("\\div {n}"),
            Operation::Percent(n) => format!("\\times {n}\\%"),
        });
        equations.push(format!("${}$.", operation.equation(value)));
        value = operation.apply(value);
    }
    WordProblem {
        problem: Problem {
            id,
            question: format!("At first {}, then {}.", plan.start, asked.join(", ")),
            solution: None,
            answer: value.to_string(),
            difficulty: Some(plan.operations.len() as u32),
            options: Vec::new(),
        },
        think: equations.join(" "),
        visible: format!("The answer is \\boxed{{{value}}}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_is_a_chain_of_equations() {
        let operations = vec![Operation::Add(4), Operation::Fraction(3)];
        let item = drill(
            &Plan {
                start: 23,
                operations,
            },
            "d".to_owned(),
        );
        assert_eq!(item.problem.question, "At first 23, then +4, \\div 3.");
        assert_eq!(item.think, "$23+4=27$. $27\\div 3=9$.");
        assert_eq!(item.visible, "The answer is \\boxed{9}.");
    }
}
