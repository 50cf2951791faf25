//! One row and its fields.

use std::path::Path;

use serde_json::{Map, Value};

use crate::CoreError;

/// Names under which data sets keep an id.
const ID_FIELDS: [&str; 3] = ["id", "unique_id", "ID"];
/// From here on not every integer is an `f64`.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// An object of a file, with its place.
#[derive(Debug)]
pub(super) struct Row<'a> {
    pub(super) path: &'a Path,
    pub(super) line: usize,
    pub(super) fields: Map<String, Value>,
}

impl Row<'_> {
    /// Whether the field is there and not null.
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(|value| !value.is_null())
    }

    /// Whether no field holds anything.
    pub(super) fn is_blank(&self) -> bool {
        self.fields.values().all(|value| match value {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            _ => false,
        })
    }

    /// The names of the fields, for a message.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.fields.keys().map(String::as_str).collect();
        names.join(", ")
    }

    /// A text, or a number as text; an integer without decimals, as `27` for `27.0`.
    ///
    /// # Errors
    ///
    /// [`CoreError::MissingField`] if it is not there or blank, [`CoreError::JsonLine`] if it is
    /// something else or a number that was not read exactly.
    pub(super) fn text(&self, field: &'static str) -> Result<String, CoreError> {
        match self.optional_text(field)? {
            Some(text) => Ok(text),
            None => Err(self.missing(field)),
        }
    }

    /// As [`Self::text`]; `None` if it is not there or blank.
    pub(super) fn optional_text(&self, field: &str) -> Result<Option<String>, CoreError> {
        let Some(value) = self.fields.get(field) else {
            return Ok(None);
        };
        let text = self.scalar(field, value)?;
        Ok(text.filter(|text| !text.trim().is_empty()))
    }

    /// A list of texts or numbers.
    pub(super) fn texts(&self, field: &'static str) -> Result<Vec<String>, CoreError> {
        let Some(Value::Array(values)) = self.fields.get(field) else {
            return Err(self.bad(field, "has to be a list"));
        };
        let text = |value: &Value| match self.scalar(field, value)? {
            Some(text) => Ok(text),
            None => Err(self.bad(field, "holds null")),
        };
        values.iter().map(text).collect()
    }

    /// The id, where the data has one.
    pub(super) fn id(&self) -> Result<Option<String>, CoreError> {
        for field in ID_FIELDS {
            if let Some(id) = self.optional_text(field)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    pub(super) fn missing(&self, field: &'static str) -> CoreError {
        CoreError::MissingField {
            path: self.path.to_owned(),
            line: self.line,
            field,
        }
    }

    pub(super) fn bad(&self, field: &str, message: &str) -> CoreError {
        CoreError::JsonLine {
            path: self.path.to_owned(),
            line: self.line,
            message: format!("`{field}` {message}"),
        }
    }

    fn scalar(&self, field: &str, value: &Value) -> Result<Option<String>, CoreError> {
        match value {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            Value::Number(number) => match number.as_f64() {
                _ if number.is_i64() || number.is_u64() => Ok(Some(number.to_string())),
                Some(value) if value.abs() < EXACT => Ok(Some(value.to_string())),
                _ => Err(self.bad(
                    field,
                    "is a number too large to be read exactly; write it as text",
                )),
            },
            _ => Err(self.bad(field, "has to be a text or a number")),
        }
    }
}
