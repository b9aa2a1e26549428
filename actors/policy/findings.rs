//! What is wrong with a tenant's files, gathered over all of them before anybody is told.
use crate::parse::{FileError, FileTexts, parse};
use crate::places::Places;
use serde::de::DeserializeOwned;

/// One file that could be read, with the places of its values.
#[derive(Debug)]
pub(crate) struct Source<T> {
    pub(crate) file: &'static str,
    pub(crate) value: T,
    places: Places,
}

impl<T> Source<T> {
    /// Something wrong with the value at a key path.
    pub(crate) fn at(&self, path: &str, problem: &str) -> FileError {
        self.places.error(self.file, path, problem)
    }
}

/// Errors keep a tenant from serving; warnings are said by `policy check`.
#[derive(Default, Debug)]
pub(crate) struct Findings {
    pub(crate) errors: Vec<FileError>,
    pub(crate) warnings: Vec<FileError>,
}

impl Findings {
    /// Reads a file no tenant serves without.
    pub(crate) fn required<T: DeserializeOwned>(&mut self, texts: &FileTexts, file: &'static str) -> Option<Source<T>> {
        if !texts.contains_key(file) {
            self.errors.push(FileError::whole(file, "the file is missing: a tenant does not serve without it, add it"));
        }
        self.optional(texts, file)
    }

    /// Reads a file that may be absent; a broken one is an error all the same.
    pub(crate) fn optional<T: DeserializeOwned>(&mut self, texts: &FileTexts, file: &'static str) -> Option<Source<T>> {
        let text = texts.get(file)?;
        let value = parse(file, text).map_err(|error| self.errors.push(error)).ok()?;
        Some(Source { file, value, places: Places::of(text) })
    }

    /// Notes an error at a key path.
    pub(crate) fn refuse<T>(&mut self, source: &Source<T>, path: &str, problem: impl AsRef<str>) {
        self.errors.push(source.at(path, problem.as_ref()));
    }

    /// Notes a warning at a key path.
    pub(crate) fn warn<T>(&mut self, source: &Source<T>, path: &str, problem: impl AsRef<str>) {
        self.warnings.push(source.at(path, problem.as_ref()));
    }

    /// Notes an error where a value is no share of a whole; a value that is no number is none.
    pub(crate) fn share<T>(&mut self, source: &Source<T>, path: &str, value: f64) {
        if !(0.0..=1.0).contains(&value) {
            self.refuse(source, path, format!("{value} is no share: write a number from 0 to 1"));
        }
    }

    /// Notes an error where a count is zero and would refuse everything without saying so.
    pub(crate) fn positive<T>(&mut self, source: &Source<T>, path: &str, value: u64) {
        if value == 0 {
            self.refuse(source, path, "0 would refuse everything: write at least 1");
        }
    }

    /// Notes an error where a text is empty.
    pub(crate) fn written<T>(&mut self, source: &Source<T>, path: &str, value: &str) {
        if value.trim().is_empty() {
            self.refuse(source, path, "the text is empty: fill it in");
        }
    }
}
