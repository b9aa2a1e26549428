//! Files to types, with errors that help: file, line, column, and the nearest known key.
use bailiwick_kernel::limits::POLICY_FILE_BYTES_MAX;
use serde::de::DeserializeOwned;
use serde_saphyr::{Error, MessageFormatter, Options, UserMessageFormatter};
use std::collections::BTreeMap;
use std::fmt;

/// One thing wrong with one file.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct FileError {
    /// The file, relative to the tenant's folder.
    pub file: String,
    /// 1-based line; 0 where the whole file is meant.
    pub line: u64,
    /// 1-based column; 0 where the whole file is meant.
    pub column: u64,
    /// Lower case: what is wrong and what to do.
    pub problem: String,
}

impl FileError {
    /// Something wrong with a whole file, such as its absence.
    #[must_use]
    pub fn whole(file: &str, problem: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 0, column: 0, problem: problem.into() }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            return write!(f, "{}: {}", self.file, self.problem);
        }
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.problem)
    }
}

impl std::error::Error for FileError {}

/// The files of one tenant as text: relative path to content. Read by a shell, parsed here.
pub type FileTexts = BTreeMap<String, String>;

/// Reads one YAML file into its type. Unknown and repeated keys, wrong types and missing keys are refused where
/// they stand; only `true` and `false` are booleans, so that a country code `NO` stays a text.
///
/// # Errors
/// The first thing that keeps the text from being a `T`.
pub fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, FileError> {
    if text.len() > POLICY_FILE_BYTES_MAX {
        let problem = format!(
            "{} bytes are more than the {POLICY_FILE_BYTES_MAX} a policy file may have: split or shorten it",
            text.len()
        );
        return Err(FileError::whole(file, problem));
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| located(file, &error))
}

/// How every file of a tenant is read.
pub(crate) fn options() -> Options {
    serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        reject_unsupported_tags: true,
    }
}

fn located(file: &str, error: &Error) -> FileError {
    let (line, column) = error.location().map_or((0, 0), |place| (place.line(), place.column()));
    FileError { file: file.to_owned(), line, column, problem: describe(error) }
}

fn describe(error: &Error) -> String {
    match error.without_snippet() {
        Error::AliasError { error, .. } => describe(error),
        Error::Eof { .. } => "the file ends too early: write the keys it needs (`bailiwick schema` lists them)".into(),
        Error::SerdeUnknownField { field, expected, .. } => {
            format!("unknown key {field:?}: {}", advice(field, expected))
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            format!("unknown value {variant:?}: {}", advice(variant, expected))
        }
        Error::SerdeMissingField { field, .. } => format!("missing key {field:?}: add it"),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("key {key:?} stands here twice: keep one"),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("wrong value: found {unexpected}, write {expected}")
        }
        Error::InvalidScalar { ty, .. } => format!("wrong value: write {ty}"),
        Error::Unexpected { expected, .. } => format!("wrong value: write {expected}"),
        other => UserMessageFormatter.format_message(other).escape_debug().to_string(),
    }
}

/// The nearest of the words known at a place, or all of them where none is near.
pub(crate) fn advice(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "remove it".into(),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known word that differs from `word` by a slip of the hand: a third of its letters, at least one.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| *distance <= 1.max(candidate.chars().count() / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
