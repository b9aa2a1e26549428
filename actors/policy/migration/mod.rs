//! The files of a single-tenant system, read as today's files of one tenant: what they say stays, what has no meaning today is
//! named. Pure: texts in, texts and findings out.
//!
//! The tenant they come to has files already, because it serves. What the old system says takes the place of what stands there;
//! what it says nothing about stays as it is.
mod features;
mod keys;
mod router;
pub mod rules;
#[cfg(test)]
mod tests;

use crate::compile::{FEATURES, ROUTER, compile};
use crate::guardrails::Guardrails;
use crate::parse::{FileError, FileTexts, parse};
use crate::places::Places;
use serde::Serialize;
use serde_json::Value;

/// Files of the old system that are read as a flat matrix of flags, relative to its folder; the first that is there counts.
pub const MATRICES: [&str; 3] = ["features.yaml", "features.yml", "features.json"];

/// What became of something the old system says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It has no meaning today and is left behind.
    Lost,
    /// It is carried, and called or written otherwise.
    Changed,
}

/// One thing that is not carried as it stands, with its place in the old system's files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Note {
    /// What becomes of it.
    pub fate: Fate,
    /// Where it stands, and what to know about it.
    #[serde(flatten)]
    pub at: FileError,
}

/// What a translation is made from.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The tenant's name.
    pub tenant: &'a str,
    /// The old system's files, relative to its folder.
    pub old: &'a FileTexts,
    /// The tenant's files as they stand.
    pub target: &'a FileTexts,
    /// Providers the old router may name, beside those the tenant's router names already and the embedded one.
    pub providers: &'a [String],
    /// RFC 3339.
    pub now: &'a str,
}

/// What the old files come to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Translation {
    /// The tenant's files that change, each whole.
    pub files: FileTexts,
    /// What is not carried as it stands.
    pub notes: Vec<Note>,
    /// What keeps the tenant with these files from serving; empty where nothing does.
    pub refused: Vec<FileError>,
}

/// Reads the old files as today's.
#[must_use]
pub fn translate(asked: &Asked<'_>) -> Translation {
    let mut translation = Translation::default();
    for (file, text) in asked.old {
        let kind = rules::Kind::of(file);
        let matrix = MATRICES.iter().find(|matrix| asked.old.contains_key(**matrix));
        let source = Source::read(file, text);
        let source = match source {
            Ok(source) => source,
            Err(error) => {
                translation.refused.push(error);
                continue;
            }
        };
        let mut ledger = Ledger { source: &source, notes: &mut translation.notes };
        let changed = match kind {
            Some(kind) => rules::policy(kind, asked, &mut ledger).map(|text| (kind.file(), text)),
            None if file == ROUTER => router::router(asked, &mut ledger).map(|text| (ROUTER, text)),
            None if matrix.is_some_and(|matrix| matrix == file) => {
                features::features(asked, &mut ledger).map(|text| (FEATURES, text))
            }
            None => {
                ledger.whole(Fate::Lost, &keys::unknown_file(file));
                None
            }
        };
        translation.files.extend(changed.map(|(file, text)| (file.to_owned(), text)));
    }
    if translation.refused.is_empty() {
        let mut whole = asked.target.clone();
        whole.extend(translation.files.clone());
        translation.refused = compile(asked.tenant, &whole, &Guardrails::none()).err().unwrap_or_default();
    }
    translation
}

/// A file of the old system with the places of its values.
struct Source {
    file: String,
    value: Value,
    places: Places,
}

impl Source {
    fn read(file: &str, text: &str) -> Result<Self, FileError> {
        let value: Value = parse(file, text)?;
        if !matches!(value, Value::Object(_)) {
            return Err(FileError::whole(file, "it is no mapping of keys to values: write one"));
        }
        Ok(Self { file: file.to_owned(), value, places: Places::of(text) })
    }
}

/// Notes what becomes of the values of one file.
struct Ledger<'a> {
    source: &'a Source,
    notes: &'a mut Vec<Note>,
}

impl Ledger<'_> {
    fn note(&mut self, fate: Fate, path: &str, problem: &str) {
        let at = self.source.places.error(&self.source.file, path, problem);
        self.notes.push(Note { fate, at });
    }

    fn whole(&mut self, fate: Fate, problem: &str) {
        self.notes.push(Note { fate, at: FileError::whole(&self.source.file, problem) });
    }
}
