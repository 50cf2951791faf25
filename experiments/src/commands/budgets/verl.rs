//! Problems with their budgets as parquet that verl reads.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use extracot_core::ControlToken;
use extracot_core::jsonl::write_atomic;
use extracot_core::prompt::user_text;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

use super::row::BudgetRow;

/// The columns: those that verl's data set asks for, and `extra_info` for the reward function.
const SCHEMA: &str = "
message schema {
    required binary data_source (STRING);
    required group prompt (LIST) {
        repeated group list {
            required group element {
                required binary role (STRING);
                required binary content (STRING);
            }
        }
    }
    required binary ability (STRING);
    required group reward_model {
        required binary style (STRING);
        required binary ground_truth (STRING);
    }
    required group extra_info {
        required int64 index;
        required binary id (STRING);
        required binary question (STRING);
        optional int64 budget;
        required int64 reference_tokens;
        required binary reference_source (STRING);
    }
}
";

/// Writes the problems under `<COMP_POLICY>`, whole or not at all.
///
/// # Errors
///
/// If the file cannot be written.
pub(super) fn write(
    path: &Path,
    data_source: &str,
    system: Option<&str>,
    rows: &[BudgetRow],
) -> Result<()> {
    let bytes = encode(data_source, system, rows).context("cannot write parquet")?;
    Ok(write_atomic(path, |out| out.write_all(&bytes))?)
}

fn encode(
    data_source: &str,
    system: Option<&str>,
    rows: &[BudgetRow],
) -> Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut bytes = Vec::new();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut file = SerializedFileWriter::new(&mut bytes, schema, properties)?;
    let mut group = file.next_row_group()?;
    let columns = columns(data_source, system, rows);
    for column in &columns {
        let mut writer = group
            .next_column()?
            .ok_or_else(|| ParquetError::General("fewer columns than values".to_owned()))?;
        column.write(&mut writer)?;
        writer.close()?;
    }
    group.close()?;
    file.close()?;
    Ok(bytes)
}

/// The values of a leaf of the schema.
enum Column<'a> {
    Texts(Vec<&'a str>),
    /// A list of texts per row, none empty.
    Lists(Vec<Vec<String>>),
    Numbers(Vec<i64>),
    MaybeNumbers(Vec<Option<i64>>),
}

impl Column<'_> {
    fn write(&self, writer: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        match self {
            Self::Texts(texts) => {
                let values: Vec<ByteArray> =
                    texts.iter().map(|text| ByteArray::from(*text)).collect();
                writer
                    .typed::<ByteArrayType>()
                    .write_batch(&values, None, None)?;
            }
            Self::Lists(lists) => {
                let all = lists.iter().flatten();
                let values: Vec<ByteArray> =
                    all.map(|text| ByteArray::from(text.as_str())).collect();
                let definition = vec![1; values.len()];
                // The first of a list begins a row, the others go on with it.
                let repetition = lists
                    .iter()
                    .flat_map(|list| (0..list.len()).map(|idx| i16::from(idx > 0)));
                let repetition: Vec<i16> = repetition.collect();
                let writer = writer.typed::<ByteArrayType>();
                writer.write_batch(&values, Some(&definition), Some(&repetition))?;
            }
            Self::Numbers(numbers) => {
                writer
                    .typed::<Int64Type>()
                    .write_batch(numbers, None, None)?;
            }
            Self::MaybeNumbers(numbers) => {
                let values: Vec<i64> = numbers.iter().flatten().copied().collect();
                let definition: Vec<i16> = numbers.iter().map(|n| i16::from(n.is_some())).collect();
                writer
                    .typed::<Int64Type>()
                    .write_batch(&values, Some(&definition), None)?;
            }
        }
        Ok(())
    }
}

/// The leaves in the order of the schema.
fn columns<'a>(
    data_source: &'a str,
    system: Option<&str>,
    rows: &'a [BudgetRow],
) -> Vec<Column<'a>> {
    let same = |text: &'static str| Column::Texts(vec![text; rows.len()]);
    let texts = |text: fn(&'a BudgetRow) -> &'a str| Column::Texts(rows.iter().map(text).collect());
    let turns = |row: &BudgetRow| {
        let user = user_text(&row.question, Some(ControlToken::Policy));
        let system = system.map(|text| ("system".to_owned(), text.to_owned()));
        system.into_iter().chain([("user".to_owned(), user)])
    };
    let budget = |row: &BudgetRow| row.budget.map(|level| i64::from(level.percent()));
    vec![
        Column::Texts(vec![data_source; rows.len()]),
        Column::Lists(
            rows.iter()
                .map(|row| turns(row).map(|turn| turn.0).collect())
                .collect(),
        ),
        Column::Lists(
            rows.iter()
                .map(|row| turns(row).map(|turn| turn.1).collect())
                .collect(),
        ),
        same("math"),
        same("rule"),
        texts(|row| &row.answer),
        Column::Numbers((0..rows.len() as i64).collect()),
        texts(|row| &row.id),
        texts(|row| &row.question),
        Column::MaybeNumbers(rows.iter().map(budget).collect()),
        Column::Numbers(rows.iter().map(|row| row.reference_tokens as i64).collect()),
        texts(|row| row.reference_source.name()),
    ]
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use extracot_core::KeepLevel;
    use parquet::file::reader::{FileReader, SerializedFileReader};

    use super::super::row::ReferenceSource;
    use super::*;

    #[test]
    fn rows_come_back_with_their_turns_and_a_budget_or_none() {
        let row = |id: &str, budget| BudgetRow {
            id: id.into(),
            question: format!("How many \u{20ac} in {id}?"),
            answer: "4".into(),
            options: Vec::new(),
            budget,
            outcomes: Vec::new(),
            reference_tokens: 120,
            reference_source: ReferenceSource::Trace,
        };
        let rows = [
            row("a", Some(KeepLevel::ALL[1])),
            row("b", None),
            row("c", None),
        ];
        for system in [None, Some("Be brief.")] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("rl.parquet");
            write(&path, "gsm8k", system, &rows).unwrap();
            let reader = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
            let found = reader.get_row_iter(None).unwrap();
            let found: Vec<String> = found.map(|row| row.unwrap().to_string()).collect();
            assert_eq!(found.len(), 3);
            let turns = "{role: \"user\", content: \"Please reason step by step, and put your final answer \
                         within \\boxed{}.\nHow many \u{20ac} in a? <COMP_POLICY>\"}";
            let turns = match system {
                None => format!("[{turns}]"),
                Some(_) => format!("[{{role: \"system\", content: \"Be brief.\"}}, {turns}]"),
            };
            let expected = format!(
                "{{data_source: \"gsm8k\", prompt: {turns}, ability: \"math\", \
                 reward_model: {{style: \"rule\", ground_truth: \"4\"}}, \
                 extra_info: {{index: 0, id: \"a\", question: \"How many \u{20ac} in a?\", budget: 40, \
                 reference_tokens: 120, reference_source: \"trace\"}}}}"
            );
            assert_eq!(found[0], expected);
            assert!(found[1].contains("index: 1, id: \"b\"") && found[1].contains("budget: null"));
        }
    }
}
