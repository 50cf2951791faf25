//! Every way data can be wrong, with its place and, where there is one, the remedy.

use std::path::PathBuf;

/// Errors of this crate: bad data, files or settings. Model text is never an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// A ratio outside (0, 1].
    #[error("keep ratio {found} is outside (0, 1]")]
    KeepRatio {
        /// The value that was given.
        found: f64,
    },
    /// A percentage that is no keep level.
    #[error("keep level {found} is not one of 20, 40, 60, 80, 100")]
    KeepLevel {
        /// The value that was given.
        found: i64,
    },
    /// A text that is no control token.
    #[error("`{found}` is not a control token (<COMP_20> .. <COMP_100>, <COMP_POLICY>)")]
    ControlToken {
        /// The text that was given.
        found: String,
    },
    /// A tokenizer without a token that the method needs.
    #[error("the tokenizer has no token `{token}`; add the control tokens before use")]
    MissingToken {
        /// The absent token.
        token: String,
    },
    /// A chat template that fails.
    #[error("chat template: {message}")]
    Template {
        /// What the template said.
        message: String,
    },
    /// A file that cannot be opened, read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// `read`, `write`, `create`, ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A line of a JSON-lines file that does not parse.
    #[error("{}:{line}: {message}", path.display())]
    JsonLine {
        /// The file.
        path: PathBuf,
        /// 1-based line number.
        line: usize,
        /// What is wrong with the line.
        message: String,
    },
    /// A row of a data set without a field that its kind needs.
    #[error("{}:{line}: no `{field}`, or nothing in it", path.display())]
    MissingField {
        /// The file.
        path: PathBuf,
        /// 1-based line number.
        line: usize,
        /// The field.
        field: &'static str,
    },
    /// An id that two rows of a data set have.
    #[error("{}:{line}: the id `{id}` stands twice", path.display())]
    DoubledId {
        /// The file.
        path: PathBuf,
        /// 1-based line number of the second row.
        line: usize,
        /// The id.
        id: String,
    },
    /// A file whose rows are of no known kind.
    #[error(
        "{}:{line}: rows with the fields {fields} are of no known kind; known are {kinds}",
        path.display()
    )]
    UnknownDataset {
        /// The file.
        path: PathBuf,
        /// 1-based line number of the first row.
        line: usize,
        /// The fields found.
        fields: String,
        /// The kinds, each with its fields.
        kinds: String,
    },
    /// A file of another kind than the one asked for.
    #[error(
        "{}:{line}: a file of the kind `{asked}` has {wanted}; found are {fields}{remedy}",
        path.display()
    )]
    WrongDataset {
        /// The file.
        path: PathBuf,
        /// 1-based line number of the first row.
        line: usize,
        /// The kind that was asked for.
        asked: &'static str,
        /// Its fields.
        wanted: &'static str,
        /// The fields found.
        fields: String,
        /// What the file looks like, if it is of a known kind.
        remedy: String,
    },
    /// A data set without a problem.
    #[error("{} has no problem to use ({counts})", path.display())]
    EmptyDataset {
        /// The file.
        path: PathBuf,
        /// Its rows by what became of them.
        counts: String,
    },
    /// A setting outside its range.
    #[error("{key} = {found} is not allowed: {allowed}")]
    Setting {
        /// The setting's name.
        key: &'static str,
        /// The value that was given.
        found: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A statistic of no values.
    #[error("{what} of an empty sample is not defined")]
    EmptySample {
        /// The statistic.
        what: &'static str,
    },
    /// A statistic of a value that is NaN, infinite or too large to be summed.
    #[error("value {value_idx} of the sample for the {what} is not finite or too large")]
    NonFiniteSample {
        /// The statistic.
        what: &'static str,
        /// Index of the first such value.
        value_idx: usize,
    },
    /// A statistic of values that are all the same.
    #[error("{what} of values that are all equal is not defined")]
    ConstantSample {
        /// The statistic.
        what: &'static str,
    },
    /// Paired samples of different lengths.
    #[error("{what} of samples of {left} and {right} values")]
    SampleLengths {
        /// The statistic.
        what: &'static str,
        /// Values of the first sample.
        left: usize,
        /// Values of the second sample.
        right: usize,
    },
    /// Evaluations of different problems.
    #[error(
        "problem `{problem_id}` is in one of the two evaluations only; both must be of the same \
         problems"
    )]
    ProblemSets {
        /// The first such problem.
        problem_id: String,
    },
    /// A sample that was evaluated twice.
    #[error("problem `{problem_id}` has two samples {sample_idx} in one evaluation")]
    DoubledSample {
        /// The problem.
        problem_id: String,
        /// The index that stands twice.
        sample_idx: usize,
    },
    /// Problems of one evaluation with different numbers of samples.
    #[error("problem `{problem_id}` has {found} sample(s), others have {expected}")]
    UnevenSamples {
        /// The first such problem.
        problem_id: String,
        /// Its samples.
        found: usize,
        /// Samples of the first problem.
        expected: usize,
    },
    /// Scores that do not fit the atoms they are for.
    #[error("{found} keep scores for {expected} atoms")]
    ScoreCount {
        /// Number of scores.
        found: usize,
        /// Number of atoms.
        expected: usize,
    },
    /// A score that is NaN or infinite.
    #[error("keep score of atom {atom_idx} is not finite")]
    NonFiniteScore {
        /// Index of the first such atom.
        atom_idx: usize,
    },
    /// Atoms that do not tile their text.
    #[error("atom {atom_idx} does not continue the text at byte {covered} of {n_bytes}")]
    AtomTiling {
        /// Index of the first wrong atom, or the number of atoms if they end too early.
        atom_idx: usize,
        /// Bytes that the atoms before it cover.
        covered: usize,
        /// Bytes of the text.
        n_bytes: usize,
    },
    /// A problem that an annotator has nothing for.
    #[error("problem `{problem_id}` has no {wanted}")]
    NothingToAnnotate {
        /// The problem.
        problem_id: String,
        /// What the annotator needs.
        wanted: &'static str,
    },
    /// Keep ranges that cannot be read.
    #[error("keep ranges of problem `{problem_id}`: {message}")]
    KeepRangeText {
        /// The problem.
        problem_id: String,
        /// What is wrong.
        message: String,
    },
    /// A keep range that does not lie on the atoms.
    #[error("keep range {start}-{end} does not fit {n_atoms} atoms (1-based, closed)")]
    KeepRange {
        /// 1-based first atom.
        start: usize,
        /// 1-based last atom.
        end: usize,
        /// Number of atoms.
        n_atoms: usize,
    },
    /// A pattern that is no regular expression.
    #[error("`{pattern}` is no regular expression: {message}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong.
        message: String,
    },
    /// Keep ranges of another text.
    #[error(
        "keep ranges of problem `{problem_id}` are for {recorded} atoms, its think text has \
         {n_atoms}; label this text again"
    )]
    KeepRangeAtoms {
        /// The problem.
        problem_id: String,
        /// Number of atoms that the row names.
        recorded: usize,
        /// Number of atoms of the text.
        n_atoms: usize,
    },
    /// Recorded rollouts that cannot be used, or that are not there.
    #[error("the recorded rollouts of prompt `{prompt_id}`: {message}")]
    Replay {
        /// The prompt.
        prompt_id: String,
        /// What is wrong.
        message: String,
    },
    /// A text that does not fit into the positions of the model that should read it.
    #[error("{what}: {message}")]
    NoRoom {
        /// The scorer's or annotator's name.
        what: &'static str,
        /// What does not fit.
        message: String,
    },
    /// A scorer or annotator failed; it says why.
    #[error("{what} failed: {message}")]
    Scorer {
        /// The scorer's or annotator's name.
        what: &'static str,
        /// Why.
        message: String,
    },
}

impl CoreError {
    /// An [`CoreError::Io`] for `map_err`.
    pub fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
